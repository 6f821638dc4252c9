//! What a node's conditions and signs of life mean: conditions, taints and labels it should have.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::meta;

pub(super) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(super) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// Condition, its status, and the NoSchedule taint that goes with it.
const TAINTS: [(&str, &str, &str); 6] = [
    ("Ready", "False", NOT_READY),
    ("Ready", "Unknown", UNREACHABLE),
    ("MemoryPressure", "True", "node.kubernetes.io/memory-pressure"),
    ("DiskPressure", "True", "node.kubernetes.io/disk-pressure"),
    ("NetworkUnavailable", "True", "node.kubernetes.io/network-unavailable"),
    ("PIDPressure", "True", "node.kubernetes.io/pid-pressure"),
];

/// Conditions the kubelet owes.
const OWED: [&str; 4] = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Old label names that follow the new ones.
const LABELS: [(&str, &str); 2] =
    [("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch")];

/// A node's signs of life.
#[derive(Debug, Clone)]
pub(super) struct Health {
    last_sign: Timestamp,
    heartbeat: Option<Time>,
    pub lease_version: Option<String>,
    renewed: Option<Timestamp>,
    /// Its pods are still to be marked unready.
    pub pods_to_mark: bool,
}

impl Health {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { last_sign: now, heartbeat: None, lease_version: None, renewed: None, pods_to_mark: false }
    }

    pub(super) fn saw_lease(&mut self, lease: &Lease, now: Timestamp) {
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref()).map(|time| time.0);
        if renewed > self.renewed || self.lease_version.is_none() {
            self.last_sign = now;
            self.renewed = renewed;
        }
        self.lease_version.clone_from(&lease.metadata.resource_version);
    }

    pub(super) fn saw_status(&mut self, node: &Node, now: Timestamp) {
        let heartbeat = ready(node).and_then(|ready| ready.last_heartbeat_time.clone());
        if heartbeat != self.heartbeat {
            self.last_sign = now;
            self.heartbeat = heartbeat;
        }
    }

    /// We were cut off ourselves: the silence was ours.
    pub(super) fn forgive(&mut self, now: Timestamp) {
        self.last_sign = now;
    }

    pub(super) fn deadline(&self, grace: Duration) -> Timestamp {
        self.last_sign.checked_add(grace).unwrap_or(Timestamp::MAX)
    }
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

pub(super) fn ready(node: &Node) -> Option<&NodeCondition> {
    condition(node, "Ready")
}

fn taints(node: &Node) -> &[Taint] {
    node.spec.as_ref().and_then(|spec| spec.taints.as_deref()).unwrap_or_default()
}

/// True unless all conditions a kubelet owes are Unknown already.
pub(super) fn needs_unknown(node: &Node) -> bool {
    OWED.iter().any(|kind| condition(node, kind).is_none_or(|condition| condition.status != "Unknown"))
}

/// The conditions of a silent node that have to change.
pub(super) fn unknown_conditions(node: &Node, now: Timestamp) -> Vec<Value> {
    let mut conditions = Vec::new();
    for kind in OWED {
        match condition(node, kind) {
            None => conditions.push(json!({
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": node.metadata.creation_timestamp,
                "lastTransitionTime": meta::time(now),
            })),
            Some(present) if present.status != "Unknown" => conditions.push(json!({
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": meta::time(now),
            })),
            Some(_) => {}
        }
    }
    conditions
}

fn taint(key: &str, effect: &str, now: Timestamp) -> Taint {
    Taint { key: key.to_owned(), effect: effect.to_owned(), time_added: Some(meta::time(now)), value: None }
}

/// NoSchedule taints by conditions and `spec.unschedulable`.
pub(super) fn wanted_taints(node: &Node, now: Timestamp) -> Vec<Taint> {
    let by_condition = TAINTS
        .iter()
        .filter(|(kind, status, _)| condition(node, kind).is_some_and(|condition| condition.status == *status));
    let mut wanted: Vec<Taint> = by_condition.map(|(_, _, key)| taint(key, "NoSchedule", now)).collect();
    if node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true) {
        wanted.push(taint(UNSCHEDULABLE, "NoSchedule", now));
    }
    wanted
}

/// The NoExecute taint of a node that is not ready or silent.
pub(super) fn wanted_no_execute(node: &Node) -> Option<Taint> {
    let key = match ready(node)?.status.as_str() {
        "False" => NOT_READY,
        "Unknown" => UNREACHABLE,
        _ => return None,
    };
    Some(Taint { key: key.to_owned(), effect: "NoExecute".to_owned(), ..Taint::default() })
}

/// True if either NoExecute taint of ours is there: exchanging one for the other needs no permit.
pub(super) fn has_no_execute(node: &Node) -> bool {
    taints(node)
        .iter()
        .any(|taint| taint.effect == "NoExecute" && matches!(taint.key.as_str(), NOT_READY | UNREACHABLE))
}

/// Taints this controller alone puts on and takes off.
fn is_ours(taint: &Taint) -> bool {
    match taint.effect.as_str() {
        "NoSchedule" => taint.key == UNSCHEDULABLE || TAINTS.iter().any(|(_, _, key)| *key == taint.key),
        "NoExecute" => matches!(taint.key.as_str(), NOT_READY | UNREACHABLE),
        _ => false,
    }
}

/// The merge patch that brings taints and labels in line, if they are not.
pub(super) fn patch(node: &Node, wanted: Vec<Taint>, now: Timestamp) -> Option<Value> {
    let present = taints(node);
    let same = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
    let mut result: Vec<Taint> = present
        .iter()
        .filter(|taint| !is_ours(taint) || wanted.iter().any(|wanted| same(wanted, taint)))
        .cloned()
        .collect();
    for taint in wanted {
        if !result.iter().any(|present| same(present, &taint)) {
            result.push(Taint { time_added: Some(meta::time(now)), ..taint });
        }
    }
    let mut patch = json!({});
    if result != present {
        patch["spec"]["taints"] = if result.is_empty() { Value::Null } else { json!(result) };
    }
    let labels = meta::labels(&node.metadata);
    for (new, old) in LABELS {
        if let Some(value) = labels.get(new).filter(|value| labels.get(old) != Some(value)) {
            patch["metadata"]["labels"][old] = json!(value);
        }
    }
    if patch.as_object().is_none_or(serde_json::Map::is_empty) {
        return None;
    }
    patch["metadata"]["resourceVersion"] = json!(node.metadata.resource_version);
    Some(patch)
}
