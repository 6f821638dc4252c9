//! Label maps and label selectors. Upstream: apimachinery pkg/apis/meta/v1/validation.

use api::field::{Error, ErrorList};
use api::names;
use json::{Map, Value};

use super::super::fields::At;
use super::{named, qualified_name};

/// Keys and values of a label map, all reported at the map.
pub(crate) fn labels(at: &At<'_>, errors: &mut ErrorList) {
    for (key, value) in at.entries() {
        let complaints = names::is_qualified_name(key).into_iter();
        errors.extend(complaints.map(|complaint| Error::invalid(&at.path, key, complaint)));
        let complaints = names::is_valid_label_value(value.str()).into_iter();
        errors.extend(complaints.map(|complaint| Error::invalid(&at.path, value.str(), complaint)));
    }
}

/// A metav1.LabelSelector; absent is fine.
pub(crate) fn label_selector(at: &At<'_>, errors: &mut ErrorList) {
    labels(&at.field("matchLabels"), errors);
    for requirement in at.field("matchExpressions").items() {
        let values = requirement.field("values");
        match requirement.text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                errors.push(values.required("must be specified when `operator` is 'In' or 'NotIn'"));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.push(values.forbidden("may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            _ => errors.push(requirement.field("operator").invalid_str("not a valid selector operator")),
        }
        qualified_name(&requirement.field("key"), errors);
        for value in values.items() {
            named(&value, names::is_valid_label_value(value.str()), errors);
        }
    }
}

/// Does a selector select nothing in particular? Upstream: len(MatchLabels)+len(MatchExpressions) == 0.
pub(crate) fn is_empty(selector: &Value) -> bool {
    ["matchLabels", "matchExpressions"].iter().all(|part| {
        selector.get(part).is_none_or(|part| match part {
            Value::Object(labels) => labels.is_empty(),
            Value::Array(expressions) => expressions.is_empty(),
            _ => true,
        })
    })
}

/// Does a (valid) selector match the labels?
pub(crate) fn matches(selector: &Value, labels: Option<&Map>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let wanted = At::root(selector);
    let all_labels = wanted.field("matchLabels").entries().all(|(key, value)| label(key) == Some(value.str()));
    all_labels
        && wanted.field("matchExpressions").items().all(|requirement| {
            let own = label(requirement.text("key"));
            let listed = || requirement.field("values").items().any(|value| own == Some(value.str()));
            match requirement.text("operator") {
                "In" => own.is_some() && listed(),
                "NotIn" => own.is_none() || !listed(),
                "Exists" => own.is_some(),
                "DoesNotExist" => own.is_none(),
                _ => false,
            }
        })
}
