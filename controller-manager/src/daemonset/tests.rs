use std::sync::Arc;

use expect_test::{Expect, expect};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Pod;

use super::history::{self, Step};
use super::plan::{Backoffs, Changes, Snapshot, creations, manage, should_run, status};
use super::rolling;
use crate::engine::{Operation, to_value};
use crate::meta;
use crate::test_support::{at, objects, show_operations};

const SET: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: ns, uid: d1, generation: 1, annotations: {deprecated.daemonset.template.generation: '1'}}
spec:
  selector: {matchLabels: {app: agent}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 0}}
  template: {metadata: {labels: {app: agent}}, spec: {nodeSelector: {os: linux}, containers: [{name: c, image: i}]}}
";

fn node(name: &str, rest: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Node, metadata: {{name: {name}, labels: {{os: linux}}}}, spec: {{{rest}}}}}\n"
    )
}

fn pod(name: &str, node: &str, hash: &str, phase: &str, ready: bool) -> String {
    let ready = if ready { "True" } else { "False" };
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns, uid: u-{name}, labels: {{app: agent, controller-revision-hash: {hash}}}, creationTimestamp: '2026-01-01T00:00:00Z'}},
          spec: {{nodeName: {node}, containers: []}}, status: {{phase: {phase}, conditions: [{{type: Ready, status: '{ready}', lastTransitionTime: '2026-01-01T00:00:00Z'}}]}}}}\n"
    )
}

fn snapshot(yaml: &str) -> Snapshot {
    Snapshot::new(objects::<DaemonSet>(yaml).remove(0), objects(yaml), objects(yaml), "new".to_owned(), at("10:00:00"))
}

fn show(changes: &Changes) -> String {
    let created = changes.create.iter().map(|node| format!("create on {node}"));
    let deleted = changes.delete.iter().map(|pod| format!("delete {}", meta::name(&pod.metadata)));
    let said = changes.events.iter().map(|event| event.message.clone());
    let waits = changes.requeue_after.iter().map(|wait| format!("again after {wait:?}"));
    created.chain(deleted).chain(said).chain(waits).collect::<Vec<_>>().join("\n")
}

fn check(yaml: &str, expected: Expect) {
    expected.assert_eq(&show(&manage(&snapshot(yaml), &mut Backoffs::default())));
}

#[test]
fn every_fitting_node_gets_a_pod() {
    let other = node("c", "").replace("linux", "other");
    check(
        &[SET, &node("a", ""), &node("b", ""), &other, &pod("on-a", "a", "new", "Running", true)].concat(),
        expect!["create on b"],
    );
}

#[test]
fn a_daemon_pod_is_pinned_and_tolerates_what_daemons_do() {
    let writes = creations(&snapshot(SET), &["a".to_owned()]);
    let operations: Vec<Operation> = writes.into_iter().map(Operation::Write).collect();
    expect![[r#"
        create v1 pods ns/
          {"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"agent-","labels":{"app":"agent","controller-revision-hash":"new","pod-template-generation":"1"},"namespace":"ns","ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"DaemonSet","name":"agent","uid":"d1"}]},"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchFields":[{"key":"metadata.name","operator":"In","values":["a"]}]}]}}},"containers":[{"image":"i","name":"c"}],"nodeSelector":{"os":"linux"},"tolerations":[{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists"},{"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists"},{"effect":"NoSchedule","key":"node.kubernetes.io/disk-pressure","operator":"Exists"},{"effect":"NoSchedule","key":"node.kubernetes.io/memory-pressure","operator":"Exists"},{"effect":"NoSchedule","key":"node.kubernetes.io/pid-pressure","operator":"Exists"},{"effect":"NoSchedule","key":"node.kubernetes.io/unschedulable","operator":"Exists"}]}}
          then Normal SuccessfulCreate: Created pod: {name}
          else Warning FailedCreate: Error creating: {error}
    "#]].assert_eq(&show_operations(&operations));
}

#[test]
fn taints_keep_pods_away_or_only_new_ones() {
    let set = objects::<DaemonSet>(SET).remove(0);
    let decide = |taint: &str| should_run(&set, &objects(&node("a", &format!("taints: [{taint}]")))[0]);
    assert_eq!(decide("{key: x, effect: NoSchedule}"), (false, true));
    assert_eq!(decide("{key: x, effect: NoExecute}"), (false, false));
    assert_eq!(decide("{key: node.kubernetes.io/unschedulable, effect: NoSchedule}"), (true, true));
    assert_eq!(decide("{key: node.kubernetes.io/not-ready, effect: NoExecute}"), (true, true));
}

#[test]
fn pods_on_nodes_that_no_longer_fit_and_duplicates_go() {
    let gone = node("a", "taints: [{key: x, effect: NoExecute}]");
    let yaml = [
        SET,
        &gone,
        &node("b", ""),
        &pod("p1", "a", "new", "Running", true),
        &pod("p2", "b", "new", "Running", true),
        &pod("p3", "b", "new", "Running", true),
    ];
    check(
        &yaml.concat(),
        expect![[r#"
        delete p1
        delete p3"#]],
    );
}

#[test]
fn a_failed_pod_is_replaced_with_back_off() {
    let yaml = [SET, &node("a", ""), &pod("p", "a", "new", "Failed", false)].concat();
    let mut backoffs = Backoffs::default();
    let first = show(&manage(&snapshot(&yaml), &mut backoffs));
    let second = show(&manage(&snapshot(&yaml), &mut backoffs));
    expect![[r#"
        delete p
        Found failed daemon pod ns/p on node a, will try to kill it
        --
        again after 1s"#]]
    .assert_eq(&format!("{first}\n--\n{second}"));
}

#[test]
fn a_rolling_update_takes_one_node_at_a_time() {
    let yaml = [
        SET,
        &node("a", ""),
        &node("b", ""),
        &pod("p1", "a", "old", "Running", true),
        &pod("p2", "b", "old", "Running", true),
    ]
    .concat();
    expect!["delete p1"].assert_eq(&show(&rolling::plan(&snapshot(&yaml))));
    let yaml = [
        SET,
        &node("a", ""),
        &node("b", ""),
        &pod("p1", "a", "new", "Running", false),
        &pod("p2", "b", "old", "Running", true),
    ]
    .concat();
    expect![[""]].assert_eq(&show(&rolling::plan(&snapshot(&yaml))));
    let broken = yaml
        .replace("name: p2, namespace: ns, uid: u-p2", "name: p3, namespace: ns, uid: u-p3")
        .replace("'True', last", "'False', last");
    expect!["delete p3"].assert_eq(&show(&rolling::plan(&snapshot(&broken))));
}

#[test]
fn a_surging_update_adds_before_it_removes() {
    let set = SET.replace("{maxUnavailable: 1, maxSurge: 0}", "{maxUnavailable: 0, maxSurge: 1}");
    let yaml = [
        &set,
        &node("a", ""),
        &node("b", ""),
        &pod("p1", "a", "old", "Running", true),
        &pod("p2", "b", "old", "Running", true),
    ]
    .map(String::as_str)
    .concat();
    expect!["create on a"].assert_eq(&show(&rolling::plan(&snapshot(&yaml))));
    let yaml = format!("{yaml}{}", pod("p3", "a", "new", "Running", true));
    expect![[r#"
        create on b
        delete p1"#]]
    .assert_eq(&show(&rolling::plan(&snapshot(&yaml))));
}

#[test]
fn status_counts_nodes() {
    let yaml = [
        SET,
        &node("a", ""),
        &node("b", ""),
        &node("c", "").replace("linux", "other"),
        &pod("p1", "a", "new", "Running", true),
        &pod("p2", "c", "old", "Running", true),
    ]
    .concat();
    expect![[r#"{"currentNumberScheduled":1,"desiredNumberScheduled":2,"numberAvailable":1,"numberMisscheduled":1,"numberReady":1,"numberUnavailable":1,"observedGeneration":1,"updatedNumberScheduled":1}"#]].assert_eq(&to_value(&status(&snapshot(&yaml), true).0).to_string());
}

#[test]
fn a_new_template_gets_a_revision_and_a_known_one_keeps_its_own() {
    let set = objects::<DaemonSet>(SET).remove(0);
    let first = history::plan(&set, Vec::new(), &[]);
    let [Step::Create { write, .. }] = &first.steps[..] else { panic!("one revision is to be made") };
    expect![[r#"
        create apps/v1 controllerrevisions ns/agent-68f64c64b9
          {"apiVersion":"apps/v1","kind":"ControllerRevision","data":{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"agent"}},"spec":{"containers":[{"image":"i","name":"c"}],"nodeSelector":{"os":"linux"}}}}},"metadata":{"annotations":{"deprecated.daemonset.template.generation":"1"},"labels":{"app":"agent","controller-revision-hash":"68f64c64b9"},"name":"agent-68f64c64b9","namespace":"ns","ownerReferences":[{"apiVersion":"apps/v1","blockOwnerDeletion":true,"controller":true,"kind":"DaemonSet","name":"agent","uid":"d1"}]},"revision":1}
    "#]].assert_eq(&show_operations(&[Operation::Write(write.clone())]));
    let crate::engine::Action::Create { object } = &write.action else { panic!("made by creation") };
    let revision: ControllerRevision = serde_json::from_value(object.clone()).unwrap();
    let again = history::plan(&set, vec![Arc::new(revision)], &[] as &[Arc<Pod>]);
    assert_eq!(again.hash, first.hash);
    assert!(again.steps.is_empty());
}
