use super::*;

#[test]
fn node_name_allows_the_named_node_only() {
    let nodes = Fixture::default().labelled("a", json!({})).labelled("b", json!({}));
    let refused = "node(s) didn't match the requested node name";
    assert_eq!(nodes.filter("NodeName", json!({"spec": {"nodeName": "b"}})), [refused, ""]);
    assert_eq!(nodes.filter("NodeName", json!({})), ["", ""]);
}

#[test]
fn cordoned_nodes_take_tolerating_pods_only() {
    let nodes = Fixture::default().node(json!({"metadata": {"name": "a"}, "spec": {"unschedulable": true}}));
    assert_eq!(nodes.filter("NodeUnschedulable", json!({})), ["node(s) were unschedulable"]);
    let tolerating =
        json!({"spec": {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]}});
    assert_eq!(nodes.filter("NodeUnschedulable", tolerating), [""]);
}

#[test]
fn taints_that_forbid_keep_pods_away_and_preferences_do_not() {
    let tainted = |name: &str, effect: &str| json!({"metadata": {"name": name}, "spec": {"taints": [{"key": "k", "value": "v", "effect": effect}]}});
    let nodes = Fixture::default()
        .node(tainted("a", "NoSchedule"))
        .node(tainted("b", "NoExecute"))
        .node(tainted("c", "PreferNoSchedule"));
    let refused = "node(s) had untolerated taint(s)";
    assert_eq!(nodes.filter("TaintToleration", json!({})), [refused, refused, ""]);
    let tolerating = json!({"spec": {"tolerations": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    assert_eq!(nodes.filter("TaintToleration", tolerating), ["", refused, ""]);
}

#[test]
fn node_selector_and_affinity_must_both_match() {
    let nodes = Fixture::default().labelled("a", json!({"x": "1"})).labelled("b", json!({"x": "1", "y": "5"}));
    let refused = "node(s) didn't match Pod's node affinity/selector";
    let affinity = |terms: Value| {
        json!({"spec": {"nodeSelector": {"x": "1"}, "affinity": {"nodeAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}}})
    };
    let expression = |operator: &str, values: Value| {
        affinity(json!([{"matchExpressions": [{"key": "y", "operator": operator, "values": values}]}]))
    };
    let cases = [
        (json!({"spec": {"nodeSelector": {"x": "2"}}}), [refused, refused]),
        (expression("In", json!(["5", "6"])), [refused, ""]),
        (expression("NotIn", json!(["5"])), ["", refused]),
        (expression("Exists", json!(null)), [refused, ""]),
        (expression("DoesNotExist", json!(null)), ["", refused]),
        (expression("Gt", json!(["4"])), [refused, ""]),
        (expression("Lt", json!(["4"])), [refused, refused]),
        (affinity(json!([{}])), [refused, refused]),
        (
            affinity(json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}])),
            ["", refused],
        ),
    ];
    for (pod, expected) in cases {
        assert_eq!(nodes.filter("NodeAffinity", pod.clone()), expected, "{pod}");
    }
}

#[test]
fn a_host_port_is_taken_once_an_address() {
    let with_port = |ip: &str, protocol: &str| {
        json!({"spec": {"containers": [{"name": "c", "ports":
            [{"hostPort": 80, "containerPort": 80, "hostIP": ip, "protocol": protocol}]}]}})
    };
    let nodes = Fixture::default()
        .labelled("all", json!({}))
        .running(with_port("", "TCP"))
        .labelled("one", json!({}))
        .running(with_port("10.0.0.1", "TCP"));
    let refused = "node(s) didn't have free ports for the requested pod ports";
    let cases = [
        (with_port("", "TCP"), [refused, refused]),
        (with_port("10.0.0.1", "TCP"), [refused, refused]),
        (with_port("10.0.0.2", "TCP"), [refused, ""]),
        (with_port("", "UDP"), ["", ""]),
    ];
    for (pod, expected) in cases {
        assert_eq!(nodes.filter("NodePorts", pod.clone()), expected, "{pod}");
    }
}

#[test]
fn all_that_is_missing_is_named() {
    let full = json!({"metadata": {"name": "full"}, "status": {"allocatable":
        {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", "example.com/gpu": "1", "pods": "1"}}});
    let nodes = Fixture::default().node(full).running(requesting(json!({"cpu": "500m", "example.com/gpu": "1"})));
    let cases = [
        (json!({}), "Too many pods"),
        (json!({"cpu": "600m"}), "Too many pods, Insufficient cpu"),
        (
            json!({"cpu": "2", "memory": "2Gi", "ephemeral-storage": "2Gi", "example.com/gpu": "1"}),
            "Too many pods, Insufficient cpu, Insufficient memory, Insufficient ephemeral-storage, \
             Insufficient example.com/gpu",
        ),
    ];
    for (requests, expected) in cases {
        assert_eq!(nodes.filter("NodeResourcesFit", requesting(requests)), [expected]);
    }
}

#[test]
fn what_fits_exactly_fits() {
    let nodes = Fixture::default().labelled("a", json!({})).running(requesting(json!({"cpu": "3", "memory": "7Gi"})));
    assert_eq!(nodes.filter("NodeResourcesFit", requesting(json!({"cpu": "1", "memory": "1Gi"}))), [""]);
    assert_eq!(nodes.filter("NodeResourcesFit", requesting(json!({"cpu": "1001m"}))), ["Insufficient cpu"]);
}

#[test]
fn pods_with_resource_claims_are_held_back() {
    let nodes = Fixture::default().labelled("a", json!({}));
    let pod = json!({"spec": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "c"}]}});
    assert_eq!(nodes.filter("DynamicResources", pod), ["resource claims are not supported by this scheduler"]);
    assert_eq!(nodes.filter("DynamicResources", json!({})), [""]);
}
