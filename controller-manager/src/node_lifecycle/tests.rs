use std::time::Duration;

use expect_test::expect;
use k8s_openapi::api::core::v1::Node;

use super::plan::{Health, needs_unknown, patch, unknown_conditions, wanted_no_execute, wanted_taints};
use super::zones::Zones;
use crate::test_support::{at, object};

fn node(name: &str, ready: &str, spec: &str) -> Node {
    object(&format!(
        "{{apiVersion: v1, kind: Node, metadata: {{name: {name}, resourceVersion: '7', creationTimestamp: '2026-01-01T09:00:00Z'}}, spec: {spec},
          status: {{conditions: [{{type: Ready, status: '{ready}', lastHeartbeatTime: '2026-01-01T10:00:00Z'}}]}}}}"
    ))
}

fn patched(node: &Node) -> String {
    let now = at("11:00:00");
    let mut taints = wanted_taints(node, now);
    taints.extend(wanted_no_execute(node));
    patch(node, taints, now).map_or_else(|| "nothing".to_owned(), |patch| patch.to_string())
}

#[test]
fn a_silent_node_is_unreachable() {
    expect![[r#"{"spec":{"taints":[{"effect":"NoSchedule","key":"node.kubernetes.io/unreachable","timeAdded":"2026-01-01T11:00:00Z"},{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","timeAdded":"2026-01-01T11:00:00Z"}]},"metadata":{"resourceVersion":"7"}}"#]]
        .assert_eq(&patched(&node("a", "Unknown", "{}")));
}

#[test]
fn a_node_that_comes_back_loses_our_taints_and_keeps_others() {
    let spec = "{taints: [{key: node.kubernetes.io/not-ready, effect: NoSchedule}, {key: dedicated, value: x, effect: NoExecute}, {key: node.kubernetes.io/not-ready, effect: NoExecute}]}";
    expect![[r#"{"spec":{"taints":[{"effect":"NoExecute","key":"dedicated","value":"x"}]},"metadata":{"resourceVersion":"7"}}"#]]
        .assert_eq(&patched(&node("a", "True", spec)));
}

#[test]
fn a_cordoned_node_is_tainted_unschedulable_once() {
    let spec = "{unschedulable: true, taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}";
    assert_eq!(patched(&node("a", "True", spec)), "nothing");
}

#[test]
fn conditions_of_a_silent_node_become_unknown() {
    let silent = node("a", "True", "{}");
    assert!(needs_unknown(&silent));
    let reasons: Vec<String> = unknown_conditions(&silent, at("11:00:00"))
        .iter()
        .map(|condition| format!("{} {}", condition["type"], condition["reason"]).replace('"', ""))
        .collect();
    assert_eq!(
        reasons,
        [
            "Ready NodeStatusUnknown",
            "MemoryPressure NodeStatusNeverUpdated",
            "DiskPressure NodeStatusNeverUpdated",
            "PIDPressure NodeStatusNeverUpdated"
        ]
    );
}

#[test]
fn a_heartbeat_or_a_renewed_lease_is_a_sign_of_life() {
    let grace = Duration::from_secs(40);
    let mut health = Health::new(at("10:00:00"));
    health.saw_status(&node("a", "True", "{}"), at("10:00:10"));
    health.saw_status(&node("a", "True", "{}"), at("10:00:20"));
    assert_eq!(health.deadline(grace), at("10:00:50"));
    let lease = object(
        "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: a, resourceVersion: '3'}, spec: {renewTime: '2020-01-01T00:00:00.000000Z'}}",
    );
    health.saw_lease(&lease, at("10:00:30"));
    health.saw_lease(&lease, at("10:00:40"));
    assert_eq!(health.deadline(grace), at("10:01:10"));
}

#[test]
fn no_node_is_evicted_when_all_are_silent() {
    let mut zones = Zones::default();
    let (a, b) = (node("a", "Unknown", "{}"), node("b", "Unknown", "{}"));
    assert!(zones.update([&a, &b].into_iter()));
    assert_eq!(zones.permit(&a, at("10:00:00")), Err(None));
    let b = node("b", "True", "{}");
    assert!(zones.update([&a, &b].into_iter()));
    assert_eq!(zones.permit(&a, at("10:00:00")), Ok(()));
    assert_eq!(zones.permit(&a, at("10:00:04")), Err(Some(Duration::from_secs(6))));
    assert_eq!(zones.permit(&a, at("10:00:10")), Ok(()));
}
