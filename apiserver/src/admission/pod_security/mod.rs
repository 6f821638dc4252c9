//! PodSecurity: a namespace's labels say how much its pods may do. Upstream: k8s.io/pod-security-admission/admission.

mod levels;
mod policy;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::field::ErrorList;
use api::go_text::quote;
use api::meta::{self, GroupKind};
use api::names::{self, NameRule};
use api::status::Status;
use json::Value;
use serde::Deserialize;

use self::levels::{Defaults, Level, LevelVersion, Policy};
use super::configuration::Configurations;
use super::limit_ranger::joined;
use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::configuration_file::shape::{Struct, Type};
use crate::registry::fields::{at, items, text};

const NAME: &str = "PodSecurity";
const VERSIONS: [&str; 3] = [
    "pod-security.admission.config.k8s.io/v1",
    "pod-security.admission.config.k8s.io/v1beta1",
    "pod-security.admission.config.k8s.io/v1alpha1",
];
/// Pods looked at when a namespace's level is raised.
const PODS_CHECKED: usize = 3000;

/// What holds where labels say nothing, and for whom nothing does.
#[derive(Debug, Default)]
pub(super) struct PodSecurity {
    defaults: Policy,
    exemptions: Exemptions,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Exemptions {
    usernames: Vec<String>,
    namespaces: Vec<String>,
    runtime_classes: Vec<String>,
}

const FILE: Struct = Struct {
    name: "PodSecurityConfiguration",
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("defaults", Type::One(&DEFAULTS)),
        ("exemptions", Type::One(&EXEMPTIONS)),
    ],
};
const DEFAULTS: Struct = Struct {
    name: "PodSecurityDefaults",
    fields: &[
        ("enforce", Type::Text),
        ("enforce-version", Type::Text),
        ("audit", Type::Text),
        ("audit-version", Type::Text),
        ("warn", Type::Text),
        ("warn-version", Type::Text),
    ],
};
const EXEMPTIONS: Struct = Struct {
    name: "PodSecurityExemptions",
    fields: &[
        ("usernames", Type::List(&Type::Text)),
        ("namespaces", Type::List(&Type::Text)),
        ("runtimeClasses", Type::List(&Type::Text)),
    ],
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Configuration {
    defaults: Defaults,
    exemptions: Exemptions,
}

impl PodSecurity {
    pub(super) fn new(configurations: &Configurations) -> Result<PodSecurity, String> {
        let own = configurations.versioned::<Configuration>(NAME, &VERSIONS, FILE.name, &FILE)?;
        let Configuration { defaults, exemptions } = own.unwrap_or_default();
        let mut faults = Vec::new();
        let defaults = defaults.read(&mut faults);
        exemptions.check(&mut faults);
        match joined(faults) {
            Some(why) => Err(format!("{NAME} configuration error: {why}")),
            None => Ok(PodSecurity { defaults, exemptions }),
        }
    }
}

impl Exemptions {
    fn check(&self, faults: &mut Vec<String>) {
        let user: NameRule =
            |name, _| if name.is_empty() { vec!["username must not be empty".to_owned()] } else { vec![] };
        let lists: [(&str, &[String], NameRule); 3] = [
            ("namespaces", &self.namespaces, names::name_is_dns_label),
            ("runtimeClasses", &self.runtime_classes, names::name_is_dns_subdomain),
            ("usernames", &self.usernames, user),
        ];
        for (list, exempt, rule) in lists {
            for (index, name) in exempt.iter().enumerate() {
                let why = rule(name, false).join(", ");
                if !why.is_empty() {
                    faults.push(format!("exemptions.{list}[{index}]: Invalid value: {name:?}: {why}"));
                } else if exempt[..index].contains(name) {
                    faults.push(format!("exemptions.{list}[{index}]: Duplicate value: {name:?}"));
                }
            }
        }
    }

    fn has_namespace(&self, namespace: &str) -> bool {
        self.namespaces.iter().any(|own| own == namespace)
    }

    /// Why a request is exempt, whatever it is about.
    fn of_request(&self, attributes: Attributes<'_>) -> Option<&'static str> {
        if self.has_namespace(&attributes.ctx.target.namespace) {
            Some("namespace")
        } else {
            self.usernames.contains(&attributes.ctx.user.name).then_some("user")
        }
    }
}

impl Validating for PodSecurity {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let target = &attributes.ctx.target;
        match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
            ("", "namespaces", "") => self.validate_namespace(attributes, object),
            ("", "pods", "" | "ephemeralcontainers" | "resize") => self.validate_pod(attributes, object),
            (.., "") => {
                template(attributes, object).map_or(Ok(()), |template| self.validate_template(attributes, template))
            }
            _ => Ok(()),
        }
    }
}

/// `reason (detail), reason (detail)`; nothing if the pod may be.
fn verdict(level: &LevelVersion, pod: &Value) -> Option<String> {
    let violations = policy::violations(level, &pod["metadata"], &pod["spec"]);
    let said: Vec<String> =
        violations.iter().map(|violation| format!("{} ({})", violation.reason, violation.detail)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Upstream: api.AuditAnnotationPrefix.
fn annotate(attributes: Attributes<'_>, key: &str, value: impl Into<String>) {
    attributes.ctx.audit_annotation(&format!("pod-security.kubernetes.io/{key}"), value);
}

impl PodSecurity {
    fn policy_of(&self, attributes: Attributes<'_>) -> (Policy, ErrorList) {
        let namespace = attributes.ctx.objects.get("", "namespaces", "", &attributes.ctx.target.namespace);
        Policy::of(namespace.as_deref().unwrap_or(&Value::Null), &self.defaults)
    }

    fn validate_pod(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if let Some(why) = self.exemptions.of_request(attributes) {
            annotate(attributes, "exempt", why);
            return Ok(());
        }
        let (policy, errors) = self.policy_of(attributes);
        if errors.is_empty() && policy.is_privileged() {
            annotate(attributes, "enforce-policy", policy.enforce.to_string());
            return Ok(());
        }
        if attributes.old.is_some_and(|old| !changes_much(old, pod)) {
            return Ok(());
        }
        self.evaluate(attributes, pod, &policy, &errors, true).map_err(|why| forbidden(attributes, pod, why))
    }

    /// A template that will be refused is told of, not refused.
    fn validate_template(&self, attributes: Attributes<'_>, template: &Value) -> Result<(), Status> {
        if let Some(why) = self.exemptions.of_request(attributes) {
            annotate(attributes, "exempt", why);
            return Ok(());
        }
        let (policy, errors) = self.policy_of(attributes);
        let is_open = policy.warn.level == Level::Privileged && policy.audit.level == Level::Privileged;
        if !errors.is_empty() || !is_open {
            // Nothing is refused that is not enforced.
            let _ = self.evaluate(attributes, template, &policy, &errors, false);
        }
        Ok(())
    }

    /// Looks at a pod or template in all modes; the error is why it must not be. Upstream: EvaluatePod.
    fn evaluate(
        &self,
        attributes: Attributes<'_>,
        pod: &Value,
        policy: &Policy,
        errors: &ErrorList,
        enforces: bool,
    ) -> Result<(), String> {
        let class = at(pod, &["spec", "runtimeClassName"]).as_str().unwrap_or_default();
        if !class.is_empty() && self.exemptions.runtime_classes.iter().any(|own| own == class) {
            annotate(attributes, "exempt", "runtimeClass");
            return Ok(());
        }
        if let Some(why) = errors.message() {
            annotate(attributes, "error", format!("Failed to parse policy: {why}"));
        }
        let said = |level: &LevelVersion| Some((quote(&level.to_string()), verdict(level, pod)?));
        let refused = if enforces {
            annotate(attributes, "enforce-policy", policy.enforce.to_string());
            said(&policy.enforce).map(|(level, why)| format!("violates PodSecurity {level}: {why}"))
        } else {
            None
        };
        if let Some((level, why)) = said(&policy.audit) {
            annotate(attributes, "audit-violations", format!("would violate PodSecurity {level}: {why}"));
        }
        if let Some(why) = refused {
            return Err(why);
        }
        if let Some((level, why)) = said(&policy.warn) {
            attributes.ctx.warn(format!("would violate PodSecurity {level}: {why}"));
        }
        Ok(())
    }

    fn validate_namespace(&self, attributes: Attributes<'_>, namespace: &Value) -> Result<(), Status> {
        let (policy, errors) = Policy::of(namespace, &self.defaults);
        let before = attributes.old.map(|old| Policy::of(old, &self.defaults));
        if !errors.is_empty() && before.as_ref().is_none_or(|(_, old)| *old != errors) {
            let kind = GroupKind { group: String::new(), kind: "Namespace".to_owned() };
            return Err(Status::invalid(&kind, meta::name(namespace), &errors));
        }
        let is_exempt = self.exemptions.has_namespace(meta::name(namespace));
        let is_stricter = before.as_ref().is_some_and(|(before, _)| {
            let (old, new) = (&before.enforce, &policy.enforce);
            let is_relaxed = old.version == new.version && new.level <= old.level;
            new.level != Level::Privileged && !is_relaxed
        });
        if is_exempt && (before.is_none() || is_stricter) {
            if !policy.is_privileged() && !policy.is_equivalent(&self.defaults) {
                attributes.ctx.warn(format!(
                    "namespace {} is exempt from Pod Security, and the policy ({}) will be ignored",
                    quote(meta::name(namespace)),
                    policy.labelled(namespace)
                ));
            }
        } else if is_stricter {
            for warning in warnings_of_pods(attributes, meta::name(namespace), &policy.enforce) {
                attributes.ctx.warn(warning);
            }
        }
        Ok(())
    }
}

/// Can a change of a running pod matter here: another image, another container?
fn changes_much(old: &Value, new: &Value) -> bool {
    let images = |pod: &Value, list| {
        items(&pod["spec"], list).iter().map(|container| text(container, "image").to_owned()).collect::<Vec<_>>()
    };
    let ephemeral = |pod: &Value| {
        let all = items(&pod["spec"], "ephemeralContainers").iter();
        all.map(|container| (text(container, "name").to_owned(), text(container, "image").to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    let before = ephemeral(old);
    ["containers", "initContainers"].into_iter().any(|list| images(old, list) != images(new, list))
        || ephemeral(new).into_iter().any(|(name, image)| before.get(&name) != Some(&image))
}

/// The template of pods an object holds.
fn template<'v>(attributes: Attributes<'_>, object: &'v Value) -> Option<&'v Value> {
    let template = match (attributes.ctx.target.group.as_str(), attributes.ctx.target.resource.as_str()) {
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "daemonsets" | "replicasets" | "statefulsets")
        | ("batch", "jobs") => at(object, &["spec", "template"]),
        ("batch", "cronjobs") => at(object, &["spec", "jobTemplate", "spec", "template"]),
        _ => return None,
    };
    Some(template).filter(|template| !template.is_null())
}

/// The pods there that could not be created again.
fn warnings_of_pods(attributes: Attributes<'_>, namespace: &str, enforce: &LevelVersion) -> Vec<String> {
    let pods: Vec<Arc<Value>> = attributes.ctx.objects.list("", "pods", namespace);
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods.iter().take(PODS_CHECKED) {
        let violations = policy::violations(enforce, &pod["metadata"], &pod["spec"]);
        if !violations.is_empty() {
            let reasons: Vec<String> = violations.into_iter().map(|violation| violation.reason).collect();
            let name = meta::name(pod);
            let (first, count) = found.entry(reasons.join(", ")).or_insert_with(|| (name.to_owned(), 0));
            if name < first.as_str() {
                name.clone_into(first);
            }
            *count += 1;
        }
    }
    let mut warnings = Vec::new();
    if pods.len() > PODS_CHECKED {
        let total = pods.len();
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {PODS_CHECKED} of {total} existing pods"
        ));
    }
    if !found.is_empty() {
        let level = quote(&enforce.to_string());
        warnings.push(format!(
            "existing pods in namespace {} violate the new PodSecurity enforce level {level}",
            quote(namespace)
        ));
    }
    let mut pods: Vec<String> = found
        .into_iter()
        .map(|(why, (name, count))| match count {
            1 => format!("{name}: {why}"),
            2 => format!("{name} (and 1 other pod): {why}"),
            _ => format!("{name} (and {} other pods): {why}", count - 1),
        })
        .collect();
    pods.sort();
    warnings.extend(pods);
    warnings
}
