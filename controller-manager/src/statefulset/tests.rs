use std::collections::HashMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

use super::plan::{Revisions, Snapshot, final_status, new_revision, plan};
use crate::engine::{Action, Operation, to_value};
use crate::test_support::{at, objects, show_operations};
use crate::{meta, revisions};

const SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: ns, uid: s1, generation: 1}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: OrderedReady
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: new}]}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
";

fn pod(ordinal: u32, revision: &str, state: &str, rest: &str) -> String {
    let (phase, ready) = match state {
        "ready" => ("Running", "True"),
        "unready" => ("Running", "False"),
        other => (other, "False"),
    };
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: db-{ordinal}, namespace: ns, uid: u{ordinal}, labels: {{app: db, statefulset.kubernetes.io/pod-name: db-{ordinal}, controller-revision-hash: {revision}}}{rest}}},
          spec: {{containers: [], volumes: [{{name: data, persistentVolumeClaim: {{claimName: data-db-{ordinal}}}}}]}},
          status: {{phase: {phase}, conditions: [{{type: Ready, status: '{ready}', lastTransitionTime: '2026-01-01T00:00:00Z'}}]}}}}\n"
    )
}

fn claim(ordinal: u32, rest: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: data-db-{ordinal}, namespace: ns, uid: c{ordinal}{rest}}}}}\n"
    )
}

fn revision(set: &StatefulSet, name: &str, image: &str) -> ControllerRevision {
    let mut template = set.spec.template.clone();
    template.spec.as_mut().unwrap().containers[0].image = Some(image.to_owned());
    let mut revision = new_revision(set, 1, &revisions::data(&template), 0);
    revision.metadata.name = Some(name.to_owned());
    revision
}

fn snapshot(yaml: &str) -> Snapshot {
    let set = objects::<StatefulSet>(yaml).remove(0);
    let claims: HashMap<String, Arc<PersistentVolumeClaim>> = objects::<PersistentVolumeClaim>(yaml)
        .into_iter()
        .map(|claim| (meta::name(&claim.metadata).to_owned(), claim))
        .collect();
    let revisions =
        Revisions { current: revision(&set, "old", "old"), update: revision(&set, "new", "new"), collision_count: 0 };
    Snapshot { pods: objects(yaml), claims, revisions, set, now: at("10:00:00") }
}

fn steps(yaml: &str) -> String {
    let outcome = plan(&snapshot(yaml));
    let line = |operation: &Operation| match operation {
        Operation::Event(event) => event.message.clone(),
        Operation::Write(write) => {
            let verb = match &write.action {
                Action::Create { .. } => "create",
                Action::Update { .. } => "update",
                Action::Patch { .. } => "patch",
                Action::Delete { .. } => "delete",
            };
            format!("{verb} {} {}", write.resource.kind, write.name)
        }
    };
    let groups = outcome.groups.iter().map(|group| group.iter().map(line).collect::<Vec<_>>().join(", "));
    groups.chain(outcome.blocked.iter().map(|message| format!("blocked: {message}"))).collect::<Vec<_>>().join("\n")
}

fn check(parts: &[String], expected: Expect) {
    expected.assert_eq(&steps(&format!("{SET}{}", parts.concat())));
}

#[test]
fn a_pod_has_its_name_its_claim_and_its_host_name() {
    let outcome = plan(&snapshot(SET));
    expect![[r#"
        create v1 persistentvolumeclaims ns/data-db-0
          {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"labels":{"app":"db"},"name":"data-db-0","namespace":"ns"},"spec":{"accessModes":["ReadWriteOnce"]}}
          then Normal SuccessfulCreate: Create Claim data-db-0 Pod db-0 in StatefulSet db success
          else Warning FailedCreate: Create Claim data-db-0 for Pod db-0 in StatefulSet db failed error: {error}
        create v1 pods ns/db-0
          {"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"app":"db","apps.kubernetes.io/pod-index":"0","controller-revision-hash":"new","statefulset.kubernetes.io/pod-name":"db-0"},"name":"db-0","namespace":"ns","ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"StatefulSet","name":"db","uid":"s1"}]},"spec":{"containers":[{"image":"new","name":"c"}],"hostname":"db-0","subdomain":"db","volumes":[{"name":"data","persistentVolumeClaim":{"claimName":"data-db-0"}}]}}
          then Normal SuccessfulCreate: Create Pod db-0 in StatefulSet db successful
          else Warning FailedCreate: Create Pod db-0 in StatefulSet db failed error: {error}
    "#]].assert_eq(&show_operations(&outcome.groups[0]));
}

#[test]
fn ordered_pods_are_made_one_after_the_other() {
    check(&[], expect!["create PersistentVolumeClaim data-db-0, create Pod db-0"]);
    check(&[pod(0, "new", "unready", ""), claim(0, "")], expect![[""]]);
    check(
        &[pod(0, "new", "ready", ""), claim(0, "")],
        expect!["create PersistentVolumeClaim data-db-1, create Pod db-1"],
    );
}

#[test]
fn parallel_pods_are_made_at_once() {
    expect![[r#"
        create PersistentVolumeClaim data-db-0, create Pod db-0
        create PersistentVolumeClaim data-db-1, create Pod db-1
        create PersistentVolumeClaim data-db-2, create Pod db-2"#]]
    .assert_eq(&steps(&SET.replace("OrderedReady", "Parallel")));
}

#[test]
fn a_failed_pod_is_deleted_to_be_made_again() {
    check(&[pod(0, "new", "Failed", ""), claim(0, "")], expect!["delete Pod db-0"]);
}

#[test]
fn scaling_down_starts_with_the_highest_number_and_waits_for_it() {
    let three = [pod(0, "new", "ready", ""), pod(1, "new", "ready", ""), pod(2, "new", "ready", "")].concat();
    check(&[three.clone(), pod(3, "new", "ready", ""), pod(4, "new", "ready", "")], expect!["delete Pod db-4"]);
    let going = ", deletionTimestamp: '2026-01-01T00:00:00Z'";
    check(&[three, pod(3, "new", "ready", ""), pod(4, "new", "ready", going)], expect![[""]]);
}

#[test]
fn an_update_goes_down_from_the_highest_number_above_the_partition() {
    let old = [pod(0, "old", "ready", ""), pod(1, "old", "ready", ""), pod(2, "old", "ready", "")].concat();
    check(std::slice::from_ref(&old), expect!["delete Pod db-2"]);
    let partitioned = SET.replace("partition: 0", "partition: 2");
    let done = [pod(0, "old", "ready", ""), pod(1, "old", "ready", ""), pod(2, "new", "ready", "")].concat();
    expect![[""]].assert_eq(&steps(&format!("{partitioned}{done}")));
    let two = SET.replace("partition: 0", "partition: 0, maxUnavailable: 2");
    expect![[r#"
        delete Pod db-2
        delete Pod db-1"#]]
    .assert_eq(&steps(&format!("{two}{old}")));
    expect![[""]].assert_eq(&steps(&format!(
        "{}{old}",
        SET.replace("type: RollingUpdate, rollingUpdate: {partition: 0}", "type: OnDelete")
    )));
}

#[test]
fn a_pod_below_the_partition_comes_back_as_it_was() {
    let partitioned = SET.replace("partition: 0", "partition: 1");
    let outcome = plan(&snapshot(&partitioned));
    let Operation::Write(write) = outcome.groups[0].last().unwrap() else { panic!("a pod is made") };
    let Action::Create { object } = &write.action else { panic!("a pod is made") };
    assert_eq!(object["spec"]["containers"][0]["image"], "old");
}

#[test]
fn claims_follow_the_retention_policy() {
    let policy = SET.replace(
        "serviceName: db",
        "serviceName: db\n  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete, whenScaled: Delete}",
    );
    let pods = [
        pod(0, "new", "ready", ""),
        pod(1, "new", "ready", ""),
        pod(2, "new", "ready", ""),
        pod(3, "new", "ready", ""),
    ]
    .concat();
    let owner = ", ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: s1, controller: true, blockOwnerDeletion: true}]";
    let yaml = format!("{policy}{pods}{}{}{}{}", claim(0, owner), claim(1, owner), claim(2, owner), claim(3, owner));
    let outcome = plan(&snapshot(&yaml));
    expect![[r#"
        update v1 persistentvolumeclaims ns/data-db-3
          {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data-db-3","namespace":"ns","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Pod","name":"db-3","uid":"u3"}],"uid":"c3"}}
        delete v1 pods ns/db-3
          {"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"u3"}}
          then Normal SuccessfulDelete: Delete Pod db-3 in StatefulSet db successful
          else Warning FailedDelete: Delete Pod db-3 in StatefulSet db failed error: {error}
    "#]].assert_eq(&show_operations(&outcome.groups.concat()));
}

#[test]
fn a_claim_on_its_way_out_is_waited_for() {
    check(
        &[claim(0, ", deletionTimestamp: '2026-01-01T00:00:00Z'")],
        expect!["blocked: pvc data-db-0 is being deleted"],
    );
}

#[test]
fn a_finished_update_makes_the_new_revision_the_current_one() {
    let yaml =
        format!("{SET}{}{}{}", pod(0, "new", "ready", ""), pod(1, "new", "ready", ""), pod(2, "new", "ready", ""));
    let snapshot = snapshot(&yaml);
    let status = final_status(&snapshot, plan(&snapshot).status);
    expect![[r#"{"availableReplicas":3,"collisionCount":0,"currentReplicas":3,"currentRevision":"new","observedGeneration":1,"readyReplicas":3,"replicas":3,"updateRevision":"new","updatedReplicas":3}"#]].assert_eq(&to_value(&status).to_string());
}
