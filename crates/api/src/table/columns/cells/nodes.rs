//! Nodes and component statuses.

use super::*;
use std::collections::BTreeSet;

pub(in super::super) fn node_status(node: &Value, _: &Context<'_>) -> Value {
    // The last condition of a type counts, as upstream keeps them in a map.
    let ready = items_at(node, "status.conditions").iter().rfind(|condition| str_at(condition, "type") == "Ready");
    let status = match ready.map(|condition| str_at(condition, "status")) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    };
    let cordoned = boolean_at(node, "spec.unschedulable") == Some(true);
    format!("{status}{}", if cordoned { ",SchedulingDisabled" } else { "" }).into()
}

pub(in super::super) fn node_roles(node: &Value, _: &Context<'_>) -> Value {
    let role = |(key, value): (&json::Text, &Value)| match key.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()),
        None if key == "kubernetes.io/role" => value.as_str().map(str::to_owned),
        None => None,
    };
    let roles: BTreeSet<String> = crate::meta::labels(node).into_iter().flatten().filter_map(role).collect();
    let roles: Vec<String> = roles.into_iter().filter(|role| !role.is_empty()).collect();
    if roles.is_empty() { "<none>".into() } else { roles.join(",").into() }
}

pub(in super::super) fn node_internal_ip(node: &Value, _: &Context<'_>) -> Value {
    node_address(node, "InternalIP")
}

pub(in super::super) fn node_external_ip(node: &Value, _: &Context<'_>) -> Value {
    node_address(node, "ExternalIP")
}

pub(in super::super) fn node_kernel(node: &Value, _: &Context<'_>) -> Value {
    let version = match str_at(node, "status.nodeInfo.kernelVersion") {
        "" => "<unknown>",
        version => version,
    };
    match str_at(node, "status.nodeInfo.architecture") {
        "" => version.into(),
        architecture => format!("{version} ({architecture})").into(),
    }
}

pub(in super::super) fn component_status(component: &Value, _: &Context<'_>) -> Value {
    match condition(component, "conditions", "Healthy").map(|condition| str_at(condition, "status")) {
        None => "Unknown".into(),
        Some("True") => "Healthy".into(),
        Some(_) => "Unhealthy".into(),
    }
}

pub(in super::super) fn component_message(component: &Value, _: &Context<'_>) -> Value {
    condition(component, "conditions", "Healthy").map(|c| str_at(c, "message")).unwrap_or_default().into()
}

pub(in super::super) fn component_error(component: &Value, _: &Context<'_>) -> Value {
    condition(component, "conditions", "Healthy").map(|c| str_at(c, "error")).unwrap_or_default().into()
}

fn node_address(node: &Value, r#type: &str) -> Value {
    let found = items_at(node, "status.addresses").iter().find(|address| str_at(address, "type") == r#type);
    found.map_or("<none>", |address| str_at(address, "address")).into()
}
