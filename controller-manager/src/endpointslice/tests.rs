use std::fmt::Write as _;

use expect_test::{Expect, expect};
use k8s_openapi::api::core::v1::Service;

use super::plan::{Snapshot, plan};
use super::tracker::Tracker;
use crate::engine::{Key, to_value};
use crate::test_support::{at, objects};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ns, uid: s1, labels: {team: a}}
spec: {clusterIP: 10.0.0.1, ipFamilies: [IPv4], selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
---
{apiVersion: v1, kind: Node, metadata: {name: n1, labels: {topology.kubernetes.io/zone: z1}}}
";

fn pod(name: &str, ip: &str, ready: bool, rest: &str) -> String {
    let ready = if ready { "True" } else { "False" };
    format!(
        "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns, uid: u-{name}, labels: {{app: web}}{rest}}}, spec: {{nodeName: n1, containers: []}},
          status: {{phase: Running, podIP: {ip}, podIPs: [{{ip: {ip}}}], conditions: [{{type: Ready, status: '{ready}'}}]}}}}\n"
    )
}

fn slice(name: &str, endpoints: &[(&str, &str)]) -> String {
    let endpoint = |(pod, ip): &(&str, &str)| {
        format!(
            "{{addresses: [{ip}], conditions: {{ready: true, serving: true, terminating: false}}, nodeName: n1, zone: z1,
              targetRef: {{kind: Pod, namespace: ns, name: {pod}, uid: u-{pod}}}}}"
        )
    };
    let endpoints: Vec<String> = endpoints.iter().map(endpoint).collect();
    format!(
        "---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4,
          metadata: {{name: {name}, namespace: ns, uid: {name}, generation: 1,
            labels: {{team: a, kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}},
            ownerReferences: [{{apiVersion: v1, kind: Service, name: web, uid: s1, controller: true, blockOwnerDeletion: true}}]}},
          ports: [{{name: http, port: 8080, protocol: TCP}}], endpoints: [{}]}}\n",
        endpoints.join(", ")
    )
}

fn snapshot(yaml: &str, max_endpoints: usize) -> Snapshot {
    Snapshot {
        service: objects::<Service>(yaml).remove(0),
        pods: objects(yaml),
        nodes: objects(yaml),
        slices: objects(yaml),
        trigger: Some(at("10:00:00")),
        max_endpoints,
    }
}

/// One line a slice: what is done, and which pods it has (`!` unready, `~` terminating).
fn layout(yaml: &str, max_endpoints: usize) -> String {
    let changes = plan(&snapshot(yaml, max_endpoints));
    let mut out = String::new();
    for (verb, slices) in [("create", &changes.create), ("update", &changes.update), ("delete", &changes.delete)] {
        for slice in slices {
            let endpoints = slice.endpoints.iter().flatten().map(|endpoint| {
                let conditions = endpoint.conditions.clone().unwrap_or_default();
                let mark = if conditions.terminating == Some(true) {
                    "~"
                } else if conditions.ready == Some(true) {
                    ""
                } else {
                    "!"
                };
                format!("{mark}{}", endpoint.addresses.join("+"))
            });
            let name = slice.metadata.name.as_deref().or(slice.metadata.generate_name.as_deref()).unwrap_or_default();
            writeln!(out, "{verb} {name} {}: {}", slice.address_type, endpoints.collect::<Vec<_>>().join(" ")).unwrap();
        }
    }
    for message in changes.skipped {
        writeln!(out, "{message}").unwrap();
    }
    out
}

fn check(pods_and_slices: &[String], expected: Expect) {
    expected.assert_eq(&layout(&format!("{SERVICE}{}", pods_and_slices.concat()), 3));
}

#[test]
fn a_slice_says_all_there_is_to_say() {
    let yaml = format!("{SERVICE}{}", pod("a", "10.1.0.1", true, ""));
    expect![[r#"{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":true,"serving":true,"terminating":false},"nodeName":"n1","targetRef":{"kind":"Pod","name":"a","namespace":"ns","uid":"u-a"},"zone":"z1"}],"metadata":{"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T10:00:00Z"},"generateName":"web-","labels":{"endpointslice.kubernetes.io/managed-by":"endpointslice-controller.k8s.io","kubernetes.io/service-name":"web","team":"a"},"namespace":"ns","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Service","name":"web","uid":"s1"}]},"ports":[{"name":"http","port":8080,"protocol":"TCP"}]}"#]].assert_eq(&to_value(&plan(&snapshot(&yaml, 3)).create[0]).to_string());
}

#[test]
fn a_service_without_pods_has_an_empty_slice() {
    check(
        &[],
        expect![[r#"
        create web- IPv4: 
    "#]],
    );
}

#[test]
fn what_is_right_is_not_written() {
    check(&[pod("a", "10.1.0.1", true, ""), slice("s", &[("a", "10.1.0.1")])], expect![[""]]);
}

#[test]
fn unready_and_terminating_pods_are_listed_as_such() {
    let terminating = ", deletionTimestamp: '2026-01-01T00:00:00Z'";
    check(
        &[pod("a", "10.1.0.1", false, ""), pod("b", "10.1.0.2", true, terminating)],
        expect![[r#"
        create web- IPv4: !10.1.0.1 ~10.1.0.2
    "#]],
    );
}

#[test]
fn new_endpoints_fill_the_fullest_slice_with_room() {
    let pods = [
        pod("a", "10.1.0.1", true, ""),
        pod("b", "10.1.0.2", true, ""),
        pod("c", "10.1.0.3", true, ""),
        pod("d", "10.1.0.4", true, ""),
    ];
    let slices = [slice("one", &[("a", "10.1.0.1")]), slice("two", &[("b", "10.1.0.2"), ("c", "10.1.0.3")])];
    check(
        &[pods.concat(), slices.concat()],
        expect![[r#"
        update two IPv4: 10.1.0.2 10.1.0.3 10.1.0.4
    "#]],
    );
}

#[test]
fn what_does_not_fit_gets_new_slices() {
    let pods: Vec<String> = (1..=7).map(|at| pod(&format!("p{at}"), &format!("10.1.0.{at}"), true, "")).collect();
    check(
        &pods,
        expect![[r#"
        create web- IPv4: 10.1.0.1 10.1.0.2 10.1.0.3
        create web- IPv4: 10.1.0.4 10.1.0.5 10.1.0.6
        create web- IPv4: 10.1.0.7
    "#]],
    );
}

#[test]
fn an_emptied_slice_goes_and_gone_pods_leave_the_others() {
    let pods = [pod("a", "10.1.0.1", true, "")];
    let slices = [slice("one", &[("a", "10.1.0.1"), ("x", "10.1.0.8")]), slice("two", &[("z", "10.1.0.9")])];
    check(
        &[pods.concat(), slices.concat()],
        expect![[r#"
        update one IPv4: 10.1.0.1
        delete two IPv4: 
    "#]],
    );
}

#[test]
fn changed_ports_reuse_the_slice() {
    let old = slice("one", &[("a", "10.1.0.1")]).replace("port: 8080", "port: 9090");
    check(
        &[pod("a", "10.1.0.1", true, ""), old],
        expect![[r#"
        update one IPv4: 10.1.0.1
    "#]],
    );
}

#[test]
fn a_pod_on_an_unknown_node_is_left_out_and_told() {
    check(
        &[pod("a", "10.1.0.1", true, "").replace("n1", "n9")],
        expect![[r#"
        create web- IPv4: 
        skipping Pod a for Service ns/web: Node n9 Not Found
    "#]],
    );
}

#[test]
fn a_dual_stack_service_has_slices_of_both_families() {
    let both = pod("a", "10.1.0.1", true, "").replace("[{ip: 10.1.0.1}]", "[{ip: 10.1.0.1}, {ip: 'fd00::1'}]");
    let yaml = format!("{}{both}", SERVICE.replace("[IPv4]", "[IPv4, IPv6]"));
    expect![[r#"
        create web- IPv4: 10.1.0.1
        create web- IPv6: fd00::1
    "#]]
    .assert_eq(&layout(&yaml, 3));
}

#[test]
fn traffic_distribution_gives_hints() {
    let yaml = SERVICE.replace("clusterIP", "trafficDistribution: PreferSameNode, clusterIP");
    let changes = plan(&snapshot(&format!("{yaml}{}", pod("a", "10.1.0.1", true, "")), 3));
    let hints = &changes.create[0].endpoints.as_ref().unwrap()[0].hints;
    expect![[r#"{"forNodes":[{"name":"n1"}],"forZones":[{"name":"z1"}]}"#]].assert_eq(&to_value(hints).to_string());
}

#[test]
fn a_cache_behind_our_writes_is_stale() {
    let (tracker, key) = (Tracker::default(), Key::new("ns", "web"));
    let cached = objects(&slice("one", &[]));
    assert!(!tracker.is_stale(&key, &cached));
    tracker.written(&key, &serde_json::json!({"metadata": {"uid": "one", "generation": 2}}));
    assert!(tracker.is_stale(&key, &cached));
    tracker.written(&key, &serde_json::json!({"metadata": {"uid": "one", "generation": 1}}));
    assert!(!tracker.is_stale(&key, &cached));
    tracker.expect_deletion(&key, "one");
    assert!(tracker.is_stale(&key, &cached));
    tracker.deleted(&key, "one");
    assert!(!tracker.is_stale(&key, &[]));
}
