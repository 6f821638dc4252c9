use super::plan::{Verdict, judge, superfluous};
use crate::meta;
use crate::test_support::{object, objects};
use k8s_openapi::api::core::v1::{Node, Pod};

fn pod(rest: &str) -> Pod {
    object(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: a, namespace: ns{rest}}}"))
}

#[test]
fn a_pod_on_a_missing_node_is_orphaned() {
    assert_eq!(judge(&pod("}, spec: {nodeName: gone, containers: []}"), None), Verdict::Orphaned);
    assert_eq!(judge(&pod("}, spec: {containers: []}"), None), Verdict::Keep);
}

#[test]
fn an_unscheduled_pod_being_deleted_goes_at_once() {
    let deleting =
        ", deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30}, spec: {containers: []}";
    assert_eq!(judge(&pod(deleting), None), Verdict::Unscheduled);
}

#[test]
fn a_pod_held_by_a_finalizer_is_not_deleted_again() {
    let held = ", deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 0}, spec: {containers: []}, status: {phase: Failed}";
    assert_eq!(judge(&pod(held), None), Verdict::Keep);
}

#[test]
fn a_terminating_pod_on_an_out_of_service_node_goes() {
    let node: Node = object(
        "{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {taints: [{key: node.kubernetes.io/out-of-service, effect: NoExecute}]},
          status: {conditions: [{type: Ready, status: Unknown}]}}",
    );
    let deleting = ", deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30}, spec: {nodeName: n1, containers: []}";
    assert_eq!(judge(&pod(deleting), Some(&node)), Verdict::OutOfService);
    assert_eq!(judge(&pod("}, spec: {nodeName: n1, containers: []}"), Some(&node)), Verdict::Keep);
}

#[test]
fn evicted_pods_go_first_then_the_oldest() {
    let pods = objects::<Pod>(
        "
{apiVersion: v1, kind: Pod, metadata: {name: old, creationTimestamp: '2026-01-01T00:00:00Z'}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Pod, metadata: {name: new, creationTimestamp: '2026-01-02T00:00:00Z'}, status: {phase: Failed}}
---
{apiVersion: v1, kind: Pod, metadata: {name: evicted, creationTimestamp: '2026-01-03T00:00:00Z'}, status: {phase: Failed, reason: Evicted}}
---
{apiVersion: v1, kind: Pod, metadata: {name: running, creationTimestamp: '2026-01-01T00:00:00Z'}, status: {phase: Running}}
",
    );
    let names: Vec<String> = superfluous(pods, 1).iter().map(|pod| meta::name(&pod.metadata).to_owned()).collect();
    assert_eq!(names, ["evicted", "old"]);
}
