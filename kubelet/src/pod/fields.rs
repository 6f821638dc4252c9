//! The downward API: fields of a pod and resources of a container as text. Upstream: `fieldpath`, `resource.ExtractContainerResourceValue`.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceFieldSelector};

use super::PodExt;
use crate::resources::{Side, milli, of_container, value};

/// Why a field cannot be had.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("unsupported fieldPath: {0}")]
    UnsupportedField(String),
    #[error("container {0} not found")]
    NoContainer(String),
    #[error("unsupported container resource : {0}")]
    UnsupportedResource(String),
}

/// What only the node knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeFacts {
    pub(crate) host_ips: Vec<String>,
    /// Milli-CPUs and bytes: what a container without a limit may use.
    pub(crate) allocatable_cpu: i64,
    pub(crate) allocatable_memory: i64,
    pub(crate) allocatable_storage: i64,
}

/// The value of `path`, with the pod's addresses given apart since the API may not know them yet.
pub(crate) fn field(pod: &Pod, path: &str, node: &NodeFacts, pod_ips: &[String]) -> Result<String, Error> {
    let metadata = &pod.metadata;
    if let Some((list, key)) = subscript(path) {
        let from = match list {
            "metadata.annotations" => metadata.annotations.as_ref(),
            "metadata.labels" => metadata.labels.as_ref(),
            _ => return Err(Error::UnsupportedField(path.into())),
        };
        return Ok(from.and_then(|from| from.get(key)).cloned().unwrap_or_default());
    }
    let spec = pod.spec();
    Ok(match path {
        "metadata.name" => pod.name().to_owned(),
        "metadata.namespace" => pod.namespace().to_owned(),
        "metadata.uid" => pod.uid().to_owned(),
        "metadata.annotations" => format_map(metadata.annotations.iter().flatten()),
        "metadata.labels" => format_map(metadata.labels.iter().flatten()),
        "spec.nodeName" => spec.node_name.clone().unwrap_or_default(),
        "spec.serviceAccountName" => spec.service_account_name.clone().unwrap_or_default(),
        "status.hostIP" => node.host_ips.first().cloned().unwrap_or_default(),
        "status.hostIPs" => node.host_ips.join(","),
        "status.podIP" => pod_ips.first().cloned().unwrap_or_default(),
        "status.podIPs" => pod_ips.join(","),
        "status.phase" => pod.status().phase.clone().unwrap_or_default(),
        _ => return Err(Error::UnsupportedField(path.into())),
    })
}

/// `list['key']` taken apart.
fn subscript(path: &str) -> Option<(&str, &str)> {
    let (list, rest) = path.split_once("['")?;
    Some((list, rest.strip_suffix("']")?))
}

/// One `key="value"` a line, the value quoted as Go does.
fn format_map<'a>(map: impl Iterator<Item = (&'a String, &'a String)>) -> String {
    map.map(|(key, value)| format!("{key}={}", quote(value))).collect::<Vec<_>>().join("\n")
}

fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A resource of a container divided by the selector's divisor, rounded up. Limits that are not set are what the node has.
pub(crate) fn resource(
    pod: &Pod,
    own: Option<&Container>,
    selector: &ResourceFieldSelector,
    node: &NodeFacts,
) -> Result<String, Error> {
    let name = selector.container_name.as_deref().unwrap_or_default();
    let named = if name.is_empty() { None } else { pod.container(name).map(|(_, container)| container) };
    let container = match (&named, own) {
        (Some(named), _) => named,
        (None, Some(own)) if name.is_empty() => own,
        _ => return Err(Error::NoContainer(name.into())),
    };
    let unsupported = || Error::UnsupportedResource(selector.resource.clone());
    let (side, resource) = selector.resource.split_once('.').ok_or_else(unsupported)?;
    let side = match side {
        "limits" => Side::Limits,
        "requests" => Side::Requests,
        _ => return Err(unsupported()),
    };
    let set = of_container(container, side).get(resource).copied();
    let of_node = match (side, resource) {
        (Side::Limits, "cpu") => node.allocatable_cpu,
        (Side::Limits, "memory") => node.allocatable_memory,
        (Side::Limits, "ephemeral-storage") => node.allocatable_storage,
        _ => 0,
    };
    let amount = match set {
        Some(amount) if amount > 0 => amount,
        _ => of_node,
    };
    let divisor = selector.divisor.as_ref().filter(|divisor| milli(divisor) > 0);
    let divisor = match (resource, divisor) {
        ("cpu", Some(divisor)) => milli(divisor),
        ("cpu", None) => 1000,
        (_, Some(divisor)) => value(divisor),
        (_, None) => 1,
    };
    Ok(((amount + divisor - 1) / divisor).to_string())
}
