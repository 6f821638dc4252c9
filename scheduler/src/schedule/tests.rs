use serde_json::{Value, json};

use super::*;
use crate::cache::{Cluster, Snapshot};
use crate::framework::fit_error;
use crate::objects::Node;
use crate::plugins::{Handle, Preempting, default_profile};

fn profile() -> Profile {
    default_profile(&Handle { client: None, preempting: Preempting::default() })
}

fn nodes(count: usize, cpu: &str) -> Vec<NodeInfo> {
    let node = |number: usize| {
        let node = json!({"metadata": {"name": format!("n{number}")},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}});
        NodeInfo::new(Arc::new(serde_json::from_value::<Node>(node).unwrap()))
    };
    (0..count).map(node).collect()
}

fn pod(name: &str, cpu: &str, more: Value) -> Arc<Pod> {
    let mut pod = json!({"metadata": {"name": name, "namespace": "ns", "uid": name},
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}});
    for (key, value) in more.as_object().unwrap() {
        pod["spec"][key] = value.clone();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// The chosen node, or the message.
fn run(nodes: Vec<NodeInfo>, pod: &Arc<Pod>, nominator: &Nominator) -> Result<Chosen, String> {
    let (profile, snapshot, cluster) = (profile(), Snapshot::of(nodes), Cluster::default());
    let count = snapshot.nodes.len();
    let cycle = Cycle { pod, snapshot: &snapshot, cluster: &cluster };
    schedule(&profile, &cycle, nominator, &mut Search::new(0)).map_err(|failure| match failure {
        Failure::NoNodes => "no nodes".to_owned(),
        Failure::Unfit(diagnosis, _) => fit_error(count, &diagnosis),
        Failure::Error(status) => status.message(),
    })
}

#[test]
fn a_large_cluster_is_searched_in_part() {
    let cases = [(50, 50), (99, 99), (100, 100), (400, 188), (1000, 420), (5000, 500), (6000, 300), (10_000, 500)];
    for (nodes, enough) in cases {
        assert_eq!(Search::new(0).enough(nodes), enough, "{nodes}");
    }
    assert_eq!(Search::new(70).enough(1000), 700);
}

#[test]
fn each_search_begins_where_the_last_ended() {
    let (profile, cluster) = (profile(), Cluster::default());
    let snapshot = Snapshot::of(nodes(400, "4"));
    let pod = pod("p", "1", json!({}));
    let cycle = Cycle { pod: &pod, snapshot: &snapshot, cluster: &cluster };
    let mut search = Search::new(0);
    for next_start in [188, 376, 164] {
        let chosen = schedule(&profile, &cycle, &Nominator::default(), &mut search).unwrap();
        assert_eq!((chosen.evaluated, chosen.feasible, search.next_start), (188, 188, next_start));
    }
}

#[test]
fn a_pod_bound_to_named_nodes_says_so_for_the_rest() {
    let affinity = json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]}}}});
    let daemon = |cpu: &str| pod("daemon", cpu, affinity.clone());
    let chosen = run(nodes(3, "4"), &daemon("1"), &Nominator::default()).unwrap();
    assert_eq!(chosen.node.name(), "n1");
    assert_eq!(
        run(nodes(3, "4"), &daemon("8"), &Nominator::default()).unwrap_err(),
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    );
}

#[test]
fn room_promised_to_a_higher_pod_is_not_given_away() {
    let higher = pod("higher", "3", json!({"priority": 10}));
    let mut nominator = Nominator::default();
    nominator.add(&higher, "n0");
    assert!(run(nodes(1, "4"), &pod("p", "2", json!({})), &nominator).is_err());
    assert!(run(nodes(1, "4"), &pod("p", "2", json!({"priority": 11})), &nominator).is_ok());
    let chosen = run(nodes(3, "4"), &higher, &nominator).unwrap();
    assert_eq!((chosen.node.name(), chosen.evaluated), ("n0", 1), "the promised node is tried first");
}
