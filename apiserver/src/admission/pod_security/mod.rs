//! PodSecurity: a namespace's labels say how much its pods may do. Upstream: k8s.io/pod-security-admission/admission.

mod policy;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::field::{Error, ErrorList, Path};
use api::go_text::quote;
use api::meta::{self, GroupKind};
use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::{at, items, text};

const PREFIX: &str = "pod-security.kubernetes.io/";
/// Pods looked at when a namespace's level is raised.
const PODS_CHECKED: usize = 3000;

#[derive(Debug)]
pub(super) struct PodSecurity;

/// How much is forbidden; the greater, the more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Privileged,
    Baseline,
    Restricted,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        }
    }

    fn parse(label: &str) -> Option<Level> {
        [Level::Privileged, Level::Baseline, Level::Restricted].into_iter().find(|level| level.as_str() == label)
    }
}

/// A level and the version of its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
struct LevelVersion {
    level: Level,
    version: String,
}

impl Default for LevelVersion {
    fn default() -> LevelVersion {
        LevelVersion { level: Level::default(), version: "latest".to_owned() }
    }
}

impl std::fmt::Display for LevelVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.level.as_str(), self.version)
    }
}

impl LevelVersion {
    /// Reads two labels; what they should not be goes to `errors`, and `fallback` is the level then.
    fn read(namespace: &Value, mode: &str, fallback: Level, errors: &mut ErrorList) -> Option<LevelVersion> {
        let labels = at(namespace, &["metadata", "labels"]);
        let key = format!("{PREFIX}{mode}");
        let version_key = format!("{key}-version");
        let mut complain = |key: &str, value: &str, why: &str| {
            errors.push(Error::invalid(&Path::new("metadata").child("labels").key(key), value, why));
        };
        let level = labels[&key].as_str().map(|label| {
            Level::parse(label).unwrap_or_else(|| {
                complain(&key, label, "must be one of privileged, baseline, restricted");
                fallback
            })
        });
        let version = labels[&version_key].as_str().map(|label| {
            let number = label
                .strip_prefix("v1.")
                .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
            let good = label == "latest" || number.is_some_and(|number| number == "0" || !number.starts_with('0'));
            if good {
                return label.to_owned();
            }
            complain(&version_key, label, "must be \"latest\" or \"v1.x\"");
            "latest".to_owned()
        });
        if level.is_none() && version.is_none() {
            return None;
        }
        Some(LevelVersion { level: level.unwrap_or_default(), version: version.unwrap_or_else(|| "latest".to_owned()) })
    }
}

/// What a namespace's labels say. Without a level to warn at, it is the one enforced.
#[derive(Debug, Default, PartialEq, Eq)]
struct Policy {
    enforce: LevelVersion,
    warn: LevelVersion,
}

impl Policy {
    fn read(namespace: &Value) -> (Policy, ErrorList) {
        let mut errors = ErrorList::default();
        let enforce = LevelVersion::read(namespace, "enforce", Level::Restricted, &mut errors);
        let enforced_badly = !errors.is_empty();
        LevelVersion::read(namespace, "audit", Level::Privileged, &mut errors);
        let warn = LevelVersion::read(namespace, "warn", Level::Privileged, &mut errors);
        let enforce = enforce.unwrap_or_default();
        let default = if enforced_badly { LevelVersion::default() } else { enforce.clone() };
        (Policy { enforce, warn: warn.unwrap_or(default) }, errors)
    }
}

impl Validating for PodSecurity {
    fn name(&self) -> &'static str {
        "PodSecurity"
    }

    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let target = &attributes.ctx.target;
        let result = match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
            ("", "namespaces", "") => validate_namespace(attributes, object),
            ("", "pods", "" | "ephemeralcontainers" | "resize") => validate_pod(attributes, object),
            (.., "") => {
                warn_of_template(attributes, object);
                Ok(())
            }
            _ => Ok(()),
        };
        Box::pin(ready(result))
    }
}

fn policy_of(attributes: Attributes<'_>) -> Policy {
    let namespace = attributes.ctx.objects.get("", "namespaces", "", &attributes.ctx.target.namespace);
    namespace.map(|namespace| Policy::read(&namespace).0).unwrap_or_default()
}

/// `reason (detail), reason (detail)`; nothing if the pod may be.
fn verdict(level: &LevelVersion, metadata: &Value, spec: &Value) -> Option<String> {
    let violations = policy::violations(level.level, metadata, spec);
    let said: Vec<String> =
        violations.iter().map(|violation| format!("{} ({})", violation.reason, violation.detail)).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn warn(attributes: Attributes<'_>, level: &LevelVersion, metadata: &Value, spec: &Value) {
    if let Some(why) = verdict(level, metadata, spec) {
        attributes.ctx.warn(format!("would violate PodSecurity {}: {why}", quote(&level.to_string())));
    }
}

fn validate_pod(attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
    if attributes.old.is_some_and(|old| !changes_much(old, pod)) {
        return Ok(());
    }
    let policy = policy_of(attributes);
    let (metadata, spec) = (&pod["metadata"], &pod["spec"]);
    if let Some(why) = verdict(&policy.enforce, metadata, spec) {
        return Err(forbidden(
            attributes,
            pod,
            format!("violates PodSecurity {}: {why}", quote(&policy.enforce.to_string())),
        ));
    }
    warn(attributes, &policy.warn, metadata, spec);
    Ok(())
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

/// A template that will be refused is told of, not refused.
fn warn_of_template(attributes: Attributes<'_>, object: &Value) {
    let template = match (attributes.ctx.target.group.as_str(), attributes.ctx.target.resource.as_str()) {
        ("", "podtemplates") => &object["template"],
        ("", "replicationcontrollers")
        | ("apps", "deployments" | "daemonsets" | "replicasets" | "statefulsets")
        | ("batch", "jobs") => at(object, &["spec", "template"]),
        ("batch", "cronjobs") => at(object, &["spec", "jobTemplate", "spec", "template"]),
        _ => return,
    };
    if !template.is_null() {
        warn(attributes, &policy_of(attributes).warn, &template["metadata"], &template["spec"]);
    }
}

fn validate_namespace(attributes: Attributes<'_>, namespace: &Value) -> Result<(), Status> {
    let (policy, errors) = Policy::read(namespace);
    let before = attributes.old.map(Policy::read);
    if !errors.is_empty() && before.as_ref().is_none_or(|(_, old)| *old != errors) {
        let kind = GroupKind { group: String::new(), kind: "Namespace".to_owned() };
        return Err(Status::invalid(&kind, meta::name(namespace), &errors));
    }
    let Some((before, _)) = before else { return Ok(()) };
    let (old, new) = (before.enforce, policy.enforce);
    let relaxed = old.version == new.version && new.level <= old.level;
    if new.level != Level::Privileged && !relaxed {
        for warning in warnings_of_pods(attributes, meta::name(namespace), &new) {
            attributes.ctx.warn(warning);
        }
    }
    Ok(())
}

/// The pods there that could not be created again.
fn warnings_of_pods(attributes: Attributes<'_>, namespace: &str, enforce: &LevelVersion) -> Vec<String> {
    let pods: Vec<Arc<Value>> = attributes.ctx.objects.list("", "pods", namespace);
    let mut found: BTreeMap<String, (String, usize)> = BTreeMap::new();
    for pod in pods.iter().take(PODS_CHECKED) {
        let violations = policy::violations(enforce.level, &pod["metadata"], &pod["spec"]);
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
