use std::collections::HashMap;

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::ResourceQuota;

use super::plan::{Counted, Snapshot, counted, plan};
use crate::engine::to_value;
use crate::test_support::{at, objects};

fn quota(spec: &str) -> String {
    format!("{{apiVersion: v1, kind: ResourceQuota, metadata: {{name: q, namespace: ns}}, spec: {{{spec}}}}}\n")
}

fn pod(name: &str, spec: &str, phase: &str) -> String {
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns}}, spec: {{{spec}}}, status: {{phase: {phase}}}}}\n"
    )
}

fn container(cpu: &str, memory: &str) -> String {
    format!("{{name: c, resources: {{requests: {{cpu: '{cpu}', memory: {memory}}}, limits: {{cpu: '1'}}}}}}")
}

fn snapshot(yaml: &str) -> Snapshot {
    let counts = HashMap::from([
        (Counted { group: "apps".to_owned(), resource: "deployments".to_owned() }, 4),
        (Counted { group: String::new(), resource: "secrets".to_owned() }, 2),
    ]);
    Snapshot {
        quota: objects::<ResourceQuota>(yaml).remove(0),
        pods: objects(yaml),
        services: objects(yaml),
        claims: objects(yaml),
        counts,
        now: at("10:00:00"),
    }
}

fn check(yaml: &str, expected: Expect) {
    expected.assert_eq(&to_value(&plan(&snapshot(yaml)).and_then(|status| status.used)).to_string());
}

#[test]
fn pods_are_added_up_and_finished_ones_left_out() {
    let hard =
        "hard: {pods: 10, cpu: 4, requests.memory: 1Gi, limits.cpu: 8, count/pods: 10, requests.nvidia.com/gpu: 2}";
    let sidecar = "{name: s, restartPolicy: Always, resources: {requests: {cpu: 50m}}}";
    let init = "{name: i, resources: {requests: {cpu: 500m, nvidia.com/gpu: 1}}}";
    let yaml = [
        quota(hard),
        pod("a", &format!("containers: [{}]", container("100m", "64Mi")), "Running"),
        pod(
            "b",
            &format!(
                "initContainers: [{sidecar}, {init}], containers: [{}, {}]",
                container("100m", "64Mi"),
                container("200m", "64Mi")
            ),
            "Pending",
        ),
        pod("done", &format!("containers: [{}]", container("2", "1Gi")), "Succeeded"),
    ];
    check(
        &yaml.concat(),
        expect![[
            r#"{"count/pods":"3","cpu":"650m","limits.cpu":"3","pods":"2","requests.memory":"192Mi","requests.nvidia.com/gpu":"1"}"#
        ]],
    );
}

#[test]
fn scopes_choose_pods() {
    let pods = [
        pod("a", "activeDeadlineSeconds: 5, containers: [{name: c}]", "Running"),
        pod("b", &format!("priorityClassName: high, containers: [{}]", container("1", "1Mi")), "Running"),
    ]
    .concat();
    for scope in [
        "scopes: [Terminating]",
        "scopes: [NotBestEffort]",
        "scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In, values: [high]}]}",
        "scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: NotIn, values: [high, low]}]}",
    ] {
        check(
            &format!("{}{pods}", quota(&format!("hard: {{pods: 5, services: 1}}, {scope}"))),
            expect![[r#"{"pods":"1","services":"0"}"#]],
        );
    }
}

#[test]
fn services_claims_and_counted_objects_are_measured() {
    let hard = "hard: {services: 5, services.nodeports: 5, services.loadbalancers: 1, requests.storage: 10Gi, fast.storageclass.storage.k8s.io/requests.storage: 5Gi, persistentvolumeclaims: 3, count/deployments.apps: 9, secrets: 5}";
    let quota_yaml = quota(hard);
    let yaml = [
        quota_yaml.as_str(),
        "---\n{apiVersion: v1, kind: Service, metadata: {name: s, namespace: ns}, spec: {type: NodePort, ports: [{port: 1}, {port: 2}]}}\n",
        "---\n{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c, namespace: ns}, spec: {storageClassName: fast, resources: {requests: {storage: 1Gi}}}}\n",
        "---\n{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: d, namespace: ns}, spec: {resources: {requests: {storage: 2Gi}}}}\n",
    ];
    check(
        &yaml.concat(),
        expect![[
            r#"{"count/deployments.apps":"4","fast.storageclass.storage.k8s.io/requests.storage":"1Gi","persistentvolumeclaims":"2","requests.storage":"3Gi","secrets":"2","services":"1","services.loadbalancers":"0","services.nodeports":"2"}"#
        ]],
    );
    assert_eq!(counted(&objects::<ResourceQuota>(&quota_yaml)[0]).len(), 2);
}

#[test]
fn a_status_that_is_right_is_not_written() {
    let yaml = format!(
        "{}{}",
        quota("hard: {pods: 5, cpu: '1000m'}")
            .replace("}}\n", "}, status: {hard: {pods: 5, cpu: 1}, used: {pods: 1, cpu: 100m}}}\n"),
        pod("a", &format!("containers: [{}]", container("0.1", "1Mi")), "Running")
    );
    check(&yaml, expect!["null"]);
}
