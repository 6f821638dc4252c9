//! Each plugin by a table: pods and nodes in, refusals or scores out.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::cache::{Cluster, NodeInfo, Snapshot};
use crate::framework::{Cycle, PreFiltered};
use crate::objects::{Node, Pod};

mod affinity;
mod names_and_weights;
mod scores;
mod simple_filters;
mod spread;
mod volumes;

/// Nodes with what runs on them, and everything else.
#[derive(Default)]
struct Fixture {
    nodes: Vec<NodeInfo>,
    cluster: Cluster,
}

impl Fixture {
    fn node(mut self, node: Value) -> Self {
        let node: Node = serde_json::from_value(node).unwrap();
        self.nodes.push(NodeInfo::new(Arc::new(node)));
        self
    }

    /// A node with 4 CPUs, 8 GiB and these labels.
    fn labelled(self, name: &str, labels: Value) -> Self {
        self.node(json!({"metadata": {"name": name, "labels": labels},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}}))
    }

    /// A pod that runs on the node named last.
    fn running(mut self, pod: Value) -> Self {
        let pod = pod_of(pod);
        self.nodes.last_mut().unwrap().add_pod(pod);
        self
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::of(self.nodes.iter().cloned())
    }

    /// What a plugin says of each node, by name: empty where the pod may run. One text for all when it is refused
    /// before nodes are looked at.
    fn filter(&self, plugin: &str, pod: Value) -> Vec<String> {
        let profile = only(plugin);
        let (pod, snapshot) = (pod_of(pod), self.snapshot());
        let cycle = Cycle { pod: &pod, snapshot: &snapshot, cluster: &self.cluster };
        match profile.pre_filter(&cycle) {
            PreFiltered::Rejected(_, status, _) => vec![status.message()],
            PreFiltered::Nodes(state, _, _) => {
                let nodes = self.nodes.iter().map(|node| profile.filter(&state, node));
                nodes.map(|verdict| verdict.err().map(|(_, status)| status.message()).unwrap_or_default()).collect()
            }
        }
    }

    /// What a plugin gives each node, without its weight.
    fn score(&self, plugin: &str, pod: Value) -> Vec<i64> {
        let profile = only(plugin);
        let weight = TABLE.iter().find(|(name, ..)| *name == plugin).unwrap().1;
        let (pod, snapshot) = (pod_of(pod), self.snapshot());
        let cycle = Cycle { pod: &pod, snapshot: &snapshot, cluster: &self.cluster };
        let nodes: Vec<_> = self.nodes.iter().map(|node| snapshot.get(node.name()).unwrap()).collect();
        profile.score(&cycle, &nodes).into_iter().map(|score| score / weight).collect()
    }
}

fn only(plugin: &str) -> Profile {
    let handle = Handle { client: None, preempting: Preempting::default() };
    let (_, weight, make) = TABLE.iter().find(|(name, ..)| *name == plugin).unwrap();
    Profile::new(vec![(make(&handle), *weight)])
}

fn pod_of(mut pod: Value) -> Arc<Pod> {
    for (key, default) in [("name", "p"), ("namespace", "ns")] {
        if pod["metadata"][key].is_null() {
            pod["metadata"][key] = default.into();
        }
    }
    if pod["metadata"]["uid"].is_null() {
        pod["metadata"]["uid"] = pod["metadata"]["name"].clone();
    }
    Arc::new(serde_json::from_value(pod).unwrap())
}

/// A pod whose one container requests this.
fn requesting(requests: Value) -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": requests}}]}})
}

fn labelled_pod(name: &str, labels: Value) -> Value {
    json!({"metadata": {"name": name, "labels": labels}})
}
