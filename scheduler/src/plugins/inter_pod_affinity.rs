//! InterPodAffinity: pods that want to be near each other, or far.
//!
//! Terms speak of places: values of a node label. The filter holds how many pods in each place count (a tally kept
//! between cycles), so that checking a node is a look-up per term.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cache::{Cluster, Counts, Give, NodeInfo, Tallies, Tally};
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Score, Status, Verdict};
use crate::objects::{AffinityTerm, Labels, Node, Pod, PodAffinity};

/// What a required affinity of a pod already there is worth to a pod that meets it.
/// Upstream: `InterPodAffinityArgs.HardPodAffinityWeight`.
const HARD_POD_AFFINITY_WEIGHT: i64 = 1;

/// Upstream: `plugins/interpodaffinity`.
#[derive(Debug, Default)]
pub(super) struct InterPodAffinity {
    tallies: Tallies<Question>,
}

/// What a count of pods around depends on besides the nodes.
#[derive(Debug, PartialEq)]
enum Question {
    /// Pods that match all of these terms, at the places of each.
    Near(u64, Vec<AffinityTerm>),
    /// Pods that match each of these terms.
    Far(u64, Vec<AffinityTerm>),
    /// Pods whose anti-affinity such a pod would hurt: its labels, its namespace and that one's labels.
    Refused(Labels, String, Option<Labels>),
    /// The wishes of both sides for such a pod with such terms.
    Wishes(Box<Question>, u64, Option<Box<PodAffinity>>),
}

fn refused_question(pod: &Pod, namespace_labels: Option<&Labels>) -> Question {
    Question::Refused(pod.labels().clone(), pod.namespace().to_owned(), namespace_labels.cloned())
}

/// Gives an amount at the place of a node, if it has one.
fn give_at(node: &Node, key: &str, amount: i64, give: Give<'_>) {
    if let Some(value) = node.label(key) {
        give(key, value, amount);
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
    near: Counts,
    /// Pods that match an anti-affinity term.
    far: Counts,
    /// Pods whose own anti-affinity the pod would hurt.
    refused: Counts,
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
        found || self.near.is_zero() && matches_all(&self.affinity, self.pod)
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
        if self.refused.any_at(node) {
            return Err(Status::unschedulable("node(s) didn't satisfy existing pods anti-affinity rules"));
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
struct Wishes(Arc<Tally>);

impl Score for Wishes {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        self.0.at(&node.node).sum()
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
        let refused = if snapshot.with_required_anti_affinity.is_empty() {
            Counts::default()
        } else {
            let question = refused_question(pod, namespace_labels);
            Counts::new(self.tallies.of(question, snapshot, |info, give| {
                for other in info.pods_with_required_anti_affinity() {
                    for term in other.affinity.iter().flat_map(|affinity| &affinity.required_anti) {
                        if term.matches(pod, namespace_labels) {
                            give_at(&info.node, &term.topology_key, 1, give);
                        }
                    }
                }
            }))
        };
        let (required, required_anti) = match &pod.affinity {
            Some(affinity) => (affinity.required.as_slice(), affinity.required_anti.as_slice()),
            None => (&[] as &[_], &[] as &[_]),
        };
        if required.is_empty() && required_anti.is_empty() && refused.is_zero() {
            return PreFilter::Skip;
        }
        let affinity = Resolved::all(required, cluster);
        let anti_affinity = Resolved::all(required_anti, cluster);
        let version = cluster.namespaces_version;
        let (mut near, mut far) = (Counts::default(), Counts::default());
        if !affinity.is_empty() {
            let question = Question::Near(version, required.to_vec());
            near = Counts::new(self.tallies.of(question, snapshot, |info, give| {
                let count = info.pods.iter().filter(|other| matches_all(&affinity, other)).count() as i64;
                if count > 0 {
                    required.iter().for_each(|term| give_at(&info.node, &term.topology_key, count, give));
                }
            }));
        }
        if !anti_affinity.is_empty() {
            let question = Question::Far(version, required_anti.to_vec());
            far = Counts::new(self.tallies.of(question, snapshot, |info, give| {
                for term in &anti_affinity {
                    let count = info.pods.iter().filter(|other| term.matches(other)).count() as i64;
                    if count > 0 {
                        give_at(&info.node, &term.term.topology_key, count, give);
                    }
                }
            }));
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
        if own.is_empty() && snapshot.with_affinity.is_empty() {
            return None;
        }
        let own_terms = pod.affinity.clone().filter(|_| !own.is_empty());
        let about = Box::new(refused_question(pod, namespace_labels));
        let question = Question::Wishes(about, cluster.namespaces_version, own_terms);
        let tally = self.tallies.of(question, snapshot, |info, give| {
            let node = &info.node;
            for other in info.pods.iter().filter(|_| !own.is_empty()) {
                for (term, weight) in own.iter().filter(|(term, _)| term.matches(other)) {
                    give_at(node, &term.term.topology_key, *weight, give);
                }
            }
            for affinity in info.pods_with_affinity().filter_map(|other| other.affinity.as_ref()) {
                let mut theirs = |term: &AffinityTerm, weight: i64| {
                    if term.matches(pod, namespace_labels) {
                        give_at(node, &term.topology_key, weight, give);
                    }
                };
                affinity.required.iter().for_each(|term| theirs(term, HARD_POD_AFFINITY_WEIGHT));
                affinity.preferred.iter().for_each(|one| theirs(&one.term, one.weight));
                affinity.preferred_anti.iter().for_each(|one| theirs(&one.term, -one.weight));
            }
        });
        (!tally.is_zero()).then(|| Box::new(Wishes(tally)) as Box<dyn Score + 'a>)
    }
}
