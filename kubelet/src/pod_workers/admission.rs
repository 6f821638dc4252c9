//! Whether the node takes a pod that was assigned to it: pure. Upstream: `lifecycle.predicateAdmitHandler`.
//!
//! The scheduler has looked already; this catches pods that were assigned by hand, or that two schedulers gave the same room.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{NodeSelectorRequirement, Pod};

use crate::eviction::Pressure;
use crate::eviction::rank::is_critical;
use crate::pod::qos::{QosClass, qos_class};
use crate::pod::{PodExt, is_sidecar};
use crate::resources::{Amounts, Side, of_pod};

/// Why a pod is refused: reason and message of its status and event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Refusal {
    fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.into(), message: message.into() }
    }
}

/// What the node looks like to a pod that asks to be let in.
#[derive(Debug, Default)]
pub(crate) struct NodeView {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) allocatable: Amounts,
    /// What the node's other pods have.
    pub(crate) used: Amounts,
    pub(crate) pods: i64,
    /// Host ports in use: address ("" for all), protocol, port.
    pub(crate) host_ports: Vec<(String, String, i32)>,
    pub(crate) allowed_unsafe_sysctls: Vec<String>,
    pub(crate) pressure: Pressure,
}

/// Sysctls that concern only the pod's own namespaces. Upstream: `sysctl.SafeSysctlAllowlist`.
const SAFE_SYSCTLS: [&str; 11] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
];

/// The host ports a pod takes.
pub(crate) fn host_ports(pod: &Pod) -> Vec<(String, String, i32)> {
    let sidecars = pod.init_containers().iter().filter(|container| is_sidecar(container));
    let ports = pod.containers().iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|port| *port > 0)?;
            let address = port.host_ip.clone().filter(|ip| ip != "0.0.0.0" && ip != "::").unwrap_or_default();
            Some((address, port.protocol.clone().unwrap_or_else(|| "TCP".into()), number))
        })
        .collect()
}

/// Takes the pod or says why not.
pub(crate) fn admit(pod: &Pod, node: &NodeView) -> Result<(), Refusal> {
    pressure(pod, node)?;
    sysctls(pod, node)?;
    if let Some(os) = pod.spec().os.as_ref().filter(|os| os.name != "linux") {
        return Err(Refusal::new(
            "PodOSNotSupported",
            format!("Failed to admit pod as the OS field doesn't match node OS: {}", os.name),
        ));
    }
    if !selected(pod, node) {
        return Err(Refusal::new(
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ));
    }
    let wanted = host_ports(pod);
    let conflicts = |(address, protocol, port): &(String, String, i32)| {
        node.host_ports.iter().any(|(taken, taken_protocol, taken_port)| {
            port == taken_port
                && protocol == taken_protocol
                && (address == taken || address.is_empty() || taken.is_empty())
        })
    };
    if wanted.iter().any(conflicts) {
        return Err(Refusal::new(
            "NodePorts",
            "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports",
        ));
    }
    let out_of = |resource: &str, requested: i64, used: i64, capacity: i64| {
        Err(Refusal::new(
            &format!("OutOf{resource}"),
            format!(
                "Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, capacity: {capacity}"
            ),
        ))
    };
    let room = node.allocatable.get("pods").copied().unwrap_or(0);
    if node.pods + 1 > room {
        return out_of("pods", 1, node.pods, room);
    }
    for (resource, requested) in of_pod(pod, Side::Requests) {
        let capacity = node.allocatable.get(&resource).copied();
        let used = node.used.get(&resource).copied().unwrap_or(0);
        match capacity {
            Some(capacity) if requested > 0 && used + requested > capacity => {
                return out_of(&resource, requested, used, capacity);
            }
            _ => {}
        }
    }
    Ok(())
}

/// A node that is short of something takes only what it needs itself; short of memory alone also what has asked for some.
fn pressure(pod: &Pod, node: &NodeView) -> Result<(), Refusal> {
    let tolerates_memory = pod.spec().tolerations.iter().flatten().any(|toleration| {
        toleration.key.as_deref() == Some("node.kubernetes.io/memory-pressure") || toleration.key.is_none()
    });
    let by_memory = node.pressure.memory && qos_class(pod) == QosClass::BestEffort && !tolerates_memory;
    if is_critical(pod) || !(by_memory || node.pressure.disk) {
        return Ok(());
    }
    let condition = if node.pressure.disk { "DiskPressure" } else { "MemoryPressure" };
    Err(Refusal::new("Evicted", format!("The node had condition: [{condition}]. ")))
}

fn sysctls(pod: &Pod, node: &NodeView) -> Result<(), Refusal> {
    let context = pod.spec().security_context.as_ref();
    for sysctl in context.and_then(|context| context.sysctls.as_ref()).into_iter().flatten() {
        let name = sysctl.name.replace('/', ".");
        let allowed = SAFE_SYSCTLS.contains(&name.as_str())
            || name == "net.ipv4.tcp_wmem"
            || node.allowed_unsafe_sysctls.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => *pattern == name,
            });
        if !allowed {
            return Err(Refusal::new(
                "SysctlForbidden",
                format!("forbidden sysctl: \"{}\" not allowlisted", sysctl.name),
            ));
        }
    }
    Ok(())
}

fn selected(pod: &Pod, node: &NodeView) -> bool {
    let spec = pod.spec();
    let by_selector = spec.node_selector.iter().flatten().all(|(key, value)| node.labels.get(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    let by_affinity = required.is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| {
            let labels = term.match_expressions.as_deref().unwrap_or_default();
            let fields = term.match_fields.as_deref().unwrap_or_default();
            !(labels.is_empty() && fields.is_empty())
                && labels.iter().all(|requirement| matches(requirement, node.labels.get(&requirement.key)))
                && fields.iter().all(|requirement| matches(requirement, Some(&node.name)))
        })
    });
    by_selector && by_affinity
}

fn matches(requirement: &NodeSelectorRequirement, value: Option<&String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let number = |text: &String| text.parse::<i64>().ok();
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number).zip(values.first().and_then(number)).is_some_and(|(a, b)| a > b),
        "Lt" => value.and_then(number).zip(values.first().and_then(number)).is_some_and(|(a, b)| a < b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, ContainerPort, PodSpec, ResourceRequirements};
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::*;

    fn pod(cpu: &str, port: i32) -> Pod {
        let requests = [("cpu".to_owned(), Quantity(cpu.into()))].into();
        let container = Container {
            resources: Some(ResourceRequirements { requests: Some(requests), ..Default::default() }),
            ports: Some(vec![ContainerPort { host_port: Some(port), ..ContainerPort::default() }]),
            ..Container::default()
        };
        Pod { spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }), ..Pod::default() }
    }

    fn node() -> NodeView {
        NodeView {
            allocatable: [("cpu".to_owned(), 2000), ("pods".to_owned(), 2)].into(),
            used: [("cpu".to_owned(), 1500)].into(),
            pods: 1,
            host_ports: vec![(String::new(), "TCP".into(), 80)],
            ..NodeView::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_upstreams_words() {
        assert_eq!(admit(&pod("500m", 81), &node()), Ok(()));
        let refusal = admit(&pod("600m", 81), &node()).unwrap_err();
        assert_eq!(refusal.reason, "OutOfcpu");
        assert_eq!(
            refusal.message,
            "Node didn't have enough resource: cpu, requested: 600, used: 1500, capacity: 2000"
        );
        assert_eq!(admit(&pod("1m", 80), &node()).unwrap_err().reason, "NodePorts");
        let full = NodeView { pods: 2, ..node() };
        assert_eq!(admit(&pod("1m", 81), &full).unwrap_err().reason, "OutOfpods");
    }

    #[test]
    fn a_node_under_pressure_takes_no_pod_that_asks_for_nothing() {
        let short = NodeView { pressure: Pressure { memory: true, disk: false }, ..node() };
        assert_eq!(admit(&pod("100m", 81), &short), Ok(()));
        let mut best_effort = pod("100m", 81);
        best_effort.spec.as_mut().unwrap().containers[0].resources = None;
        let refusal = admit(&best_effort, &short).unwrap_err();
        assert_eq!(
            (refusal.reason.as_str(), refusal.message.as_str()),
            ("Evicted", "The node had condition: [MemoryPressure]. ")
        );
    }

    #[test]
    fn selectors_must_match_the_node() {
        let mut pod = pod("1m", 81);
        pod.spec.as_mut().unwrap().node_selector = Some([("disk".to_owned(), "ssd".to_owned())].into());
        assert_eq!(admit(&pod, &node()).unwrap_err().reason, "NodeAffinity");
        let labels = [("disk".to_owned(), "ssd".to_owned())].into();
        assert_eq!(admit(&pod, &NodeView { labels, ..node() }), Ok(()));
    }
}
