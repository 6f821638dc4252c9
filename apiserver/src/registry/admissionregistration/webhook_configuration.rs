//! ValidatingWebhookConfigurations and MutatingWebhookConfigurations, which differ in one field.
//!
//! What an object already breaks of the rules that came later, its updates may go on breaking.
//! Upstream: ValidateValidatingWebhookConfiguration, ValidateMutatingWebhookConfiguration and their updates.

use std::collections::HashSet;

use api::field::{Error, ErrorList};
use api::names;
use api::selector::label::{self, ValidateOptions};
use json::Value;

use super::super::fields::{At, items};
use super::super::strategy::Strategy;
use super::super::validation::{one_of, qualified_name, webhook};
use super::static_names;
use crate::admission::policy::{Known, MatchConditions, report};
use crate::admission::webhook::EXCLUDED;
use crate::context::RequestContext;

const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];
const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
const MOST_CONDITIONS: usize = 64;

/// The semantics of both kinds.
#[derive(Debug, Clone, Copy)]
pub struct WebhookConfiguration {
    /// Is it the mutating kind?
    pub mutating: bool,
}

/// Rules an update need not keep where the old object broke them.
#[derive(Debug, Clone)]
struct Rules {
    no_side_effects: bool,
    known_review_version: bool,
    unique_names: bool,
    valid_selectors: bool,
    conditions: bool,
    /// Expressions that are there already.
    known: Known,
}

impl Rules {
    fn all() -> Rules {
        Rules {
            no_side_effects: true,
            known_review_version: true,
            unique_names: true,
            valid_selectors: true,
            conditions: true,
            known: Known::nothing(),
        }
    }

    fn for_update(new: &Value, old: &Value) -> Rules {
        let (old, new) = (items(old, "webhooks"), items(new, "webhooks"));
        let mut seen = HashSet::new();
        let harmless = |hook: &Value| hook["sideEffects"].as_str().is_some_and(|own| NO_SIDE_EFFECTS.contains(&own));
        let selectors_are_valid = |hook: &Value| {
            ["namespaceSelector", "objectSelector"].iter().all(|selector| {
                label::validate(hook.get(*selector), ValidateOptions::default(), &api::field::Path::nil()).is_empty()
            })
        };
        Rules {
            no_side_effects: old.iter().all(harmless),
            known_review_version: old.iter().all(|hook| {
                let versions = items(hook, "admissionReviewVersions");
                versions.is_empty() || versions.iter().any(is_known_review_version)
            }),
            unique_names: old.iter().all(|hook| seen.insert(hook["name"].as_str().unwrap_or_default())),
            valid_selectors: old.iter().all(selectors_are_valid),
            conditions: old.len() != new.len()
                || old.iter().zip(new).any(|(old, new)| items(old, "matchConditions") != items(new, "matchConditions")),
            known: Known::of_webhooks(old),
        }
    }
}

fn is_known_review_version(version: &Value) -> bool {
    version.as_str().is_some_and(|version| REVIEW_VERSIONS.contains(&version))
}

impl Strategy for WebhookConfiguration {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = self.faults(new, &Rules::all());
        errors.extend(static_names::refused(new));
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        self.faults(new, &Rules::for_update(new, old))
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let hooks = At::root(new).field("webhooks");
        hooks.items().flat_map(|hook| hook.field("rules").items()).flat_map(|rule| without_effect(&rule)).collect()
    }

    fn warnings_on_update(&self, ctx: &RequestContext, new: &Value, _old: &Value) -> Vec<String> {
        static_names::warning(new).into_iter().chain(self.warnings_on_create(ctx, new)).collect()
    }
}

/// The reviews a rule names that no webhook is asked about. Upstream: warningsForExcludedRules.
fn without_effect(rule: &At<'_>) -> Vec<String> {
    let (groups, resources) = (rule.field("apiGroups"), rule.field("resources"));
    if groups.slice().iter().chain(resources.slice()).any(|own| own == "*") {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for group in groups.slice().iter().filter_map(Value::as_str) {
        for resource in resources.slice().iter().filter_map(Value::as_str) {
            let warning = format!(
                "{}: {resource}.{group} is excluded from admission webhooks; this rule will have no effect",
                rule.path
            );
            if EXCLUDED.contains(&(group, resource)) && !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

impl WebhookConfiguration {
    fn faults(self, new: &Value, rules: &Rules) -> ErrorList {
        let mut errors = ErrorList::new();
        let mut seen = HashSet::new();
        for hook in At::root(new).field("webhooks").items() {
            self.hook(&hook, rules, &mut errors);
            review_versions(&hook.field("admissionReviewVersions"), rules, &mut errors);
            let name = hook.field("name");
            if rules.unique_names && !name.str().is_empty() && !seen.insert(name.str()) {
                errors.push(name.duplicate());
            }
        }
        errors
    }

    fn hook(self, hook: &At<'_>, rules: &Rules, errors: &mut ErrorList) {
        let name = hook.field("name");
        errors.extend(names::is_fully_qualified_name(&name.path, name.str()));
        for rule in hook.field("rules").items() {
            self::rule(&rule, errors);
        }
        let one_of_if_set = |field: &'static str, supported: &[&str], errors: &mut ErrorList| {
            let own = hook.field(field);
            if own.is_set() {
                one_of(&own, supported, errors);
            }
        };
        one_of_if_set("failurePolicy", &["Fail", "Ignore"], errors);
        one_of_if_set("matchPolicy", &["Equivalent", "Exact"], errors);
        let side_effects = hook.field("sideEffects");
        let allowed: &[&str] = if rules.no_side_effects { &NO_SIDE_EFFECTS } else { &SIDE_EFFECTS };
        if side_effects.is_set() {
            one_of(&side_effects, allowed, errors);
        } else {
            errors.push(side_effects.required(format!("must specify one of {}", allowed.join(", "))));
        }
        let timeout = hook.field("timeoutSeconds");
        if timeout.is_set() && !(1..=30).contains(&timeout.int()) {
            errors.push(timeout.invalid_int("the timeout value must be between 1 and 30 seconds"));
        }
        let options =
            ValidateOptions { allow_invalid_label_value_in_selector: !rules.valid_selectors, ..Default::default() };
        for selector in ["namespaceSelector", "objectSelector"].map(|field| hook.field(field)) {
            errors.extend(label::validate(Some(selector.value), options, &selector.path));
        }
        if self.mutating {
            one_of_if_set("reinvocationPolicy", &["IfNeeded", "Never"], errors);
        }
        webhook::client_config(&hook.field("clientConfig"), errors);
        if rules.conditions {
            let list = hook.field("matchConditions");
            conditions(&list, &MatchConditions::of_webhook(list.value, &rules.known), errors);
        }
    }
}

fn review_versions(versions: &At<'_>, rules: &Rules, errors: &mut ErrorList) {
    if versions.is_empty() {
        errors.push(versions.required(format!("must specify one of {}", REVIEW_VERSIONS.join(", "))));
        return;
    }
    let mut seen = HashSet::new();
    for version in versions.items() {
        if !seen.insert(version.str()) {
            errors.push(version.invalid_str("duplicate version"));
            continue;
        }
        errors.extend(names::is_dns1035_label(version.str()).into_iter().map(|why| version.invalid_str(why)));
    }
    if rules.known_review_version && !versions.slice().iter().any(is_known_review_version) {
        errors.push(versions.invalid(format!("must include at least one of {}", REVIEW_VERSIONS.join(", "))));
    }
}

pub(super) fn rule(rule: &At<'_>, errors: &mut ErrorList) {
    let operations = rule.field("operations");
    star_alone(&operations, "operations", errors);
    for operation in operations.items() {
        one_of(&operation, &OPERATIONS, errors);
    }
    star_alone(&rule.field("apiGroups"), "API groups", errors);
    let versions = rule.field("apiVersions");
    star_alone(&versions, "API versions", errors);
    for version in versions.items().filter(|version| version.str().is_empty()) {
        errors.push(version.required(""));
    }
    resources(&rule.field("resources"), errors);
    let scope = rule.field("scope");
    if scope.is_set() {
        one_of(&scope, &SCOPES, errors);
    }
}

/// A list that must not be empty, and in which `*` stands alone.
fn star_alone(list: &At<'_>, what: &str, errors: &mut ErrorList) {
    if list.is_empty() {
        errors.push(list.required(""));
    }
    if list.slice().len() > 1 && list.slice().iter().any(|own| own == "*") {
        errors.push(list.invalid(format!("if '*' is present, must not specify other {what}")));
    }
}

fn resources(list: &At<'_>, errors: &mut ErrorList) {
    if list.is_empty() {
        errors.push(list.required(""));
    }
    let (mut all_of, mut in_all) = (HashSet::new(), HashSet::new());
    let (mut everything, mut every_resource, mut some_resource) = (false, false, false);
    for own in list.items() {
        match (own.str(), own.str().split_once('/')) {
            ("", _) => errors.push(own.required("")),
            (resource, None) => {
                every_resource |= resource == "*";
                // As upstream has it, the last one counts.
                some_resource = resource != "*";
            }
            (whole, Some((resource, subresource))) => {
                everything |= whole == "*/*";
                if all_of.contains(resource) {
                    let why = format!("if '{resource}/*' is present, must not specify {whole}");
                    errors.push(own.invalid_str(why));
                }
                if in_all.contains(subresource) {
                    let why = format!("if '*/{subresource}' is present, must not specify {whole}");
                    errors.push(own.invalid_str(why));
                }
                if subresource == "*" {
                    all_of.insert(resource);
                }
                if resource == "*" {
                    in_all.insert(subresource);
                }
            }
        }
    }
    if list.slice().len() > 1 && everything {
        errors.push(list.invalid("if '*/*' is present, must not specify other resources"));
    }
    if every_resource && some_resource {
        errors.push(list.invalid("if '*' is present, must not specify other resources without subresources"));
    }
}

pub(super) fn conditions(list: &At<'_>, compiled: &MatchConditions, errors: &mut ErrorList) {
    let count = list.slice().len();
    if count > MOST_CONDITIONS {
        errors.push(Error::too_many(&list.path, Some(count), MOST_CONDITIONS));
    }
    let mut seen = HashSet::new();
    let mut compiled = compiled.expressions();
    for condition in list.items() {
        let (expression, name) = (condition.field("expression"), condition.field("name"));
        if expression.str().trim().is_empty() {
            errors.push(expression.required(""));
        }
        report(&expression, compiled.next(), errors);
        if name.str().is_empty() {
            errors.push(name.required(""));
            continue;
        }
        qualified_name(&name, errors);
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
    }
}
