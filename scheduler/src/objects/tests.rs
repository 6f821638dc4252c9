use serde_json::json;

use super::selector::*;
use super::*;

fn pod(spec: serde_json::Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "ns", "labels": {"app": "a"}}, "spec": spec}))
        .unwrap()
}

#[test]
fn quantities_round_up_and_know_every_suffix() {
    let cases = [
        ("0", 0, 0),
        ("100m", 1, 100),
        ("1", 1, 1000),
        ("1.5", 2, 1500),
        (".5", 1, 500),
        ("1k", 1000, 1_000_000),
        ("1Ki", 1024, 1_024_000),
        ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
        ("1e3", 1000, 1_000_000),
        ("12E", 12_000_000_000_000_000_000_i128 as i64, i64::MAX),
        ("1n", 1, 1),
        ("-1", -1, -1000),
        ("-1500m", -2, -1500),
    ];
    for (text, value, milli) in cases {
        let amount = Amount::parse(text).unwrap();
        if text != "12E" {
            assert_eq!((amount.value(), amount.milli_value()), (value, milli), "{text}");
        } else {
            assert_eq!(amount.value(), i64::MAX, "{text}");
        }
    }
    for text in ["", "x", "1.2.3", "1Qi"] {
        assert_eq!(Amount::parse(text), None, "{text}");
    }
}

#[test]
fn requests_take_the_larger_of_containers_and_init_containers_with_sidecars() {
    let cpu = |amount: &str| json!({"requests": {"cpu": amount}});
    let pod = pod(json!({
        "containers": [{"name": "a", "resources": cpu("100m")}, {"name": "b", "resources": cpu("200m")}],
        "initContainers": [
            {"name": "sidecar", "restartPolicy": "Always", "resources": cpu("50m")},
            {"name": "init", "resources": cpu("1")},
        ],
        "overhead": {"cpu": "10m"},
    }));
    assert_eq!(pod.requests.milli_cpu, 1060);
}

#[test]
fn pod_level_requests_replace_the_sum() {
    let pod = pod(json!({
        "containers": [{"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}],
        "resources": {"requests": {"cpu": "3"}},
    }));
    assert_eq!((pod.requests.milli_cpu, pod.requests.memory), (3000, 1 << 30));
}

#[test]
fn containers_without_requests_count_a_minimum_for_scores_only() {
    let pod = pod(json!({"containers": [{"name": "a"}, {"name": "b", "resources": {"requests": {"cpu": "0"}}}]}));
    assert_eq!(pod.requests, Resources::default());
    assert_eq!(pod.non_zero, (100, 400 << 20));
}

#[test]
fn host_ports_of_sidecars_count_and_defaults_are_filled_in() {
    let pod = pod(json!({
        "containers": [{"name": "a", "ports": [{"containerPort": 80}, {"containerPort": 1, "hostPort": 8080}]}],
        "initContainers": [
            {"name": "i", "ports": [{"hostPort": 1}]},
            {"name": "s", "restartPolicy": "Always", "ports": [{"hostPort": 2, "protocol": "UDP", "hostIP": "10.0.0.1"}]},
        ],
    }));
    let port = |ip: &str, protocol: &str, port| HostPort { ip: ip.into(), protocol: protocol.into(), port };
    assert_eq!(pod.host_ports, [port("10.0.0.1", "UDP", 2), port("0.0.0.0", "TCP", 8080)]);
}

#[test]
fn an_absent_selector_selects_nothing_and_an_empty_one_everything() {
    let labels = Labels::from([("app".to_owned(), "a".to_owned())]);
    assert!(!Selector::new(None).matches(&labels));
    assert!(Selector::new(Some(&Default::default())).matches(&labels));
}

#[test]
fn an_affinity_term_without_namespaces_means_the_pods_own() {
    let pod = pod(json!({"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": "a"}}}]}}}));
    let term = &pod.affinity.as_ref().unwrap().required_anti[0];
    assert_eq!(term.namespaces, ["ns"]);
    assert!(term.matches(&pod, None));
}

#[test]
fn an_empty_node_selector_term_selects_no_node() {
    let term = NodeSelectorTerm::default();
    assert!(!term.matches("n", &Labels::new()));
}

#[test]
fn an_empty_toleration_key_with_exists_tolerates_everything() {
    let toleration = |value| Toleration::new(&serde_json::from_value(value).unwrap());
    let taint = Taint { key: "k".into(), value: "v".into(), effect: Effect::NoExecute };
    assert!(toleration(json!({"operator": "Exists"})).tolerates(&taint));
    assert!(!toleration(json!({"key": "k"})).tolerates(&taint));
    assert!(toleration(json!({"key": "k", "value": "v", "effect": "NoExecute"})).tolerates(&taint));
    assert!(!toleration(json!({"key": "k", "operator": "Lt", "value": "5"})).tolerates(&taint));
}

#[test]
fn images_get_a_tag() {
    let pod = pod(json!({"containers": [{"name": "a", "image": "r:5000/x"}, {"name": "b", "image": "y:1"}]}));
    assert_eq!(pod.images, ["r:5000/x:latest", "y:1"]);
}
