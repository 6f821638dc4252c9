use super::plan::{Verdict, judge};
use crate::test_support::value;
use k8s_openapi::api::core::v1::{Taint, Toleration};

fn verdict(taints: &str, tolerations: &str) -> Verdict {
    let taints: Vec<Taint> = serde_json::from_value(value(taints)).unwrap();
    let tolerations: Vec<Toleration> = serde_json::from_value(value(tolerations)).unwrap();
    judge(&taints, &tolerations)
}

const UNREACHABLE: &str = "[{key: node.kubernetes.io/unreachable, effect: NoExecute}]";

#[test]
fn a_pod_without_toleration_goes_at_once() {
    assert_eq!(verdict(UNREACHABLE, "[]"), Verdict::Go);
    assert_eq!(verdict("[]", "[]"), Verdict::Stay);
}

#[test]
fn the_default_toleration_keeps_a_pod_for_five_minutes() {
    let tolerations =
        "[{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]";
    assert_eq!(verdict(UNREACHABLE, tolerations), Verdict::GoAfter(300));
}

#[test]
fn a_toleration_of_everything_keeps_a_pod_for_ever() {
    assert_eq!(verdict(UNREACHABLE, "[{operator: Exists}]"), Verdict::Stay);
}

#[test]
fn the_shortest_of_the_used_tolerations_counts() {
    let taints = "[{key: a, value: x, effect: NoExecute}, {key: b, effect: NoExecute}]";
    let tolerations = "[{key: a, value: x, tolerationSeconds: 50}, {key: b, operator: Exists, tolerationSeconds: 20}, {key: c, tolerationSeconds: 1}]";
    assert_eq!(verdict(taints, tolerations), Verdict::GoAfter(20));
    assert_eq!(verdict(taints, "[{key: a, value: other}, {key: b, operator: Exists}]"), Verdict::Go);
}
