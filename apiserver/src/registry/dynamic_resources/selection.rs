//! Where devices are and when they are ready: node selection and binding conditions, of slices, devices and allocations.

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::super::fields::At;
use super::super::validation::{affinity, named, qualified_name};
use super::list;

const MAX_BINDING_CONDITIONS: usize = 4;
const TRUE_OR_UNSET: &str = "must be either unset or set to true";

/// The fields of `at` that say on which nodes something is, of those named; `empty` is told of an empty node name.
pub(super) fn chosen(at: &At<'_>, flags: &[&'static str], empty: &str, errors: &mut ErrorList) -> Vec<&'static str> {
    let mut chosen = Vec::new();
    let node = at.field("nodeName");
    if !node.str().is_empty() {
        chosen.push("nodeName");
        named(&node, names::name_is_dns_subdomain(node.str(), false), errors);
    } else if node.is_set() {
        errors.push(node.invalid_str(empty));
    }
    let selector = at.field("nodeSelector");
    if selector.is_set() {
        chosen.push("nodeSelector");
        affinity::node_selector(&selector, errors);
    }
    for &name in flags.iter().filter(|name| at.has(name)) {
        let flag = at.field(name);
        if flag.bool() { chosen.push(name) } else { errors.push(flag.invalid(TRUE_OR_UNSET)) }
    }
    chosen
}

/// Complains unless exactly one is chosen; `none` is told of none, `several` of more.
pub(super) fn exactly_one(at: &At<'_>, chosen: &[&str], none: &str, several: &str, errors: &mut ErrorList) {
    match chosen {
        [] => errors.push(at.required(none)),
        [_] => {}
        _ => {
            let shown: Vec<String> = chosen.iter().map(|field| format!("`{field}`")).collect();
            errors.push(Error::invalid(&at.path, format!("{{{}}}", shown.join(", ")), several));
        }
    }
}

/// Conditions that say that a device is ready, and that it will never be. Upstream: validateDeviceBindingParameters.
pub(super) fn binding_conditions(at: &At<'_>, errors: &mut ErrorList) {
    let (ready, failed) = (at.field("bindingConditions"), at.field("bindingFailureConditions"));
    for conditions in [&ready, &failed] {
        list(conditions, MAX_BINDING_CONDITIONS, errors, qualified_name);
        for (index, condition) in conditions.items().enumerate() {
            if conditions.slice()[..index].contains(condition.value) {
                errors.push(condition.duplicate());
            }
        }
    }
    for condition in failed.items().filter(|condition| ready.slice().contains(condition.value)) {
        errors.push(condition.invalid_str("bindingFailureConditions must not overlap with bindingConditions"));
    }
    let mut missing = |at: &At<'_>, detail: &str| errors.push(Error::invalid(&at.path, Value::Null, detail));
    match (ready.is_empty(), failed.is_empty()) {
        (true, false) => missing(&ready, "bindingConditions are required to use bindingFailureConditions"),
        (false, true) => missing(&failed, "bindingFailureConditions are required to use bindingConditions"),
        _ => {}
    }
}
