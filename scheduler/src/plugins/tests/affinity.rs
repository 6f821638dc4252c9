use super::*;

const AFFINITY: &str = "node(s) didn't match pod affinity rules";
const ANTI: &str = "node(s) didn't match pod anti-affinity rules";
const EXISTING: &str = "node(s) didn't satisfy existing pods anti-affinity rules";

/// Two nodes in zone 1, one in zone 2, one without a zone.
fn zones() -> [(&'static str, Value); 4] {
    [("a", json!({"zone": "1"})), ("b", json!({"zone": "1"})), ("c", json!({"zone": "2"})), ("d", json!({}))]
}

/// The nodes, with a pod running on the first.
fn with_running(pod: Value) -> Fixture {
    let [first, rest @ ..] = zones();
    let start = Fixture::default().labelled(first.0, first.1).running(pod);
    rest.into_iter().fold(start, |nodes, (name, labels)| nodes.labelled(name, labels))
}

fn term(app: &str) -> Value {
    json!({"topologyKey": "zone", "labelSelector": {"matchLabels": {"app": app}}})
}

fn wanting(labels: Value, kind: &str, term: Value) -> Value {
    json!({"metadata": {"name": "new", "labels": labels},
        "spec": {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}})
}

#[test]
fn affinity_wants_the_place_of_a_matching_pod() {
    let nodes = with_running(labelled_pod("web", json!({"app": "web"})));
    let pod = wanting(json!({}), "podAffinity", term("web"));
    assert_eq!(nodes.filter("InterPodAffinity", pod), ["", "", AFFINITY, AFFINITY]);
}

#[test]
fn the_first_of_a_group_may_start_anywhere_with_the_label() {
    let nodes = with_running(labelled_pod("other", json!({"app": "other"})));
    let own = wanting(json!({"app": "web"}), "podAffinity", term("web"));
    assert_eq!(nodes.filter("InterPodAffinity", own), ["", "", "", AFFINITY]);
    let stranger = wanting(json!({"app": "db"}), "podAffinity", term("web"));
    assert_eq!(nodes.filter("InterPodAffinity", stranger), [AFFINITY; 4]);
}

#[test]
fn anti_affinity_avoids_the_place_of_a_matching_pod() {
    let nodes = with_running(labelled_pod("web", json!({"app": "web"})));
    let pod = wanting(json!({}), "podAntiAffinity", term("web"));
    assert_eq!(nodes.filter("InterPodAffinity", pod), [ANTI, ANTI, "", ""]);
}

#[test]
fn anti_affinity_of_running_pods_holds_too() {
    let mut running = wanting(json!({}), "podAntiAffinity", term("web"));
    running["metadata"]["name"] = "running".into();
    let nodes = with_running(running);
    assert_eq!(
        nodes.filter("InterPodAffinity", labelled_pod("new", json!({"app": "web"}))),
        [EXISTING, EXISTING, "", ""]
    );
    assert_eq!(nodes.filter("InterPodAffinity", labelled_pod("new", json!({"app": "db"}))), ["", "", "", ""]);
}

#[test]
fn terms_reach_other_namespaces_by_name_and_by_label_only() {
    let mut running = labelled_pod("web", json!({"app": "web"}));
    running["metadata"]["namespace"] = "other".into();
    let mut nodes = with_running(running);
    let namespace = serde_json::from_value(json!({"metadata": {"name": "other", "labels": {"team": "x"}}})).unwrap();
    nodes.cluster.namespaces.insert(client::Key::new("", "other"), Arc::new(namespace));
    let mut cases = vec![(term("web"), ["", "", "", ""])];
    for (key, value, meant) in [
        ("namespaces", json!(["other"]), true),
        ("namespaces", json!(["third"]), false),
        ("namespaceSelector", json!({}), true),
        ("namespaceSelector", json!({"matchLabels": {"team": "x"}}), true),
        ("namespaceSelector", json!({"matchLabels": {"team": "y"}}), false),
    ] {
        let mut term = term("web");
        term[key] = value;
        cases.push((term, if meant { [ANTI, ANTI, "", ""] } else { ["", "", "", ""] }));
    }
    for (term, expected) in cases {
        let pod = wanting(json!({}), "podAntiAffinity", term.clone());
        assert_eq!(nodes.filter("InterPodAffinity", pod), expected, "{term}");
    }
}

#[test]
fn wishes_of_both_sides_count() {
    let wish = |kind: &str| {
        json!({"spec": {"affinity": {kind: {"preferredDuringSchedulingIgnoredDuringExecution":
            [{"weight": 10, "podAffinityTerm": term("web")}]}}}})
    };
    let nodes = with_running(labelled_pod("web", json!({"app": "web"})));
    assert_eq!(nodes.score("InterPodAffinity", wish("podAffinity")), [100, 100, 0, 0]);
    assert_eq!(nodes.score("InterPodAffinity", wish("podAntiAffinity")), [0, 0, 100, 100]);
    let mut running = wish("podAffinity");
    running["metadata"]["name"] = "running".into();
    let nodes = with_running(running);
    assert_eq!(nodes.score("InterPodAffinity", labelled_pod("new", json!({"app": "web"}))), [100, 100, 0, 0]);
}

#[test]
fn a_simulated_removal_lifts_what_the_pod_caused() {
    let nodes = with_running(labelled_pod("web", json!({"app": "web"})));
    let pod = pod_of(wanting(json!({}), "podAntiAffinity", term("web")));
    let (profile, snapshot) = (only("InterPodAffinity"), nodes.snapshot());
    let cycle = Cycle { pod: &pod, snapshot: &snapshot, cluster: &nodes.cluster };
    let PreFiltered::Nodes(mut state, ..) = profile.pre_filter(&cycle) else { panic!("refused") };
    let before = state.clone();
    let mut node = nodes.nodes[0].clone();
    let running = node.pods[0].clone();
    node.remove_pod(running.uid());
    state.remove_pod(&running, &node);
    assert!(profile.filter(&state, &node).is_ok());
    assert!(profile.filter(&before, &node).is_err(), "the copy is its own");
    state.add_pod(&running, &node);
    assert!(profile.filter(&state, &node).is_err());
}
