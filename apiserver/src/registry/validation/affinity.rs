//! Affinity, tolerations and spreading. Upstream: validateAffinity, ValidateTolerations, validateTopologySpreadConstraints.

use api::field::{Error, ErrorList};
use api::names;

use super::super::fields::At;
use super::selector::label_selector;
use super::{named, one_of, optional_one_of, positive, qualified_name};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub(super) fn affinity(at: &At<'_>, errors: &mut ErrorList) {
    let node = at.field("nodeAffinity");
    if node.has(REQUIRED) {
        node_selector(&node.field(REQUIRED), errors);
    }
    for term in node.field(PREFERRED).items() {
        weight(&term, errors);
        node_selector_term(&term.field("preference"), true, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = at.field(kind);
        pods.field(REQUIRED).items().for_each(|term| pod_term(&term, errors));
        for term in pods.field(PREFERRED).items() {
            weight(&term, errors);
            pod_term(&term.field("podAffinityTerm"), errors);
        }
    }
}

fn weight(term: &At<'_>, errors: &mut ErrorList) {
    let weight = term.field("weight");
    if !(1..=100).contains(&weight.int()) {
        errors.push(weight.invalid_int("must be in the range 1-100"));
    }
}

/// Upstream: ValidateNodeSelector.
pub(crate) fn node_selector(at: &At<'_>, errors: &mut ErrorList) {
    let terms = at.field("nodeSelectorTerms");
    if terms.is_empty() {
        errors.push(terms.required("must have at least one node selector term"));
    }
    terms.items().for_each(|term| node_selector_term(&term, false, errors));
}

fn node_selector_term(at: &At<'_>, any_values: bool, errors: &mut ErrorList) {
    for requirement in at.field("matchExpressions").items() {
        let (operator, values) = (requirement.field("operator"), requirement.field("values"));
        match operator.str() {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "Gt" | "Lt" if values.slice().len() != 1 => {
                errors.push(values.required("must be specified single value when `operator` is 'Lt' or 'Gt'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            _ => errors.push(operator.invalid_str("not a valid selector operator")),
        }
        qualified_name(&requirement.field("key"), errors);
        if !any_values {
            values.items().for_each(|value| named(&value, names::is_valid_label_value(value.str()), errors));
        }
    }
    for requirement in at.field("matchFields").items() {
        let (operator, values, key) =
            (requirement.field("operator"), requirement.field("values"), requirement.field("key"));
        if !matches!(operator.str(), "In" | "NotIn") {
            errors.push(operator.invalid_str("not a valid selector operator"));
        } else if values.slice().len() != 1 {
            errors.push(
                values.required("must be only one value when `operator` is 'In' or 'NotIn' for node field selector"),
            );
        }
        if key.str() == "metadata.name" {
            values.items().for_each(|value| named(&value, names::name_is_dns_subdomain(value.str(), false), errors));
        } else {
            errors.push(key.invalid_str("not a valid field selector key"));
        }
    }
}

fn pod_term(at: &At<'_>, errors: &mut ErrorList) {
    label_selector(&at.field("labelSelector"), errors);
    label_selector(&at.field("namespaceSelector"), errors);
    let namespace = at.path.child("namespace");
    for name in at.field("namespaces").items() {
        named(&At::new(name.value, namespace.clone()), names::name_is_dns_label(name.str(), false), errors);
    }
    match_label_keys(at, errors);
    let key = at.field("topologyKey");
    if key.str().is_empty() {
        errors.push(key.required("can not be empty"));
    }
    qualified_name(&key, errors);
}

/// Upstream: ValidateMatchLabelKeysAndMismatchLabelKeys.
fn match_label_keys(at: &At<'_>, errors: &mut ErrorList) {
    let selector = at.field("labelSelector");
    let (matching, mismatching) = (at.field("matchLabelKeys"), at.field("mismatchLabelKeys"));
    for keys in [&matching, &mismatching] {
        if keys.is_empty() {
        } else if !selector.is_set() {
            errors.push(keys.forbidden("must not be specified when labelSelector is not set"));
        } else {
            keys.items().for_each(|key| qualified_name(&key, errors));
        }
    }
    let mut selected: Vec<&str> = selector.field("matchLabels").entries().map(|(key, _)| key).collect();
    for expression in selector.field("matchExpressions").items() {
        let key = expression.text("key");
        let index = matching.items().position(|own| own.str() == key);
        if let Some(index) = index
            && selected.contains(&key)
        {
            errors.push(Error::invalid(&at.path.index(index), key, "exists in both matchLabelKeys and labelSelector"));
        }
        selected.push(key);
    }
    for key in matching.items() {
        if mismatching.items().any(|own| own.str() == key.str()) {
            errors.push(key.invalid_str("exists in both matchLabelKeys and mismatchLabelKeys"));
        }
    }
}

pub(crate) fn tolerations(at: &At<'_>, errors: &mut ErrorList) {
    for toleration in at.items() {
        let (key, operator, effect) =
            (toleration.field("key"), toleration.field("operator"), toleration.field("effect"));
        let value = toleration.text("value");
        if !key.str().is_empty() {
            qualified_name(&key, errors);
        }
        if key.str().is_empty() && operator.str() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(operator.invalid_str(detail));
        }
        if toleration.has("tolerationSeconds") && effect.str() != "NoExecute" {
            errors.push(effect.invalid_str("effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        let mut bad = |detail: String| errors.push(Error::invalid(&operator.path, value, detail));
        match operator.str() {
            "Equal" | "" => {
                let complaints = names::is_valid_label_value(value);
                if !complaints.is_empty() {
                    bad(complaints.join(";"));
                }
            }
            "Exists" if !value.is_empty() => bad("value must be empty when `operator` is 'Exists'".to_owned()),
            "Exists" => {}
            "Lt" | "Gt" => errors.push(operator.not_supported(&["Equal", "Exists", "Lt", "Gt"])),
            _ => errors.push(operator.not_supported(&["Equal", "Exists"])),
        }
        if !effect.str().is_empty() {
            one_of(&effect, &EFFECTS, errors);
        }
    }
}

/// A taint's effect must be given. Upstream: validateTaintEffect.
pub(crate) fn taint_effect(at: &At<'_>, errors: &mut ErrorList) {
    super::required_one_of(at, &EFFECTS, errors);
}

pub(super) fn spread_constraints(at: &At<'_>, errors: &mut ErrorList) {
    let kind = |constraint: &At<'_>| {
        (constraint.text("topologyKey").to_owned(), constraint.text("whenUnsatisfiable").to_owned())
    };
    let all: Vec<_> = at.items().map(|constraint| kind(&constraint)).collect();
    for (index, constraint) in at.items().enumerate() {
        let skew = constraint.field("maxSkew");
        if skew.int() <= 0 {
            errors.push(skew.invalid_int("must be greater than zero"));
        }
        if constraint.text("topologyKey").is_empty() {
            errors.push(constraint.field("topologyKey").required("can not be empty"));
        }
        let action = constraint.field("whenUnsatisfiable");
        one_of(&action, &["DoNotSchedule", "ScheduleAnyway"], errors);
        let own = &all[index];
        if all[index + 1..].contains(own) {
            let path = constraint.path.child("{topologyKey, whenUnsatisfiable}");
            errors.push(Error::duplicate(&path, format!("{{{}, {}}}", own.0, own.1)));
        }
        let domains = constraint.field("minDomains");
        if domains.is_set() {
            positive(&domains, errors);
            if action.str() != "DoNotSchedule" {
                let detail =
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}", action.str());
                errors.push(domains.invalid_int(detail));
            }
        }
        optional_one_of(&constraint.field("nodeAffinityPolicy"), &["Honor", "Ignore"], errors);
        optional_one_of(&constraint.field("nodeTaintsPolicy"), &["Honor", "Ignore"], errors);
        match_label_keys(&constraint, errors);
        label_selector(&constraint.field("labelSelector"), errors);
    }
}
