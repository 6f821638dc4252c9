//! InterPodAffinity: pods that want to be near each other, or far.
//!
//! Terms speak of places: values of a node label. For each label that matters the filter holds how many pods in each
//! place count, so that checking a node is a look-up per term.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::cache::{Cluster, NodeInfo};
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Score, Status, Verdict};
use crate::objects::{AffinityTerm, Labels, Node, Pod};

/// What a required affinity of a pod already there is worth to a pod that meets it.
/// Upstream: `InterPodAffinityArgs.HardPodAffinityWeight`.
const HARD_POD_AFFINITY_WEIGHT: i64 = 1;

/// Upstream: `plugins/interpodaffinity`.
#[derive(Debug)]
pub(super) struct InterPodAffinity;

/// A number for each place, by node label and its value.
#[derive(Clone, Debug, Default)]
struct Places<'a>(Vec<(Cow<'a, str>, HashMap<Cow<'a, str>, i64>)>);

impl<'a> Places<'a> {
    fn get(&self, key: &str, value: &str) -> i64 {
        let values = self.0.iter().find(|(have, _)| have == key).map(|(_, values)| values);
        values.and_then(|values| values.get(value)).copied().unwrap_or(0)
    }

    /// Adds at the place of a node that lives as long as the cycle.
    fn add(&mut self, key: &'a str, node: &'a Node, amount: i64) {
        if let Some(value) = node.label(key) {
            *self.values(Cow::Borrowed(key)).entry(Cow::Borrowed(value)).or_default() += amount;
        }
    }

    /// Adds at the place of a node of a simulation.
    fn change(&mut self, key: &str, node: &Node, amount: i64) {
        if let Some(value) = node.label(key) {
            *self.values(Cow::Owned(key.to_owned())).entry(Cow::Owned(value.to_owned())).or_default() += amount;
        }
    }

    fn values(&mut self, key: Cow<'a, str>) -> &mut HashMap<Cow<'a, str>, i64> {
        let at = match self.0.iter().position(|(have, _)| *have == key) {
            Some(at) => at,
            None => {
                self.0.push((key, HashMap::new()));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, values)| values.values().all(|count| *count == 0))
    }
}

/// A term of the pod to schedule, with the namespaces its selector finds.
#[derive(Clone, Debug)]
struct Resolved<'a> {
    term: &'a AffinityTerm,
    namespaces: HashSet<&'a str>,
}

impl<'a> Resolved<'a> {
    fn new(term: &'a AffinityTerm, cluster: &'a Cluster) -> Self {
        let mut namespaces: HashSet<&str> = term.namespaces.iter().map(String::as_str).collect();
        let none = Labels::new();
        for (key, namespace) in cluster.namespaces.iter() {
            if term.namespace_selector.matches(namespace.metadata.labels.as_ref().unwrap_or(&none)) {
                namespaces.insert(&key.name);
            }
        }
        Self { term, namespaces }
    }

    fn all(terms: &'a [AffinityTerm], cluster: &'a Cluster) -> Vec<Self> {
        terms.iter().map(|term| Self::new(term, cluster)).collect()
    }

    fn matches(&self, pod: &Pod) -> bool {
        self.namespaces.contains(pod.namespace()) && self.term.selector.matches(pod.labels())
    }
}

#[derive(Clone, Debug)]
struct Rules<'a> {
    pod: &'a Pod,
    namespace_labels: Option<&'a Labels>,
    affinity: Vec<Resolved<'a>>,
    anti_affinity: Vec<Resolved<'a>>,
    /// Pods that match all affinity terms.
    near: Places<'a>,
    /// Pods that match an anti-affinity term.
    far: Places<'a>,
    /// Pods whose own anti-affinity the pod would hurt.
    refused: Places<'a>,
}

impl Rules<'_> {
    fn change(&mut self, pod: &Pod, node: &Node, by: i64) {
        for term in pod.affinity.iter().flat_map(|affinity| &affinity.required_anti) {
            if term.matches(self.pod, self.namespace_labels) {
                self.refused.change(&term.topology_key, node, by);
            }
        }
        if matches_all(&self.affinity, pod) {
            for term in &self.affinity {
                self.near.change(&term.term.topology_key, node, by);
            }
        }
        for term in self.anti_affinity.iter().filter(|term| term.matches(pod)) {
            self.far.change(&term.term.topology_key, node, by);
        }
    }

    fn near_enough(&self, node: &Node) -> bool {
        let mut found = true;
        for term in &self.affinity {
            match node.label(&term.term.topology_key) {
                None => return false,
                Some(value) => found &= self.near.get(&term.term.topology_key, value) > 0,
            }
        }
        // The first pod of a group that wants to be together may go anywhere.
        found || self.near.is_empty() && matches_all(&self.affinity, self.pod)
    }
}

fn matches_all(terms: &[Resolved<'_>], pod: &Pod) -> bool {
    !terms.is_empty() && terms.iter().all(|term| term.matches(pod))
}

impl<'a> Filter<'a> for Rules<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        let node = &node.node;
        if !self.near_enough(node) {
            return Err(Status::unresolvable("node(s) didn't match pod affinity rules"));
        }
        for term in &self.anti_affinity {
            let key = &term.term.topology_key;
            if node.label(key).is_some_and(|value| self.far.get(key, value) > 0) {
                return Err(Status::unschedulable("node(s) didn't match pod anti-affinity rules"));
            }
        }
        for (key, values) in &self.refused.0 {
            if node.label(key).and_then(|value| values.get(value)).is_some_and(|count| *count > 0) {
                return Err(Status::unschedulable("node(s) didn't satisfy existing pods anti-affinity rules"));
            }
        }
        Ok(())
    }

    fn add_pod(&mut self, pod: &Pod, node: &NodeInfo) {
        self.change(pod, &node.node, 1);
    }

    fn remove_pod(&mut self, pod: &Pod, node: &NodeInfo) {
        self.change(pod, &node.node, -1);
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

#[derive(Debug)]
struct Wishes<'a>(Places<'a>);

impl Score for Wishes<'_> {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let places = self.0.0.iter();
        places.filter_map(|(key, values)| values.get(node.node.label(key)?)).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        let lowest = scores.iter().copied().min().unwrap_or(0);
        let range = scores.iter().copied().max().unwrap_or(0) - lowest;
        for score in scores {
            *score = match range {
                0 => 0,
                range => (MAX_NODE_SCORE as f64 * ((*score - lowest) as f64 / range as f64)) as i64,
            };
        }
    }
}

impl Plugin for InterPodAffinity {
    fn name(&self) -> &'static str {
        "InterPodAffinity"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        let affinity = pod.affinity.as_deref();
        // Namespace labels are not at hand here: a term that selects namespaces is taken to match.
        let meant = |term: &AffinityTerm, other: &Pod| {
            let namespace = term.namespaces.iter().any(|name| name == other.namespace())
                || term.namespace_selector != crate::objects::Selector::nothing();
            namespace && term.selector.matches(other.labels())
        };
        let wants = |other: &Pod| affinity.is_some_and(|all| all.required.iter().any(|term| meant(term, other)));
        let flees = |other: &Pod| affinity.is_some_and(|all| all.required_anti.iter().any(|term| meant(term, other)));
        let refused_by = |other: &Pod| {
            other.affinity.as_ref().is_some_and(|all| all.required_anti.iter().any(|term| meant(term, pod)))
        };
        match event {
            ClusterEvent::AssignedPodAdd(other) => Hint::when(wants(other)),
            ClusterEvent::AssignedPodUpdate(old, new, change) if change.labels => {
                Hint::when(!wants(old) && wants(new) || flees(old) && !flees(new))
            }
            ClusterEvent::AssignedPodDelete(other) => Hint::when(flees(other) || refused_by(other) || wants(other)),
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.labels && new.uid() == pod.uid()),
            ClusterEvent::NodeAdd(_) => Hint::Queue,
            ClusterEvent::NodeUpdate(_, _, change) => Hint::when(change.labels),
            ClusterEvent::Namespace => Hint::when(affinity.is_some()),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let Cycle { pod, snapshot, cluster } = *cycle;
        let namespace_labels = cluster.namespace_labels(pod.namespace());
        let mut refused = Places::default();
        for index in &snapshot.with_required_anti_affinity {
            let info = &snapshot.nodes[*index];
            for other in info.pods_with_required_anti_affinity() {
                for term in other.affinity.iter().flat_map(|affinity| &affinity.required_anti) {
                    if term.matches(pod, namespace_labels) {
                        refused.add(&term.topology_key, &info.node, 1);
                    }
                }
            }
        }
        let (required, required_anti) = match &pod.affinity {
            Some(affinity) => (affinity.required.as_slice(), affinity.required_anti.as_slice()),
            None => (&[] as &[_], &[] as &[_]),
        };
        if required.is_empty() && required_anti.is_empty() && refused.is_empty() {
            return PreFilter::Skip;
        }
        let affinity = Resolved::all(required, cluster);
        let anti_affinity = Resolved::all(required_anti, cluster);
        let (mut near, mut far) = (Places::default(), Places::default());
        if !affinity.is_empty() || !anti_affinity.is_empty() {
            for info in &snapshot.nodes {
                for other in &info.pods {
                    if matches_all(&affinity, other) {
                        required.iter().for_each(|term| near.add(&term.topology_key, &info.node, 1));
                    }
                    for term in anti_affinity.iter().filter(|term| term.matches(other)) {
                        far.add(&term.term.topology_key, &info.node, 1);
                    }
                }
            }
        }
        PreFilter::Filter(Box::new(Rules { pod, namespace_labels, affinity, anti_affinity, near, far, refused }))
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let Cycle { pod, snapshot, cluster } = *cycle;
        let weigh = |terms: &'a [crate::objects::WeightedAffinityTerm], sign: i64| {
            terms.iter().map(move |one| (Resolved::new(&one.term, cluster), one.weight * sign))
        };
        let own: Vec<(Resolved<'a>, i64)> = match &pod.affinity {
            Some(affinity) => weigh(&affinity.preferred, 1).chain(weigh(&affinity.preferred_anti, -1)).collect(),
            None => Vec::new(),
        };
        let namespace_labels = cluster.namespace_labels(pod.namespace());
        let mut places = Places::default();
        let theirs = |places: &mut Places<'a>, other: &'a Pod, node: &'a Node| {
            let Some(affinity) = &other.affinity else { return };
            let mut add = |term: &'a AffinityTerm, weight: i64| {
                if term.matches(pod, namespace_labels) {
                    places.add(&term.topology_key, node, weight);
                }
            };
            affinity.required.iter().for_each(|term| add(term, HARD_POD_AFFINITY_WEIGHT));
            affinity.preferred.iter().for_each(|one| add(&one.term, one.weight));
            affinity.preferred_anti.iter().for_each(|one| add(&one.term, -one.weight));
        };
        if own.is_empty() {
            for info in snapshot.nodes_with_affinity() {
                info.pods_with_affinity().for_each(|other| theirs(&mut places, other, &info.node));
            }
        } else {
            for info in &snapshot.nodes {
                for other in &info.pods {
                    for (term, weight) in own.iter().filter(|(term, _)| term.matches(other)) {
                        places.add(&term.term.topology_key, &info.node, *weight);
                    }
                    theirs(&mut places, other, &info.node);
                }
            }
        }
        (!places.0.is_empty()).then(|| Box::new(Wishes(places)) as Box<dyn Score + 'a>)
    }
}
