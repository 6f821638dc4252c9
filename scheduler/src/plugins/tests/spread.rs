use client::Key;

use super::*;

const SKEW: &str = "node(s) didn't match pod topology spread constraints";
const LABEL: &str = "node(s) didn't match pod topology spread constraints (missing required label)";

fn web(name: &str) -> Value {
    labelled_pod(name, json!({"app": "web"}))
}

/// Zone 1 with two pods on `a`, zone 2 with one on `b`, zone 3 empty on `c`; `d` without a zone.
fn zones() -> Fixture {
    Fixture::default()
        .labelled("a", json!({"zone": "1", "kubernetes.io/hostname": "a"}))
        .running(web("w1"))
        .running(web("w2"))
        .labelled("b", json!({"zone": "2", "kubernetes.io/hostname": "b"}))
        .running(web("w3"))
        .labelled("c", json!({"zone": "3", "kubernetes.io/hostname": "c"}))
        .labelled("d", json!({"kubernetes.io/hostname": "d"}))
}

fn spreading(change: Value) -> Value {
    let mut constraint = json!({"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}});
    for (key, value) in change.as_object().unwrap() {
        constraint[key] = value.clone();
    }
    json!({"metadata": {"name": "new", "labels": {"app": "web"}},
        "spec": {"topologySpreadConstraints": [constraint]}})
}

#[test]
fn skew_is_kept_within_bounds() {
    let nodes = zones();
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({}))), [SKEW, SKEW, "", LABEL]);
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({"maxSkew": 2}))), [SKEW, "", "", LABEL]);
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({"maxSkew": 3}))), ["", "", "", LABEL]);
}

#[test]
fn nodes_the_pod_may_not_use_do_not_count_unless_told() {
    let nodes = zones();
    let on_a_and_b = |policy: &str| {
        let mut pod = spreading(json!({"nodeAffinityPolicy": policy}));
        pod["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["1", "2"]}]}]}}});
        pod
    };
    assert_eq!(nodes.filter("PodTopologySpread", on_a_and_b("Honor"))[1], "");
    assert_eq!(nodes.filter("PodTopologySpread", on_a_and_b("Ignore"))[1], SKEW);
}

#[test]
fn too_few_places_count_as_an_empty_one() {
    let nodes = Fixture::default().labelled("a", json!({"zone": "1"})).running(web("w"));
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({}))), [""]);
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({"minDomains": 2}))), [SKEW]);
}

#[test]
fn pods_that_are_leaving_and_pods_of_other_namespaces_do_not_count() {
    let mut leaving = web("leaving");
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mut other = web("other");
    other["metadata"]["namespace"] = "other".into();
    let nodes = Fixture::default()
        .labelled("a", json!({"zone": "1"}))
        .running(leaving)
        .running(other)
        .labelled("b", json!({"zone": "2"}));
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({}))), ["", ""]);
}

#[test]
fn match_label_keys_spread_each_revision_alone() {
    let mut old = web("old");
    old["metadata"]["labels"]["hash"] = "1".into();
    let nodes = Fixture::default().labelled("a", json!({"zone": "1"})).running(old).labelled("b", json!({"zone": "2"}));
    let mut pod = spreading(json!({"matchLabelKeys": ["hash"]}));
    pod["metadata"]["labels"]["hash"] = "2".into();
    assert_eq!(nodes.filter("PodTopologySpread", pod), ["", ""]);
    assert_eq!(nodes.filter("PodTopologySpread", spreading(json!({}))), [SKEW, ""]);
}

#[test]
fn places_with_fewer_pods_are_preferred_and_nodes_without_the_label_last() {
    let soft = spreading(json!({"whenUnsatisfiable": "ScheduleAnyway"}));
    let scores = zones().score("PodTopologySpread", soft);
    assert!(scores[2] > scores[1] && scores[1] > scores[0] && scores[3] == 0, "{scores:?}");
    assert_eq!(scores[2], 100);
}

#[test]
fn pods_of_a_service_spread_by_default_even_without_zones() {
    let mut nodes = zones();
    assert_eq!(nodes.score("PodTopologySpread", web("new")), [0, 0, 0, 0]);
    let service = serde_json::from_value(json!({"metadata": {"name": "s"}, "spec": {"selector": {"app": "web"}}}));
    nodes.cluster.services.insert(Key::new("ns", "s"), Arc::new(service.unwrap()));
    let scores = nodes.score("PodTopologySpread", web("new"));
    assert!(scores[0] < scores[1] && scores[1] < scores[2] && scores[2] == scores[3], "{scores:?}");
}

#[test]
fn pods_of_a_replica_set_spread_by_default() {
    let mut nodes = zones();
    let set = json!({"metadata": {"name": "r"}, "spec": {"selector": {"matchLabels": {"app": "web"}}}});
    nodes.cluster.replica_sets.insert(Key::new("ns", "r"), Arc::new(serde_json::from_value(set).unwrap()));
    let mut pod = web("new");
    pod["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true}]);
    let scores = nodes.score("PodTopologySpread", pod);
    assert!(scores[0] < scores[1] && scores[1] < scores[2], "{scores:?}");
}
