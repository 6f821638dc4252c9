use client::Key;
use serde_json::{Value, json};

use super::*;
use crate::cache::Snapshot;
use crate::framework::PluginSet;
use crate::objects::Node;
use crate::plugins::{Handle, Preempting, default_profile};
use crate::schedule::{Failure, Search, schedule};

/// Nodes with 4 CPUs; the pods that run on each are given by name, priority, CPU and app.
struct Fixture {
    nodes: Vec<NodeInfo>,
    cluster: Cluster,
}

fn pod(name: &str, priority: i32, cpu: &str, app: &str) -> Value {
    let second = name.bytes().last().map_or(0, |last| last % 60);
    json!({"metadata": {"name": name, "namespace": "ns", "uid": name, "labels": {"app": app}},
        "spec": {"priority": priority, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        "status": {"startTime": format!("2026-01-01T00:00:{second:02}Z")}})
}

fn parsed(pod: Value) -> Arc<Pod> {
    Arc::new(serde_json::from_value(pod).unwrap())
}

impl Fixture {
    fn new(nodes: &[&[(&str, i32, &str, &str)]]) -> Self {
        let node = |(number, pods): (usize, &&[(&str, i32, &str, &str)])| {
            let node = json!({"metadata": {"name": format!("n{number}")},
                "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}}});
            let mut info = NodeInfo::new(Arc::new(serde_json::from_value::<Node>(node).unwrap()));
            pods.iter().for_each(|(name, priority, cpu, app)| info.add_pod(parsed(pod(name, *priority, cpu, app))));
            info
        };
        Self { nodes: nodes.iter().enumerate().map(node).collect(), cluster: Cluster::default() }
    }

    fn protect(mut self, app: &str, allowed: i32) -> Self {
        let budget = json!({"metadata": {"name": app, "namespace": "ns"},
            "spec": {"selector": {"matchLabels": {"app": app}}}, "status": {"disruptionsAllowed": allowed}});
        let budget = Arc::new(serde_json::from_value(budget).unwrap());
        self.cluster.disruption_budgets.insert(Key::new("ns", app), budget);
        self
    }

    /// Node and victims, or why not.
    fn preempt(&self, pod: Value) -> Result<(String, Vec<String>), String> {
        let profile = default_profile(&Handle { client: None, preempting: Preempting::default() });
        let (pod, snapshot, nominator) = (parsed(pod), Snapshot::of(self.nodes.iter().cloned()), Nominator::default());
        let cycle = Cycle { pod: &pod, snapshot: &snapshot, cluster: &self.cluster };
        let failure = schedule(&profile, &cycle, &nominator, &mut Search::new(0)).unwrap_err();
        let Failure::Unfit(diagnosis, state) = failure else { panic!("{failure:?}") };
        assert_ne!(diagnosis.plugins, PluginSet::default());
        match find(&profile, &cycle, &state, &diagnosis, &nominator) {
            Outcome::Preempt { node, victims, .. } => {
                Ok((node, victims.iter().map(|pod| pod.name().to_owned()).collect()))
            }
            Outcome::Hopeless { message } | Outcome::NotEligible { message } => Err(message),
        }
    }
}

fn victims(node: &str, names: &[&str]) -> Result<(String, Vec<String>), String> {
    Ok((node.to_owned(), names.iter().map(|name| (*name).to_owned()).collect()))
}

#[test]
fn only_as_many_go_as_must_and_the_least_important() {
    let nodes = Fixture::new(&[&[("a1", 1, "1", ""), ("a2", 5, "1", ""), ("a3", 1, "2", "")]]);
    // The younger of the two with priority 1 frees enough.
    assert_eq!(nodes.preempt(pod("p", 10, "2", "")), victims("n0", &["a3"]));
    assert_eq!(nodes.preempt(pod("p", 10, "3", "")), victims("n0", &["a1", "a3"]));
}

#[test]
fn the_node_with_the_lowest_highest_victim_is_taken() {
    let nodes =
        Fixture::new(&[&[("a1", 5, "4", "")], &[("b1", 2, "2", ""), ("b2", 2, "2", "")], &[("c1", 9, "4", "")]]);
    assert_eq!(nodes.preempt(pod("p", 10, "4", "")), victims("n1", &["b1", "b2"]));
}

#[test]
fn among_equals_fewer_victims_then_the_youngest() {
    let nodes =
        Fixture::new(&[&[("a1", 2, "2", ""), ("a2", 2, "2", "")], &[("b1", 2, "4", "")], &[("c9", 2, "4", "")]]);
    assert_eq!(nodes.preempt(pod("p", 10, "4", "")), victims("n2", &["c9"]));
}

#[test]
fn budgets_are_kept_where_another_node_can_pay() {
    let running: &[&[(&str, i32, &str, &str)]] = &[&[("a1", 1, "4", "web")], &[("b1", 5, "4", "db")]];
    assert_eq!(Fixture::new(running).preempt(pod("p", 10, "4", "")), victims("n0", &["a1"]));
    assert_eq!(Fixture::new(running).protect("web", 0).preempt(pod("p", 10, "4", "")), victims("n1", &["b1"]));
    assert_eq!(Fixture::new(running).protect("web", 1).preempt(pod("p", 10, "4", "")), victims("n0", &["a1"]));
}

#[test]
fn protected_pods_are_put_back_first() {
    let nodes = Fixture::new(&[&[("a1", 1, "2", "web"), ("a2", 5, "2", "db")]]).protect("web", 0);
    assert_eq!(nodes.preempt(pod("p", 10, "2", "")), victims("n0", &["a2"]));
}

#[test]
fn equals_are_never_removed() {
    let nodes = Fixture::new(&[&[("a1", 10, "4", "")], &[("b1", 11, "4", "")]]);
    assert_eq!(
        nodes.preempt(pod("p", 10, "4", "")).unwrap_err(),
        "preemption: 0/2 nodes are available: 2 No preemption victims found for incoming pod."
    );
}

#[test]
fn what_removal_cannot_cure_is_not_tried() {
    let nodes = Fixture::new(&[&[("a1", 1, "4", "")]]);
    assert_eq!(
        nodes.preempt(pod("p", 10, "5", "")).unwrap_err(),
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
}

#[test]
fn a_pod_that_never_preempts_does_not() {
    let nodes = Fixture::new(&[&[("a1", 1, "4", "")]]);
    let mut pod = pod("p", 10, "4", "");
    pod["spec"]["preemptionPolicy"] = "Never".into();
    assert_eq!(nodes.preempt(pod).unwrap_err(), "preemption: not eligible due to preemptionPolicy=Never.");
}
