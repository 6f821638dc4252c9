//! What policies and bindings say alike: what they are for, and what parameters they take.
//! Upstream: validateMatchResources, validateParamKind, validateParamRef.

use std::collections::HashSet;

use api::field::{Error, ErrorList};
use api::names;
use api::selector::label::{self, ValidateOptions};

use super::super::fields::At;
use super::super::validation::one_of;
use super::webhook_configuration::rule;

/// `matchConstraints` and `matchResources`.
pub(super) fn match_resources(resources: &At<'_>, errors: &mut ErrorList) {
    let policy = resources.field("matchPolicy");
    if policy.is_set() {
        one_of(&policy, &["Equivalent", "Exact"], errors);
    } else {
        errors.push(policy.required(""));
    }
    for selector in ["namespaceSelector", "objectSelector"].map(|field| resources.field(field)) {
        if selector.is_set() {
            errors.extend(label::validate(Some(selector.value), ValidateOptions::default(), &selector.path));
        } else {
            errors.push(selector.required(""));
        }
    }
    for list in ["resourceRules", "excludeResourceRules"].map(|field| resources.field(field)) {
        for rule in list.items() {
            named_rule(&rule, errors);
        }
    }
}

fn named_rule(named: &At<'_>, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for name in named.field("resourceNames").items() {
        errors.extend(names::name_is_path_segment(name.str(), false).into_iter().map(|why| name.invalid_str(why)));
        if !seen.insert(name.str()) {
            errors.push(name.duplicate());
        }
    }
    rule(named, errors);
}

/// `paramKind`
pub(super) fn param_kind(kind: &At<'_>, errors: &mut ErrorList) {
    let version = kind.field("apiVersion");
    let parts: Vec<&str> = version.str().split('/').collect();
    let invalid = |value: &str, why: Vec<String>| Error::invalid(&version.path, value, why.join(","));
    match parts.as_slice() {
        [""] => errors.push(version.required("")),
        [_, _, _, ..] => {
            errors.push(version.invalid_str(format!("unexpected GroupVersion string: {}", version.str())));
        }
        [.., own] => {
            let group = if parts.len() == 2 { parts[0] } else { "" };
            let faults = if group.is_empty() { Vec::new() } else { names::is_dns1123_subdomain(group) };
            if !faults.is_empty() {
                errors.push(invalid(group, faults));
            }
            let faults = names::is_dns1035_label(own);
            if own.is_empty() {
                errors.push(version.invalid_str("version must be specified"));
            } else if !faults.is_empty() {
                errors.push(invalid(own, faults));
            }
        }
        [] => {}
    }
    let name = kind.field("kind");
    let faults = names::is_dns1035_label(&name.str().to_lowercase());
    if name.str().is_empty() {
        errors.push(name.required(""));
    } else if !faults.is_empty() {
        let detail = format!("may have mixed case, but should otherwise match: {}", faults.join(","));
        errors.push(name.invalid_str(detail));
    }
}

/// `paramRef`
pub(super) fn param_ref(reference: &At<'_>, errors: &mut ErrorList) {
    let (name, selector) = (reference.field("name"), reference.field("selector"));
    let exclusive = "name and selector are mutually exclusive";
    let is_named = !name.str().is_empty();
    if is_named {
        errors.extend(names::name_is_path_segment(name.str(), false).into_iter().map(|why| name.invalid_str(why)));
        if selector.is_set() {
            errors.push(name.forbidden(exclusive));
        }
    }
    if selector.is_set() {
        errors.extend(label::validate(Some(selector.value), ValidateOptions::default(), &selector.path));
        if is_named {
            errors.push(selector.forbidden(exclusive));
        }
    } else if !is_named {
        errors.push(reference.required("one of name or selector must be specified"));
    }
    let action = reference.field("parameterNotFoundAction");
    if action.str().is_empty() {
        errors.push(action.required(""));
    } else {
        one_of(&action, &["Deny", "Allow"], errors);
    }
}
