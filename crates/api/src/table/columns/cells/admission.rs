//! Admission policies, custom resource definitions, aggregated services.

use super::*;
use json::Map;

pub(in super::super) fn policy_param_kind(policy: &Value, _: &Context<'_>) -> Value {
    match at(policy, "spec.paramKind").filter(|kind| !kind.is_null()) {
        None => "<unset>".into(),
        Some(kind) => format!("{}/{}", str_at(kind, "apiVersion"), str_at(kind, "kind")).into(),
    }
}

pub(in super::super) fn policy_param_ref(binding: &Value, _: &Context<'_>) -> Value {
    let Some(reference) = at(binding, "spec.paramRef") else { return "<unset>".into() };
    match (str_at(reference, "name"), str_at(reference, "namespace"), reference.get("selector")) {
        ("", _, None | Some(Value::Null)) => "<unset>".into(),
        ("", _, Some(selector)) => selector_debug(selector).into(),
        (name, "", _) => format!("*/{name}").into(),
        (name, namespace, _) => format!("{namespace}/{name}").into(),
    }
}

pub(in super::super) fn crd_versions(definition: &Value, _: &Context<'_>) -> Value {
    let served = items_at(definition, "spec.versions").iter().filter(|v| boolean_at(v, "served") == Some(true));
    let label = |version: &Value| {
        let stored = boolean_at(version, "storage") == Some(true);
        format!("{}{}", str_at(version, "name"), if stored { "(storage)" } else { "" })
    };
    let mut versions: Vec<String> = served.map(label).collect();
    versions.sort_unstable();
    versions.join(",").into()
}

pub(in super::super) fn crd_established(definition: &Value, _: &Context<'_>) -> Value {
    condition_is_true(definition, "status.conditions", "Established").into()
}

pub(in super::super) fn api_service(service: &Value, _: &Context<'_>) -> Value {
    match at(service, "spec.service").filter(|service| !service.is_null()) {
        None => "Local".into(),
        Some(service) => format!("{}/{}", str_at(service, "namespace"), str_at(service, "name")).into(),
    }
}

pub(in super::super) fn api_service_available(service: &Value, _: &Context<'_>) -> Value {
    let Some(available) = condition(service, "status.conditions", "Available") else { return "Unknown".into() };
    match (str_at(available, "status"), str_at(available, "reason")) {
        ("True", _) => "True".into(),
        (status, "") => status.into(),
        (status, reason) => format!("{status} ({reason})").into(),
    }
}

/// A LabelSelector as generated Go code prints it.
fn selector_debug(selector: &Value) -> String {
    let empty = Map::new();
    let labels = selector.get("matchLabels").and_then(Value::as_object).unwrap_or(&empty);
    let mut labels: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default())).collect();
    labels.sort_unstable();
    let expression = |expression: &Value| {
        let values: Vec<&str> = items_at(expression, "values").iter().filter_map(Value::as_str).collect();
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{}],}},",
            str_at(expression, "key"),
            str_at(expression, "operator"),
            values.join(" ")
        )
    };
    let expressions: String = items_at(selector, "matchExpressions").iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}",
        labels.concat()
    )
}
