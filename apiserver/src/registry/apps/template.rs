//! What workloads have in common: a template that the selector matches, pods that run for ever, counts of replicas.

use api::field::{Error, ErrorList};
use api::meta;
use json::Value;

use super::super::fields::{At, at};
use super::super::validation::{nonnegative, pod_spec, selector};

/// `spec.selector`: given, valid, and choosing something. `kind` is how upstream calls the workload.
pub(crate) fn required_selector(spec: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let own = spec.field("selector");
    if !own.is_set() {
        errors.push(own.required(""));
        return;
    }
    selector::label_selector(&own, errors);
    if selector::is_empty(own.value) {
        errors.push(own.invalid(format!("empty selector is invalid for {kind}")));
    }
}

/// A template whose labels the selector matches: an empty one matches all, an absent one nothing.
pub(crate) fn for_selector(template: &At<'_>, own: &At<'_>, errors: &mut ErrorList) {
    let mut faults = ErrorList::new();
    selector::label_selector(own, &mut faults);
    if !faults.is_empty() {
        errors.push(own.invalid("invalid label selector"));
        return;
    }
    if !own.is_set() || !selector::is_empty(own.value) {
        labels_match(template, own.value, errors);
    }
    pod_spec::template(template, errors);
}

pub(crate) fn labels_match(template: &At<'_>, selector: &Value, errors: &mut ErrorList) {
    if selector.is_null() || !selector::matches(selector, meta::labels(template.value)) {
        let labels = template.field("metadata").field("labels");
        let shown = if labels.is_set() { labels.bad() } else { api::field::BadValue::Verbatim("null".to_owned()) };
        errors.push(Error::invalid(&labels.path, shown, "`selector` does not match template `labels`"));
    }
}

/// restartPolicy Always, no deadline.
pub(crate) fn runs_for_ever(template: &At<'_>, kind: &str, errors: &mut ErrorList) {
    let spec = template.field("spec");
    let policy = spec.field("restartPolicy");
    if policy.str() != "Always" {
        errors.push(policy.not_supported(&["Always"]));
    }
    if spec.has("activeDeadlineSeconds") {
        let detail = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(spec.field("activeDeadlineSeconds").forbidden(detail));
    }
}

/// Counts in a status: none negative, none above `replicas`, no more available than ready.
pub(crate) fn replica_counts(object: &Value, fields: &[&'static str], errors: &mut ErrorList) {
    let status = At::root(object).field("status");
    for field in fields {
        nonnegative(&status.field(field), errors);
    }
    let replicas = status.field("replicas").int();
    for field in fields.iter().filter(|field| field.ends_with("Replicas")) {
        let unbounded = matches!(*field, "unavailableReplicas" | "terminatingReplicas");
        if !unbounded && status.field(field).int() > replicas {
            errors.push(status.field(field).invalid_int("cannot be greater than status.replicas"));
        }
    }
    if status.field("availableReplicas").int() > status.field("readyReplicas").int() {
        errors.push(status.field("availableReplicas").invalid_int("cannot be greater than readyReplicas"));
    }
}

/// A counter that only grows.
pub(crate) fn collision_count(new: &Value, old: &Value, errors: &mut ErrorList) {
    let count = At::root(new).field("status").field("collisionCount");
    if at(old, &["status", "collisionCount"]).as_i64().is_some_and(|old| count.int() < old) {
        errors.push(count.invalid_int("cannot be decremented"));
    }
}

/// `25%` or a number, as a number.
pub(crate) fn amount(value: &Value) -> i64 {
    super::super::validation::percent_of(value).or_else(|| value.as_i64()).unwrap_or_default()
}
