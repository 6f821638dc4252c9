use std::sync::Arc;

use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::plan::{Snapshot, plan};
use super::{history, status};
use crate::template_hash;
use crate::test_support::{at, objects, show, show_operations};

/// A deployment of image `i2`; fixtures replace the words in capitals.
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: ns, uid: d1, generation: 3, annotations: {deployment.kubernetes.io/revision: '2', owner: me}}
spec:
  replicas: 10
  progressDeadlineSeconds: 600
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i2}]}}
status: {observedGeneration: 3}
";

fn set(name: &str, image: &str, revision: u32, replicas: i32, available: i32) -> String {
    format!(
        "
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: {name}
  namespace: ns
  uid: {name}
  generation: 1
  creationTimestamp: '2026-01-0{revision}T00:00:00Z'
  annotations: {{deployment.kubernetes.io/revision: '{revision}', deployment.kubernetes.io/desired-replicas: '10', deployment.kubernetes.io/max-replicas: '13', owner: me}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web, pod-template-hash: {name}}}}}
  template: {{metadata: {{labels: {{app: web, pod-template-hash: {name}}}}}, spec: {{containers: [{{name: c, image: {image}}}]}}}}
status: {{replicas: {replicas}, availableReplicas: {available}, readyReplicas: {available}, observedGeneration: 1, terminatingReplicas: 0}}
"
    )
}

fn snapshot(yaml: &str) -> Snapshot {
    Snapshot {
        deployment: objects::<Deployment>(yaml).remove(0),
        replica_sets: objects::<ReplicaSet>(yaml),
        pods: objects(yaml),
        now: at("10:00:00"),
    }
}

/// Which sets are written, with their sizes, and what is said about it.
fn sizes(snapshot: &Snapshot) -> String {
    let text = show(&plan(snapshot));
    let keep = |line: &&str| line.contains("Scaled") || line.starts_with("delete") || line.starts_with("event");
    text.lines().filter(keep).map(str::trim).collect::<Vec<_>>().join("\n")
}

fn check(yaml: &str, expected: Expect) {
    expected.assert_eq(&sizes(&snapshot(yaml)));
}

#[test]
fn a_new_deployment_gets_a_replica_set_and_a_status() {
    let yaml =
        DEPLOYMENT.replace("deployment.kubernetes.io/revision: '2', ", "").replace("replicas: 10", "replicas: 2");
    expect![[r#"
        create apps/v1 replicasets ns/web-56c5f84999
          {"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"annotations":{"deployment.kubernetes.io/desired-replicas":"2","deployment.kubernetes.io/max-replicas":"3","deployment.kubernetes.io/revision":"1","owner":"me"},"labels":{"app":"web","pod-template-hash":"56c5f84999"},"name":"web-56c5f84999","namespace":"ns","ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"Deployment","name":"web","uid":"d1"}]},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web","pod-template-hash":"56c5f84999"}},"template":{"metadata":{"labels":{"app":"web","pod-template-hash":"56c5f84999"}},"spec":{"containers":[{"image":"i2","name":"c"}]}}}}
          then Normal ScalingReplicaSet: Scaled up replica set web-56c5f84999 from 0 to 2
        update apps/v1 deployments/status ns/web
          {"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","lastUpdateTime":"2026-01-01T10:00:00Z","message":"Created new replica set \"web-56c5f84999\"","reason":"NewReplicaSetCreated","status":"True","type":"Progressing"},{"lastTransitionTime":"2026-01-01T10:00:00Z","lastUpdateTime":"2026-01-01T10:00:00Z","message":"Deployment does not have minimum availability.","reason":"MinimumReplicasUnavailable","status":"False","type":"Available"}],"observedGeneration":3,"terminatingReplicas":0,"unavailableReplicas":2}
    "#]].assert_eq(&show(&plan(&snapshot(&yaml))));
}

#[test]
fn a_rollout_starts_within_surge_and_unavailability() {
    check(
        &format!("{DEPLOYMENT}{}", set("old", "i1", 1, 10, 10)),
        expect![[r#"
        then Normal ScalingReplicaSet: Scaled up replica set web-56c5f84999 from 0 to 3
        then Normal ScalingReplicaSet: Scaled down replica set old from 10 to 8"#]],
    );
}

#[test]
fn old_pods_go_as_new_ones_become_available() {
    check(
        &format!("{DEPLOYMENT}{}{}", set("old", "i1", 1, 8, 8), set("new", "i2", 2, 5, 2)),
        expect!["then Normal ScalingReplicaSet: Scaled down replica set old from 8 to 6"],
    );
}

#[test]
fn unhealthy_old_pods_go_first() {
    check(
        &format!("{DEPLOYMENT}{}{}", set("old", "i1", 1, 8, 3), set("new", "i2", 2, 5, 5)),
        expect!["then Normal ScalingReplicaSet: Scaled down replica set old from 8 to 3"],
    );
}

#[test]
fn a_rollover_shrinks_the_half_rolled_out_set_too() {
    let yaml =
        format!("{DEPLOYMENT}{}{}{}", set("a", "i0", 1, 8, 8), set("b", "i1", 2, 5, 0), set("new", "i2", 3, 0, 0));
    check(&yaml, expect!["then Normal ScalingReplicaSet: Scaled down replica set b from 5 to 0"]);
}

#[test]
fn scaling_during_a_rollout_is_proportional() {
    let yaml = DEPLOYMENT.replace("replicas: 10", "replicas: 20");
    check(
        &format!("{yaml}{}{}", set("old", "i1", 1, 8, 8), set("new", "i2", 2, 5, 5)),
        expect![[r#"
        then Normal ScalingReplicaSet: Scaled up replica set new from 5 to 10
        then Normal ScalingReplicaSet: Scaled up replica set old from 8 to 15"#]],
    );
    let yaml = DEPLOYMENT.replace("replicas: 10", "replicas: 0");
    check(
        &format!("{yaml}{}{}", set("old", "i1", 1, 8, 8), set("new", "i2", 2, 5, 5)),
        expect![[r#"
        then Normal ScalingReplicaSet: Scaled down replica set new from 5 to 0
        then Normal ScalingReplicaSet: Scaled down replica set old from 8 to 0"#]],
    );
}

#[test]
fn a_paused_deployment_scales_but_does_not_roll() {
    let yaml = DEPLOYMENT.replace("replicas: 10", "replicas: 12\n  paused: true");
    check(
        &format!("{yaml}{}", set("old", "i1", 1, 10, 10)),
        expect!["then Normal ScalingReplicaSet: Scaled up replica set old from 10 to 12"],
    );
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let yaml = DEPLOYMENT
        .replace("{type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}", "{type: Recreate}");
    check(
        &format!("{yaml}{}", set("old", "i1", 1, 10, 10)),
        expect!["then Normal ScalingReplicaSet: Scaled down replica set old from 10 to 0"],
    );
    let pod = "
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ns, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: old, uid: old, controller: true}]}
status: {phase: Running}
";
    check(&format!("{yaml}{}{pod}", set("old", "i1", 1, 0, 0)), expect![[""]]);
    check(
        &format!("{yaml}{}", set("old", "i1", 1, 0, 0)),
        expect!["then Normal ScalingReplicaSet: Scaled up replica set web-56c5f84999 from 0 to 10"],
    );
}

#[test]
fn old_sets_beyond_the_history_limit_are_removed_when_complete() {
    let yaml = DEPLOYMENT.replace(
        "status: {observedGeneration: 3}",
        "status: {observedGeneration: 3, replicas: 10, updatedReplicas: 10, availableReplicas: 10}",
    );
    let sets = [set("a", "i0", 1, 0, 0), set("b", "i1", 2, 0, 0), set("new", "i2", 3, 10, 10)];
    check(&format!("{yaml}{}", sets.concat()), expect!["delete apps/v1 replicasets ns/a"]);
}

#[test]
fn a_complete_rollout_is_said_once() {
    let yaml = format!("{DEPLOYMENT}{}", set("new", "i2", 2, 10, 10));
    expect![[r#"
        update apps/v1 deployments/status ns/web
          {"availableReplicas":10,"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","lastUpdateTime":"2026-01-01T10:00:00Z","message":"Deployment has minimum availability.","reason":"MinimumReplicasAvailable","status":"True","type":"Available"},{"lastTransitionTime":"2026-01-01T10:00:00Z","lastUpdateTime":"2026-01-01T10:00:00Z","message":"ReplicaSet \"new\" has successfully progressed.","reason":"NewReplicaSetAvailable","status":"True","type":"Progressing"}],"observedGeneration":3,"readyReplicas":10,"replicas":10,"terminatingReplicas":0,"updatedReplicas":10}
    "#]].assert_eq(&show(&plan(&snapshot(&yaml))));
}

#[test]
fn a_rollout_without_progress_times_out() {
    let conditions = "conditions: [{type: Progressing, status: 'True', reason: ReplicaSetUpdated, lastUpdateTime: '2026-01-01T09:49:59Z', lastTransitionTime: '2026-01-01T09:00:00Z'}]";
    let counts = "replicas: 13, updatedReplicas: 5, readyReplicas: 8, availableReplicas: 8, unavailableReplicas: 5, terminatingReplicas: 0";
    let yaml =
        DEPLOYMENT.replace("observedGeneration: 3}", &format!("observedGeneration: 3, {counts}, {conditions}}}"));
    let yaml = format!("{yaml}{}{}", set("old", "i1", 1, 8, 8), set("new", "i2", 2, 5, 0));
    let text = show(&plan(&snapshot(&yaml)));
    assert!(text.contains(r#"ReplicaSet \"new\" has timed out progressing."#), "{text}");
    // Before the deadline it is only looked at again.
    let early = Snapshot { now: at("09:55:00"), ..snapshot(&yaml) };
    let text = show(&plan(&early));
    assert!(!text.contains("timed out"), "{text}");
}

#[test]
fn a_rollback_takes_the_template_of_its_revision() {
    let yaml = DEPLOYMENT.replace("owner: me}", "owner: me, deprecated.deployment.rollback.to: '1'}");
    let text = show(&plan(&snapshot(&format!("{yaml}{}{}", set("old", "i1", 1, 0, 0), set("new", "i2", 2, 10, 10)))));
    assert!(
        text.contains(r#""image":"i1""#) && !text.contains("rollback.to") && !text.contains("pod-template-hash"),
        "{text}"
    );
    assert!(text.contains("event Normal DeploymentRollback: Rolled back deployment \"web\" to revision 1"), "{text}");
}

#[test]
fn rolling_back_to_an_old_set_renumbers_it_and_keeps_its_history() {
    let text =
        show(&plan(&snapshot(&format!("{DEPLOYMENT}{}{}", set("same", "i2", 1, 0, 0), set("other", "i1", 2, 10, 10)))));
    assert!(text.contains(r#""deployment.kubernetes.io/revision":"3","#), "{text}");
    assert!(text.contains(r#""deployment.kubernetes.io/revision-history":"1""#), "{text}");
}

#[test]
fn a_collision_changes_the_hash() {
    let snapshot = snapshot(DEPLOYMENT);
    expect![[r#"
        update apps/v1 deployments/status ns/web
          {"collisionCount":1,"observedGeneration":3}
    "#]]
    .assert_eq(&show_operations(&status::after_collision(&snapshot)));
    let template = &snapshot.deployment.spec.template;
    assert_ne!(template_hash::compute(template, None), template_hash::compute(template, Some(1)));
}

#[test]
fn a_refused_replica_set_is_told() {
    expect![[r#"
        event Warning ReplicaSetCreateError: Failed to create new replica set "web-x": no quota
        update apps/v1 deployments/status ns/web
          {"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","lastUpdateTime":"2026-01-01T10:00:00Z","message":"Failed to create new replica set \"web-x\": no quota","reason":"ReplicaSetCreateError","status":"False","type":"Progressing"}],"observedGeneration":3}
    "#]].assert_eq(&show_operations(&status::after_failed_create(&snapshot(DEPLOYMENT), "web-x", "no quota")));
}

#[test]
fn a_selector_of_everything_is_refused() {
    check(
        &DEPLOYMENT.replace("{matchLabels: {app: web}}", "{}"),
        expect!["event Warning SelectingAll: This deployment is selecting all pods. A non-empty selector is required."],
    );
}

#[test]
fn the_hash_label_is_no_difference_between_templates() {
    let all: Vec<Arc<ReplicaSet>> = objects(&set("a", "i2", 1, 1, 1));
    let deployment: Vec<Arc<Deployment>> = objects(DEPLOYMENT);
    assert!(history::same_template(&all[0], &deployment[0].spec.template));
    let other: Vec<Arc<ReplicaSet>> = objects(&set("a", "i3", 1, 1, 1));
    assert!(!history::same_template(&other[0], &deployment[0].spec.template));
}
