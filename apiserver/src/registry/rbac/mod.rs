//! The group rbac.authorization.k8s.io. Upstream: pkg/apis/rbac/validation.

use api::field::{Error, ErrorList, Path};
use api::names::{self, NameRule};
use json::Value;

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{named, one_of, selector};
use crate::context::RequestContext;

const GROUP: &str = "rbac.authorization.k8s.io";

/// Roles and, with `cluster`, ClusterRoles.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    pub cluster: bool,
}

/// RoleBindings and, with `cluster`, ClusterRoleBindings.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    pub cluster: bool,
}

impl Strategy for Role {
    fn name_rule(&self) -> NameRule {
        names::name_is_path_segment
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for rule in At::root(new).field("rules").items() {
            policy_rule(&rule, self.cluster, &mut errors);
        }
        // Upstream's declarative rules come after those it writes out.
        for verbs in At::root(new).field("rules").items().map(|rule| rule.field("verbs")) {
            if verbs.is_empty() {
                errors.push(verbs.required(""));
            }
        }
        let aggregation = At::root(new).field("aggregationRule");
        if aggregation.is_set() {
            let selectors = aggregation.field("clusterRoleSelectors");
            if selectors.is_empty() {
                errors.push(
                    selectors.required("at least one clusterRoleSelector required if aggregationRule is non-nil"),
                );
            }
            for own in selectors.items() {
                let mut faults = ErrorList::new();
                selector::label_selector(&own, &mut faults);
                if !faults.is_empty() {
                    errors.extend(faults);
                    errors.push(Error::invalid(&own.path, Value::Null, "invalid label selector."));
                }
            }
        }
        errors
    }
}

fn policy_rule(rule: &At<'_>, cluster: bool, errors: &mut ErrorList) {
    let [groups, resources, urls] = ["apiGroups", "resources", "nonResourceURLs"].map(|field| rule.field(field));
    if !urls.is_empty() {
        if !cluster {
            errors.push(urls.invalid("namespaced rules cannot apply to non-resource URLs"));
        }
        if !groups.is_empty() || !resources.is_empty() || !rule.field("resourceNames").is_empty() {
            errors.push(urls.invalid("rules cannot apply to both regular resources and non-resource URLs"));
        }
        return;
    }
    if groups.is_empty() {
        errors.push(groups.required("resource rules must supply at least one api group"));
    }
    if resources.is_empty() {
        errors.push(resources.required("resource rules must supply at least one resource"));
    }
}

impl Strategy for Binding {
    fn name_rule(&self) -> NameRule {
        names::name_is_path_segment
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let role = At::root(new).field("roleRef");
        one_of(&role.field("apiGroup"), &[GROUP], &mut errors);
        let kinds: &[&str] = if self.cluster { &["ClusterRole"] } else { &["Role", "ClusterRole"] };
        one_of(&role.field("kind"), kinds, &mut errors);
        let name = role.field("name");
        if !name.str().is_empty() {
            named(&name, names::name_is_path_segment(name.str(), false), &mut errors);
        }
        At::root(new).field("subjects").items().for_each(|own| subject(&own, self.cluster, &mut errors));
        if name.str().is_empty() {
            errors.push(name.required(""));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let role = At::root(new).field("roleRef");
        let fields = ["apiGroup", "kind", "name"];
        if fields.iter().any(|field| role.text(field) != at(old, &["roleRef", field]).as_str().unwrap_or_default()) {
            // Upstream shows its own type, without field tags.
            let shown = json::json!({
                "APIGroup": role.text("apiGroup"), "Kind": role.text("kind"), "Name": role.text("name"),
            });
            errors.push(Error::invalid(&Path::new("roleRef"), shown, super::validation::FIELD_IMMUTABLE));
        }
        errors
    }
}

fn subject(at: &At<'_>, cluster: bool, errors: &mut ErrorList) {
    let (name, group) = (at.field("name"), at.field("apiGroup"));
    if name.str().is_empty() {
        errors.push(name.required(""));
    }
    match at.text("kind") {
        "ServiceAccount" => {
            if !name.str().is_empty() {
                named(&name, names::name_is_dns_subdomain(name.str(), false), errors);
            }
            if !group.str().is_empty() {
                errors.push(group.not_supported(&[""]));
            }
            if cluster && at.text("namespace").is_empty() {
                errors.push(at.field("namespace").required(""));
            }
        }
        "User" | "Group" => one_of(&group, &[GROUP], errors),
        _ => errors.push(at.field("kind").not_supported(&["ServiceAccount", "User", "Group"])),
    }
}
