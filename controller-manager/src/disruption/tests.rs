use std::time::Duration;

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

use super::plan::{Snapshot, plan, stale_mark};
use crate::engine::to_value;
use crate::test_support::{at, object, objects};

fn budget(spec: &str, status: &str) -> String {
    format!(
        "{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: pdb, namespace: ns, generation: 1}}, spec: {{{spec}}}, status: {{{status}}}}}\n"
    )
}

fn pod(name: &str, ready: bool) -> String {
    let ready = if ready { "True" } else { "False" };
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: rs, uid: rs, controller: true}}]}}, status: {{conditions: [{{type: Ready, status: '{ready}'}}]}}}}\n"
    )
}

fn check(yaml: &str, size: Option<i32>, expected: Expect) {
    let pods = objects::<Pod>(yaml);
    let sizes = pods.iter().map(|_| size.map(|size| ("rs".to_owned(), size))).collect();
    let outcome =
        plan(&Snapshot { budget: objects::<PodDisruptionBudget>(yaml).remove(0), pods, sizes, now: at("10:00:00") });
    let mut lines = vec![to_value(&outcome.status).to_string()];
    lines.extend(outcome.events.iter().map(|event| format!("{}: {}", event.reason, event.message)));
    lines.extend(outcome.requeue_after.map(|wait| format!("again after {wait:?}")));
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn healthy_pods_above_the_minimum_may_be_disrupted() {
    let three = [pod("a", true), pod("b", true), pod("c", false)].concat();
    check(
        &format!("{}{three}", budget("minAvailable: 1", "")),
        None,
        expect![[
            r#"{"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"","observedGeneration":1,"reason":"SufficientPods","status":"True","type":"DisruptionAllowed"}],"currentHealthy":2,"desiredHealthy":1,"disruptionsAllowed":1,"expectedPods":3,"observedGeneration":1}"#
        ]],
    );
    check(
        &format!("{}{three}", budget("minAvailable: 50%", "")),
        Some(3),
        expect![[
            r#"{"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"","observedGeneration":1,"reason":"InsufficientPods","status":"False","type":"DisruptionAllowed"}],"currentHealthy":2,"desiredHealthy":2,"disruptionsAllowed":0,"expectedPods":3,"observedGeneration":1}"#
        ]],
    );
    check(
        &format!("{}{three}", budget("maxUnavailable: 1", "")),
        Some(3),
        expect![[
            r#"{"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"","observedGeneration":1,"reason":"InsufficientPods","status":"False","type":"DisruptionAllowed"}],"currentHealthy":2,"desiredHealthy":2,"disruptionsAllowed":0,"expectedPods":3,"observedGeneration":1}"#
        ]],
    );
}

#[test]
fn a_granted_eviction_counts_until_the_pod_is_gone() {
    let status = "disruptedPods: {a: '2026-01-01T09:59:00Z', b: '2026-01-01T09:00:00Z'}";
    check(
        &[budget("minAvailable: 1", status), pod("a", true), pod("b", true)].concat(),
        None,
        expect![[r#"
        {"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"","observedGeneration":1,"reason":"InsufficientPods","status":"False","type":"DisruptionAllowed"}],"currentHealthy":1,"desiredHealthy":1,"disruptedPods":{"a":"2026-01-01T09:59:00Z"},"disruptionsAllowed":0,"expectedPods":2,"observedGeneration":1}
        NotDeleted: Pod was expected by PDB ns/ns to be deleted but it wasn't
        again after 60s"#]],
    );
}

#[test]
fn nothing_is_allowed_when_the_size_is_unknown() {
    check(
        &[budget("maxUnavailable: 1", ""), pod("a", true)].concat(),
        None,
        expect![[r#"
        {"conditions":[{"lastTransitionTime":"2026-01-01T10:00:00Z","message":"found no controllers for pod \"a\"","reason":"SyncFailed","status":"False","type":"DisruptionAllowed"}],"disruptionsAllowed":0}
        CalculateExpectedPodCountFailed: Failed to calculate the number of expected pods: found no controllers for pod "a""#]],
    );
}

#[test]
fn an_announced_disruption_goes_stale() {
    let pod: Pod = object(
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, status: {conditions: [{type: DisruptionTarget, status: 'True', lastTransitionTime: '2026-01-01T10:00:00Z'}]}}",
    );
    assert_eq!(stale_mark(&pod, at("10:00:30")), Some(Duration::from_secs(90)));
    assert_eq!(stale_mark(&pod, at("10:05:00")), Some(Duration::ZERO));
}
