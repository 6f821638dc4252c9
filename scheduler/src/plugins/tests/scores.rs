use super::*;

#[test]
fn the_emptier_node_scores_higher() {
    let nodes = Fixture::default()
        .labelled("empty", json!({}))
        .labelled("half", json!({}))
        .running(requesting(json!({"cpu": "2", "memory": "4Gi"})));
    // (75 + 87) / 2 and (25 + 37) / 2, with 1 CPU and 1 GiB requested.
    assert_eq!(nodes.score("NodeResourcesFit", requesting(json!({"cpu": "1", "memory": "1Gi"}))), [81, 31]);
}

#[test]
fn a_node_the_pod_makes_more_even_scores_higher() {
    let nodes = Fixture::default()
        .labelled("memory-heavy", json!({}))
        .running(requesting(json!({"memory": "4Gi"})))
        .labelled("cpu-heavy", json!({}))
        .running(requesting(json!({"cpu": "2"})));
    assert_eq!(nodes.score("NodeResourcesBalancedAllocation", requesting(json!({"cpu": "2"}))), [87, 62]);
    assert_eq!(nodes.score("NodeResourcesBalancedAllocation", json!({})), [0, 0]);
}

#[test]
fn nodes_to_be_avoided_score_lower() {
    let avoid = json!([{"key": "k", "effect": "PreferNoSchedule"}]);
    let nodes =
        Fixture::default().node(json!({"metadata": {"name": "a"}, "spec": {"taints": avoid}})).labelled("b", json!({}));
    assert_eq!(nodes.score("TaintToleration", json!({})), [0, 100]);
    let tolerating = json!({"spec": {"tolerations": [{"operator": "Exists"}]}});
    assert_eq!(nodes.score("TaintToleration", tolerating), [100, 100]);
}

#[test]
fn preferred_node_labels_count_by_weight() {
    let nodes =
        Fixture::default().labelled("a", json!({})).labelled("b", json!({"x": "1"})).labelled("c", json!({"y": "1"}));
    let term = |key: &str, weight: i64| json!({"weight": weight, "preference": {"matchExpressions": [{"key": key, "operator": "Exists"}]}});
    let pod = json!({"spec": {"affinity": {"nodeAffinity":
        {"preferredDuringSchedulingIgnoredDuringExecution": [term("x", 80), term("y", 20)]}}}});
    assert_eq!(nodes.score("NodeAffinity", pod), [0, 100, 25]);
}

#[test]
fn nodes_that_have_large_images_score_higher() {
    const MEBIBYTE: i64 = 1024 * 1024;
    let with_image = |name: &str, size: i64| json!({"metadata": {"name": name}, "status": {"images": [{"names": ["r/i:latest"], "sizeBytes": size}]}});
    let nodes = Fixture::default().node(with_image("a", 500 * MEBIBYTE)).labelled("b", json!({}));
    let pod = json!({"spec": {"containers": [{"name": "c", "image": "r/i"}]}});
    // Half the nodes have it: 250 of 1000 MiB, above the 23 that count for nothing.
    assert_eq!(nodes.score("ImageLocality", pod), [100 * (250 - 23) / (1000 - 23), 0]);
}
