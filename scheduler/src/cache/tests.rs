use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn node(number: u8, zone: u8) -> Arc<Node> {
    let node = json!({"metadata": {"name": format!("n{number}"), "labels": {"topology.kubernetes.io/zone": zone.to_string()}},
        "status": {"allocatable": {"cpu": "4", "pods": "10"}}});
    Arc::new(serde_json::from_value(node).unwrap())
}

fn pod(number: u8, node: Option<u8>) -> Arc<Pod> {
    let anti = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k"}]}});
    let affinity = if number.is_multiple_of(3) { anti } else { json!({}) };
    let node = node.map(|node| format!("n{node}")).unwrap_or_default();
    let pod = json!({"metadata": {"name": format!("p{number}"), "namespace": "ns", "uid": format!("p{number}")},
        "spec": {"nodeName": node, "affinity": affinity, "containers": [{"name": "c",
            "ports": [{"hostPort": u16::from(number) + 1}],
            "resources": {"requests": {"cpu": format!("{}m", u16::from(number) + 1), "example.com/x": "1"}}}]}});
    Arc::new(serde_json::from_value(pod).unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    SetNode(u8, u8),
    RemoveNode(u8),
    Assume(u8, u8),
    Forget(u8),
    SetPod(u8, u8),
    RemovePod(u8),
    Snapshot,
}

fn step() -> impl Strategy<Value = Step> {
    let (node, pod) = (0..5_u8, 0..8_u8);
    prop_oneof![
        (node.clone(), 0..3_u8).prop_map(|(node, zone)| Step::SetNode(node, zone)),
        node.clone().prop_map(Step::RemoveNode),
        (pod.clone(), node.clone()).prop_map(|(pod, node)| Step::Assume(pod, node)),
        pod.clone().prop_map(Step::Forget),
        (pod.clone(), node).prop_map(|(pod, node)| Step::SetPod(pod, node)),
        pod.prop_map(Step::RemovePod),
        Just(Step::Snapshot),
    ]
}

/// What a snapshot must show: nodes by name with their zone, and where each pod is.
#[derive(Debug, Default)]
struct Model {
    nodes: BTreeMap<u8, u8>,
    pods: BTreeMap<u8, (u8, bool)>,
}

impl Model {
    fn apply(&mut self, step: &Step) {
        match *step {
            Step::SetNode(node, zone) => drop(self.nodes.insert(node, zone)),
            Step::RemoveNode(node) => drop(self.nodes.remove(&node)),
            Step::Assume(pod, node) => drop(self.pods.entry(pod).or_insert((node, true))),
            Step::Forget(pod) => {
                if self.pods.get(&pod).is_some_and(|(_, assumed)| *assumed) {
                    self.pods.remove(&pod);
                }
            }
            Step::SetPod(pod, node) => drop(self.pods.insert(pod, (node, false))),
            Step::RemovePod(pod) => drop(self.pods.remove(&pod)),
            Step::Snapshot => {}
        }
    }

    /// The same state, built at once.
    fn expected(&self, node_number: u8) -> NodeInfo {
        let mut info = NodeInfo::new(node(node_number, self.nodes[&node_number]));
        for (number, _) in self.pods.iter().filter(|(_, (on, _))| *on == node_number) {
            info.add_pod(pod(*number, Some(node_number)));
        }
        info
    }
}

fn check(model: &Model, snapshot: &Snapshot) {
    assert_eq!(snapshot.nodes.len(), model.nodes.len());
    for number in model.nodes.keys() {
        let (expected, found) = (model.expected(*number), snapshot.get(&format!("n{number}")).unwrap());
        let names = |info: &NodeInfo| {
            let mut names: Vec<String> = info.pods.iter().map(|pod| pod.name().to_owned()).collect();
            names.sort();
            names
        };
        let ports = |info: &NodeInfo| {
            let mut ports = info.ports.clone();
            ports.sort();
            ports
        };
        assert_eq!(names(found), names(&expected));
        assert_eq!(ports(found), ports(&expected));
        assert_eq!(found.requested, expected.requested);
        assert_eq!(found.non_zero, expected.non_zero);
        assert_eq!(found.node.labels(), expected.node.labels());
        let place = snapshot.index_of(&format!("n{number}")).unwrap();
        assert_eq!(snapshot.with_affinity.contains(&place), expected.with_affinity > 0);
        assert_eq!(snapshot.with_required_anti_affinity.contains(&place), expected.with_required_anti_affinity > 0);
    }
}

proptest! {
    #[test]
    fn an_updated_snapshot_equals_one_made_anew(steps in prop::collection::vec(step(), 1..60)) {
        let (mut cache, mut snapshot, mut model) = (Cache::new(), Snapshot::default(), Model::default());
        for step in steps {
            model.apply(&step);
            match step {
                Step::SetNode(number, zone) => cache.set_node(node(number, zone)),
                Step::RemoveNode(number) => cache.remove_node(&format!("n{number}")),
                Step::Assume(number, on) => drop(cache.assume_pod(&pod(number, None), &format!("n{on}"))),
                Step::Forget(number) => cache.forget_pod(&format!("p{number}")),
                Step::SetPod(number, on) => cache.set_pod(pod(number, Some(on))),
                Step::RemovePod(number) => drop(cache.remove_pod(&format!("p{number}"))),
                Step::Snapshot => {
                    cache.update_snapshot(&mut snapshot);
                    check(&model, &snapshot);
                }
            }
        }
        cache.update_snapshot(&mut snapshot);
        check(&model, &snapshot);
    }
}

#[test]
fn nodes_that_did_not_change_are_shared_with_the_last_snapshot() {
    let (mut cache, mut snapshot) = (Cache::new(), Snapshot::default());
    (0..3).for_each(|number| cache.set_node(node(number, 0)));
    cache.update_snapshot(&mut snapshot);
    let before = snapshot.clone();
    cache.set_pod(pod(1, Some(1)));
    cache.update_snapshot(&mut snapshot);
    let same = |name: &str| Arc::ptr_eq(before.get(name).unwrap(), snapshot.get(name).unwrap());
    assert_eq!((same("n0"), same("n1"), same("n2")), (true, false, true));
}

#[test]
fn nodes_go_round_the_zones() {
    let (mut cache, mut snapshot) = (Cache::new(), Snapshot::default());
    for (number, zone) in [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2)] {
        cache.set_node(node(number, zone));
    }
    cache.update_snapshot(&mut snapshot);
    let order: Vec<&str> = snapshot.nodes.iter().map(|info| info.name()).collect();
    assert_eq!(order, ["n0", "n3", "n4", "n1", "n2"]);
}
