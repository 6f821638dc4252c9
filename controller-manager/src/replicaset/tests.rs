use std::sync::Arc;

use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;

use super::Replicated;
use super::plan::{Manage, Snapshot, manage, next_check, status};
use crate::engine::{Operation, to_value};
use crate::test_support::{at, objects, show_operations};
use crate::{meta, pods};

const SET: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web, namespace: ns, uid: rs1, generation: 2}
spec:
  replicas: REPLICAS
  minReadySeconds: 10
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}
status: {replicas: 0}
";

fn pod(name: &str, status: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, uid: u-{name}, labels: {{app: web}}, creationTimestamp: '2026-01-01T09:00:00Z'}}, {status}}}\n"
    )
}

fn ready(since: &str) -> String {
    format!(
        "spec: {{nodeName: n1, containers: []}}, status: {{phase: Running, conditions: [{{type: Ready, status: 'True', lastTransitionTime: '2026-01-01T{since}Z'}}]}}"
    )
}

fn snapshot(replicas: i32, pods_yaml: &str) -> Snapshot {
    let yaml = format!("{}{pods_yaml}", SET.replace("REPLICAS", &replicas.to_string()));
    let set = objects::<ReplicaSet>(&yaml).remove(0);
    let active: Vec<Arc<Pod>> = objects(&yaml);
    Snapshot {
        owner: set.metadata.clone(),
        reference: meta::reference::<ReplicaSet>(&set.metadata),
        controller_ref: meta::controller_ref::<ReplicaSet>(&set.metadata),
        replicas: set.replicas(),
        min_ready_seconds: set.min_ready_seconds(),
        template: set.template().unwrap().clone(),
        status: Replicated::status(&*set),
        related: active.clone(),
        active,
        terminating: Some(0),
        now: at("10:00:00"),
    }
}

fn check(snapshot: &Snapshot, expected: Expect) {
    let writes = match manage(snapshot) {
        Manage::Nothing => Vec::new(),
        Manage::Create(writes) => writes,
        Manage::Delete(writes) => writes.into_iter().map(|(_, write)| write).collect(),
    };
    let operations: Vec<Operation> = writes.into_iter().map(Operation::Write).collect();
    expected.assert_eq(&show_operations(&operations));
}

#[test]
fn a_missing_pod_is_made_from_the_template() {
    check(
        &snapshot(1, ""),
        expect![[r#"
        create v1 pods ns/
          {"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"web-","labels":{"app":"web"},"namespace":"ns","ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"ReplicaSet","name":"web","uid":"rs1"}]},"spec":{"containers":[{"image":"i","name":"c"}]}}
          then Normal SuccessfulCreate: Created pod: {name}
          else Warning FailedCreate: Error creating: {error}
    "#]],
    );
}

#[test]
fn the_right_number_needs_nothing() {
    check(&snapshot(1, &pod("a", &ready("09:00:00"))), expect![[""]]);
}

#[test]
fn unscheduled_then_unready_then_youngest_pods_go_first() {
    let all = [
        pod("old", &ready("08:00:00")),
        pod("fresh", &ready("09:59:59")),
        pod("unready", "spec: {nodeName: n1, containers: []}, status: {phase: Running}"),
        pod("unscheduled", "spec: {containers: []}, status: {phase: Pending}"),
    ];
    check(
        &snapshot(1, &all.concat()),
        expect![[r#"
        delete v1 pods /unscheduled
          then Normal SuccessfulDelete: Deleted pod: unscheduled
          else Warning FailedDelete: Error deleting: {error}
        delete v1 pods /unready
          then Normal SuccessfulDelete: Deleted pod: unready
          else Warning FailedDelete: Error deleting: {error}
        delete v1 pods /fresh
          then Normal SuccessfulDelete: Deleted pod: fresh
          else Warning FailedDelete: Error deleting: {error}
    "#]],
    );
}

#[test]
fn a_pod_sharing_its_node_with_siblings_goes_before_one_alone() {
    let alone = ready("09:00:00").replace("n1", "n2");
    let all = [pod("alone", &alone), pod("pair-1", &ready("08:00:00")), pod("pair-2", &ready("08:00:00"))];
    let Manage::Delete(writes) = manage(&snapshot(2, &all.concat())) else { panic!("one pod too many") };
    assert_ne!(writes[0].1.name, "alone");
}

#[test]
fn deletion_cost_outweighs_age() {
    let dear = pod("dear", &ready("09:59:00"))
        .replace("labels:", "annotations: {controller.kubernetes.io/pod-deletion-cost: '5'}, labels:");
    let Manage::Delete(writes) = manage(&snapshot(1, &[dear, pod("cheap", &ready("08:00:00"))].concat())) else {
        panic!()
    };
    assert_eq!(writes[0].1.name, "cheap");
}

#[test]
fn status_counts_ready_and_available_pods() {
    let all = [pod("a", &ready("09:00:00")), pod("b", &ready("09:59:55")), pod("c", "status: {phase: Pending}")];
    let snapshot = snapshot(3, &all.concat());
    expect![[r#"{"availableReplicas":1,"fullyLabeledReplicas":3,"observedGeneration":2,"readyReplicas":2,"replicas":3,"terminatingReplicas":0}"#]].assert_eq(&to_value(&status(&snapshot, None)).to_string());
    assert_eq!(next_check(&snapshot), Some(std::time::Duration::from_secs(5)));
}

#[test]
fn a_failed_creation_becomes_a_condition_and_its_end_removes_it() {
    let mut snapshot = snapshot(1, "");
    let failed = status(&snapshot, Some("quota exceeded".to_owned())).unwrap();
    expect![[r#"[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"quota exceeded","reason":"FailedCreate","status":"True","type":"ReplicaFailure"}]"#]].assert_eq(&to_value(&failed.conditions).to_string());
    snapshot.status = failed;
    assert_eq!(status(&snapshot, None).unwrap().conditions, None);
}

#[test]
fn a_status_that_is_right_is_not_written() {
    let mut snapshot = snapshot(0, "");
    snapshot.status = status(&snapshot, None).unwrap();
    assert_eq!(status(&snapshot, None), None);
    // A server that keeps zeros says the same.
    snapshot.status.ready_replicas = Some(0);
    assert_eq!(status(&snapshot, None), None);
}

#[test]
fn a_pod_of_a_long_named_owner_keeps_room_for_its_suffix() {
    assert_eq!(meta::generate_name("web"), "web-");
    assert_eq!(meta::generate_name(&"x".repeat(253)).len(), 253);
    let template = snapshot(1, "").template;
    let made = pods::from_template(&template, "ns", snapshot(1, "").controller_ref);
    assert_eq!(made.metadata.generate_name.as_deref(), Some("web-"));
}
