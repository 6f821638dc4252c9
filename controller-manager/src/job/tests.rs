use std::collections::HashSet;
use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::api::batch::v1::Job;

use super::backoff::Backoff;
use super::plan::{Manage, Pass, Snapshot};
use crate::engine::{Operation, to_value};
use crate::test_support::{at, objects, show_operations};

fn job(spec: &str, status: &str) -> String {
    format!(
        "{{apiVersion: batch/v1, kind: Job, metadata: {{name: work, namespace: ns, uid: j1}},
          spec: {{parallelism: 2, completions: 3, backoffLimit: 2, {spec} template: {{spec: {{restartPolicy: Never, containers: [{{name: c, image: i}}]}}}}}}, status: {{{status}}}}}\n"
    )
}

fn pod(name: &str, phase: &str, rest: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns, uid: u-{name}, creationTimestamp: '2026-01-01T09:59:00Z', finalizers: [batch.kubernetes.io/job-tracking]{rest}}}, status: {{phase: {phase}}}}}\n"
    )
}

fn indexed(index: u32) -> String {
    format!(", annotations: {{batch.kubernetes.io/job-completion-index: '{index}'}}")
}

fn pass(yaml: &str) -> Pass {
    Pass::new(Snapshot {
        job: objects::<Job>(yaml).remove(0),
        pods: objects(yaml),
        finalizers_going: HashSet::new(),
        backoff: Backoff::default(),
        now: at("10:00:00"),
    })
}

fn managed(yaml: &str) -> String {
    match pass(yaml).manage() {
        Manage::Nothing => "nothing".to_owned(),
        Manage::Wait(time) => format!("wait {time:?}"),
        Manage::Delete(pods) => pods
            .iter()
            .map(|pod| format!("delete {}", pod.metadata.name.clone().unwrap()))
            .collect::<Vec<_>>()
            .join("\n"),
        Manage::Create(writes) => writes
            .iter()
            .map(|write| match &write.action {
                crate::engine::Action::Create { object } => {
                    format!("create {}", object["metadata"]["generateName"].as_str().unwrap())
                }
                other => format!("{other:?}"),
            })
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn verdict(yaml: &str) -> String {
    pass(yaml).finished.map_or_else(
        || "goes on".to_owned(),
        |condition| format!("{} {}: {}", condition.type_, condition.reason.unwrap(), condition.message.unwrap()),
    )
}

fn check(text: String, expected: Expect) {
    expected.assert_eq(&text);
}

#[test]
fn pods_are_created_up_to_parallelism_and_remaining_completions() {
    check(
        managed(&job("", "")),
        expect![[r#"
        create work-
        create work-"#]],
    );
    let two_done = [job("", "succeeded: 1"), pod("a", "Succeeded", ""), pod("b", "Running", "")].concat();
    check(managed(&two_done), expect!["nothing"]);
}

#[test]
fn an_indexed_pod_knows_its_index() {
    let yaml = job("completionMode: Indexed,", "");
    let Manage::Create(writes) = pass(&yaml).manage() else { panic!("two pods are missing") };
    expect![[r#"
        create v1 pods ns/
          {"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{"batch.kubernetes.io/job-completion-index":"1"},"finalizers":["batch.kubernetes.io/job-tracking"],"generateName":"work-1-","labels":{"batch.kubernetes.io/job-completion-index":"1"},"namespace":"ns","ownerReferences":[{"apiVersion":"batch/v1","blockOwnerDeletion":true,"controller":true,"kind":"Job","name":"work","uid":"j1"}]},"spec":{"containers":[{"env":[{"name":"JOB_COMPLETION_INDEX","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['batch.kubernetes.io/job-completion-index']"}}}],"image":"i","name":"c"}],"hostname":"work-1","restartPolicy":"Never"}}
          then Normal SuccessfulCreate: Created pod: {name}
          else Warning FailedCreate: Error creating: {error}
    "#]].assert_eq(&show_operations(&[Operation::Write(writes[1].clone())]));
}

#[test]
fn failed_pods_are_replaced_after_a_pause() {
    check(
        managed(&[job("", ""), pod("a", "Failed", "")].concat()),
        expect![[r#"
        create work-
        create work-"#]],
    );
    let just_now = pod("a", "Failed", "").replace("09:59:00", "09:59:57");
    check(managed(&[job("", ""), just_now].concat()), expect!["wait 7s"]);
}

#[test]
fn a_suspended_job_loses_its_pods() {
    check(
        managed(&[job("suspend: true,", ""), pod("a", "Running", ""), pod("b", "Running", "")].concat()),
        expect![[r#"
        delete a
        delete b"#]],
    );
}

#[test]
fn duplicate_indexes_go_first() {
    let yaml = [
        job("completionMode: Indexed,", ""),
        pod("a", "Running", &indexed(0)),
        pod("b", "Running", &indexed(0)),
        pod("c", "Running", &indexed(1)),
    ];
    assert!(managed(&yaml.concat()).starts_with("delete "), "{}", managed(&yaml.concat()));
}

#[test]
fn the_backoff_limit_ends_a_job() {
    check(
        verdict(&[job("", "failed: 2"), pod("a", "Failed", "")].concat()),
        expect!["FailureTarget BackoffLimitExceeded: Job has reached the specified backoff limit"],
    );
    check(verdict(&job("", "failed: 2")), expect!["goes on"]);
}

#[test]
fn the_deadline_ends_a_job() {
    let started = "startTime: '2026-01-01T09:59:00Z'";
    check(
        verdict(&job("activeDeadlineSeconds: 60,", started)),
        expect!["FailureTarget DeadlineExceeded: Job was active longer than specified deadline"],
    );
    assert_eq!(pass(&job("activeDeadlineSeconds: 90,", started)).requeue_after, Some(Duration::from_secs(30)));
}

#[test]
fn a_pod_failure_policy_fails_the_job_or_ignores_the_pod() {
    let policy = "podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {containerName: c, operator: In, values: [42]}}, {action: Ignore, onPodConditions: [{type: DisruptionTarget, status: 'True'}]}]},";
    let exited = pod("a", "Failed", "").replace("{phase: Failed}", "{phase: Failed, containerStatuses: [{name: c, image: i, imageID: '', ready: false, restartCount: 0, state: {terminated: {exitCode: 42}}}]}");
    check(
        verdict(&[job(policy, ""), exited].concat()),
        expect![
            "FailureTarget PodFailurePolicy: Container c for pod ns/a failed with exit code 42 matching FailJob rule at index 0"
        ],
    );
    let disrupted = pod("a", "Failed", "")
        .replace("{phase: Failed}", "{phase: Failed, conditions: [{type: DisruptionTarget, status: 'True'}]}");
    assert_eq!(pass(&[job(policy, ""), disrupted].concat()).failed, 0);
}

#[test]
fn limits_per_index_fail_indexes_and_then_the_job() {
    let spec = "completionMode: Indexed, backoffLimitPerIndex: 0, maxFailedIndexes: 1,";
    let one = [job(spec, ""), pod("a", "Failed", &indexed(0))].concat();
    check(verdict(&one), expect!["goes on"]);
    check(
        managed(&one),
        expect![[r#"
        create work-1-
        create work-2-"#]],
    );
    check(
        verdict(&[one, pod("b", "Failed", &indexed(1))].concat()),
        expect![
            "FailureTarget MaxFailedIndexesExceeded: Job has exceeded the specified maximal number of failed indexes"
        ],
    );
}

#[test]
fn a_success_policy_ends_a_job_early() {
    let spec = "completionMode: Indexed, successPolicy: {rules: [{succeededIndexes: '0,2', succeededCount: 1}]},";
    check(
        verdict(&[job(spec, ""), pod("a", "Succeeded", &indexed(2))].concat()),
        expect!["SuccessCriteriaMet SuccessPolicy: Matched rules at index 0"],
    );
    check(verdict(&[job(spec, ""), pod("a", "Succeeded", &indexed(1))].concat()), expect!["goes on"]);
}

/// Runs a pass over finished pods as the controller does, all writes succeeding, and shows the statuses written.
fn tracked(yaml: &str) -> String {
    let mut pass = pass(yaml);
    pass.conclude(false);
    let mut flush = pass.prepare(false);
    let mut out = format!("{}\n", to_value(&pass.status));
    let removed: HashSet<String> = flush.pods.iter().map(|pod| pod.metadata.uid.clone().unwrap()).collect();
    let changed = pass.finalizers_removed(&mut flush, &removed);
    let finished = pass.enact_finished();
    if changed || finished {
        out.push_str(&format!("{}\n", to_value(&pass.status)));
    }
    out
}

#[test]
fn finished_pods_are_listed_before_they_are_counted() {
    check(
        tracked(
            &[job("", "startTime: '2026-01-01T09:00:00Z'"), pod("a", "Succeeded", ""), pod("b", "Failed", "")].concat(),
        ),
        expect![[r#"
        {"startTime":"2026-01-01T09:00:00Z","uncountedTerminatedPods":{"failed":["u-b"],"succeeded":["u-a"]}}
        {"failed":1,"startTime":"2026-01-01T09:00:00Z","succeeded":1,"uncountedTerminatedPods":{}}
    "#]],
    );
}

#[test]
fn a_pod_listed_before_a_crash_is_counted_once() {
    let status = "startTime: '2026-01-01T09:00:00Z', succeeded: 1, uncountedTerminatedPods: {succeeded: [u-a, u-gone]}";
    let text = tracked(&[job("", status), pod("a", "Succeeded", "")].concat());
    check(
        text,
        expect![[r#"
        {"conditions":[{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"startTime":"2026-01-01T09:00:00Z","succeeded":2,"uncountedTerminatedPods":{"succeeded":["u-a"]}}
        {"completionTime":"2026-01-01T10:00:00Z","conditions":[{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"},{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}],"startTime":"2026-01-01T09:00:00Z","succeeded":3,"uncountedTerminatedPods":{}}
    "#]],
    );
}

#[test]
fn the_last_success_completes_the_job() {
    let status = "startTime: '2026-01-01T09:00:00Z', succeeded: 2";
    check(
        tracked(&[job("", status), pod("a", "Succeeded", "")].concat()),
        expect![[r#"
        {"conditions":[{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"}],"startTime":"2026-01-01T09:00:00Z","succeeded":2,"uncountedTerminatedPods":{"succeeded":["u-a"]}}
        {"completionTime":"2026-01-01T10:00:00Z","conditions":[{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"SuccessCriteriaMet"},{"lastProbeTime":"2026-01-01T10:00:00Z","lastTransitionTime":"2026-01-01T10:00:00Z","message":"Reached expected number of succeeded pods","reason":"CompletionsReached","status":"True","type":"Complete"}],"startTime":"2026-01-01T09:00:00Z","succeeded":3,"uncountedTerminatedPods":{}}
    "#]],
    );
}

#[test]
fn indexes_are_counted_by_the_indexes_themselves() {
    let yaml = [
        job("completionMode: Indexed,", "startTime: '2026-01-01T09:00:00Z', completedIndexes: '0', succeeded: 1"),
        pod("a", "Succeeded", &indexed(1)),
        pod("b", "Succeeded", &indexed(0)),
    ];
    check(
        tracked(&yaml.concat()),
        expect![[r#"
        {"completedIndexes":"0,1","startTime":"2026-01-01T09:00:00Z","succeeded":2,"uncountedTerminatedPods":{}}
    "#]],
    );
}
