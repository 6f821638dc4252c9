//! PodTopologySpread: alike pods spread evenly over zones, hosts or any other label of nodes.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cache::{Counts, NodeInfo, Tallies, Tally};
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Score, Status, Verdict};
use crate::objects::{
    Node, NodeAffinity, Pod, Selector, SpreadConstraint, Toleration, Unsatisfiable, find_untolerated,
};

const HOSTNAME: &str = "kubernetes.io/hostname";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Upstream: `plugins/podtopologyspread` with `defaultingType: System`.
#[derive(Debug)]
pub(super) struct PodTopologySpread {
    /// For pods with no rule of their own that a service or controller selects.
    defaults: Vec<SpreadConstraint>,
    tallies: Tallies<Question>,
}

/// What the count of one rule depends on besides the nodes.
#[derive(Debug, PartialEq)]
struct Question {
    namespace: String,
    constraint: SpreadConstraint,
    /// The labels a node must have to count.
    keys: Vec<String>,
    /// The nodes the pod may use, where that matters.
    affinity: Option<NodeAffinity>,
    tolerations: Option<Vec<Toleration>>,
}

impl Default for PodTopologySpread {
    fn default() -> Self {
        let constraint = |topology_key: &str, max_skew| SpreadConstraint {
            max_skew,
            topology_key: topology_key.to_owned(),
            selector: Selector::nothing(),
            min_domains: 1,
            honor_affinity: true,
            honor_taints: false,
            when_unsatisfiable: Unsatisfiable::ScheduleAnyway,
        };
        Self { defaults: vec![constraint(HOSTNAME, 3), constraint(ZONE, 5)], tallies: Tallies::default() }
    }
}

impl PodTopologySpread {
    /// The pod's rules of one kind, or the default ones.
    fn constraints(&self, cycle: &Cycle<'_>, kind: Unsatisfiable) -> Vec<SpreadConstraint> {
        let own = &cycle.pod.spread;
        if !own.is_empty() {
            return own.iter().filter(|one| one.when_unsatisfiable == kind).cloned().collect();
        }
        let mut defaults: Vec<_> = self.defaults.iter().filter(|one| one.when_unsatisfiable == kind).cloned().collect();
        if defaults.is_empty() {
            return defaults;
        }
        match cycle.cluster.default_selector(cycle.pod) {
            Some(selector) => {
                defaults.iter_mut().for_each(|one| one.selector.clone_from(&selector));
                defaults
            }
            None => Vec::new(),
        }
    }

    /// The pods of one rule in each place. With `keys` only nodes that have all of these labels count, else nodes
    /// without the label count as one place.
    fn tally(&self, cycle: &Cycle<'_>, constraint: &SpreadConstraint, keys: Option<&[SpreadConstraint]>) -> Arc<Tally> {
        let pod = cycle.pod;
        let question = Question {
            namespace: pod.namespace().to_owned(),
            constraint: constraint.clone(),
            keys: keys.into_iter().flatten().map(|one| one.topology_key.clone()).collect(),
            affinity: constraint.honor_affinity.then(|| pod.node_affinity.clone()),
            tolerations: constraint.honor_taints.then(|| pod.tolerations.clone()),
        };
        self.tallies.of(question, cycle.snapshot, |info, give| {
            if keys.is_some_and(|keys| !has_all_keys(&info.node, keys)) || !counts(constraint, pod, &info.node) {
                return;
            }
            let value = info.node.label(&constraint.topology_key).unwrap_or_default();
            let count = count_pods(info, &constraint.selector, pod.namespace());
            give(&constraint.topology_key, value, count);
        })
    }
}

fn has_all_keys(node: &Node, constraints: &[SpreadConstraint]) -> bool {
    constraints.iter().all(|one| node.label(&one.topology_key).is_some())
}

/// Whether a node's pods count for a rule. Upstream: `matchNodeInclusionPolicies`.
fn counts(constraint: &SpreadConstraint, pod: &Pod, node: &Node) -> bool {
    (!constraint.honor_affinity || pod.node_affinity.allows(node))
        && (!constraint.honor_taints || find_untolerated(&node.taints, &pod.tolerations).is_none())
}

/// How many pods of a node a rule is about. Upstream: `countPodsMatchSelector`.
fn count_pods(info: &NodeInfo, selector: &Selector, namespace: &str) -> i64 {
    if selector.is_empty() {
        return 0;
    }
    let alike =
        |pod: &&Arc<Pod>| pod.namespace() == namespace && !pod.is_terminating() && selector.matches(pod.labels());
    info.pods.iter().filter(alike).count() as i64
}

#[derive(Clone, Debug)]
struct Spread {
    constraint: SpreadConstraint,
    /// Pods in each place that counts.
    places: Counts,
    /// The least of them.
    least: i64,
    /// 1 when the pod is itself one of those spread.
    own: i64,
}

impl Spread {
    fn find_least(&mut self) {
        let (places, least) = self.places.least(&self.constraint.topology_key);
        // With no place at all the rule cannot be hurt. Upstream: `criticalPaths` starts at the largest number.
        let least = least.unwrap_or(i64::from(i32::MAX));
        self.least = if places >= self.constraint.min_domains { least } else { 0 };
    }
}

#[derive(Clone, Debug)]
struct Rules<'a> {
    pod: &'a Pod,
    all: Vec<SpreadConstraint>,
    spreads: Vec<Spread>,
}

impl Rules<'_> {
    fn change(&mut self, pod: &Pod, node: &Node, by: i64) {
        if pod.namespace() != self.pod.namespace() || !has_all_keys(node, &self.all) {
            return;
        }
        for spread in &mut self.spreads {
            let constraint = &spread.constraint;
            if !constraint.selector.matches(pod.labels()) || !counts(constraint, self.pod, node) {
                continue;
            }
            spread.places.change(&constraint.topology_key, node, by);
            spread.find_least();
        }
    }
}

impl<'a> Filter<'a> for Rules<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        for spread in &self.spreads {
            let Some(value) = node.node.label(&spread.constraint.topology_key) else {
                let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
                return Err(Status::unresolvable(reason));
            };
            let here = spread.places.get(&spread.constraint.topology_key, value);
            if here + spread.own - spread.least > spread.constraint.max_skew {
                return Err(Status::unschedulable("node(s) didn't match pod topology spread constraints"));
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
struct Preferences<'a> {
    namespace: &'a str,
    constraints: Vec<SpreadConstraint>,
    /// Pods in each place, by rule; none for hosts, which are counted when scored.
    places: Vec<Option<Arc<Tally>>>,
    /// How much a rule weighs: more places, more weight.
    weights: Vec<f64>,
    /// Nodes without all labels, by place in the list given: they score nothing.
    ignored: Vec<bool>,
}

impl Score for Preferences<'_> {
    fn score(&self, index: usize, node: &NodeInfo) -> i64 {
        if self.ignored[index] {
            return 0;
        }
        let mut score = 0.0;
        for ((constraint, places), weight) in self.constraints.iter().zip(&self.places).zip(&self.weights) {
            let Some(value) = node.node.label(&constraint.topology_key) else { continue };
            let count = match places {
                None => count_pods(node, &constraint.selector, self.namespace),
                Some(places) => places.get(&constraint.topology_key, value),
            };
            score += count as f64 * weight + (constraint.max_skew - 1) as f64;
        }
        score.round() as i64
    }

    fn normalize(&self, scores: &mut [i64]) {
        let valid = || scores.iter().zip(&self.ignored).filter(|(_, ignored)| !**ignored).map(|(score, _)| *score);
        let (least, most) = (valid().min().unwrap_or(0), valid().max().unwrap_or(0));
        for (score, ignored) in scores.iter_mut().zip(&self.ignored) {
            *score = match (*ignored, most) {
                (true, _) => 0,
                (false, 0) => MAX_NODE_SCORE,
                (false, most) => MAX_NODE_SCORE * (most + least - *score) / most,
            };
        }
    }
}

impl Plugin for PodTopologySpread {
    fn name(&self) -> &'static str {
        "PodTopologySpread"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        let spreads = |other: &Pod| {
            other.namespace() == pod.namespace()
                && pod.spread.iter().any(|constraint| constraint.selector.matches(other.labels()))
        };
        match event {
            ClusterEvent::AssignedPodAdd(other) | ClusterEvent::AssignedPodDelete(other) => Hint::when(spreads(other)),
            ClusterEvent::AssignedPodUpdate(old, new, change) => {
                Hint::when(change.labels && (spreads(old) != spreads(new)))
            }
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.labels && new.uid() == pod.uid()),
            ClusterEvent::NodeAdd(node) | ClusterEvent::NodeDelete(node) => Hint::when(has_all_keys(node, &pod.spread)),
            ClusterEvent::NodeUpdate(old, new, change) => Hint::when(
                (change.labels || change.taints) && (has_all_keys(old, &pod.spread) || has_all_keys(new, &pod.spread)),
            ),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let all = self.constraints(cycle, Unsatisfiable::DoNotSchedule);
        if all.is_empty() {
            return PreFilter::Skip;
        }
        let pod = cycle.pod;
        let spread = |constraint: &SpreadConstraint| {
            let mut spread = Spread {
                own: i64::from(constraint.selector.matches(pod.labels())),
                places: Counts::new(self.tally(cycle, constraint, Some(&all))),
                constraint: constraint.clone(),
                least: 0,
            };
            spread.find_least();
            spread
        };
        let spreads = all.iter().map(spread).collect();
        PreFilter::Filter(Box::new(Rules { pod, all, spreads }))
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let pod = cycle.pod;
        let constraints = self.constraints(cycle, Unsatisfiable::ScheduleAnyway);
        if constraints.is_empty() {
            return None;
        }
        // The default rules also serve nodes without a zone.
        let all_keys = !pod.spread.is_empty();
        let ignored: Vec<bool> = nodes.iter().map(|info| all_keys && !has_all_keys(&info.node, &constraints)).collect();
        let candidates = || nodes.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(info, _)| info);
        let weight = |constraint: &SpreadConstraint| {
            let size = match constraint.topology_key.as_str() {
                HOSTNAME => candidates().count(),
                key => candidates().map(|info| info.node.label(key).unwrap_or_default()).collect::<HashSet<_>>().len(),
            };
            ((size + 2) as f64).ln()
        };
        let weights = constraints.iter().map(weight).collect();
        let keys = all_keys.then_some(constraints.as_slice());
        let places = constraints
            .iter()
            .map(|constraint| (constraint.topology_key != HOSTNAME).then(|| self.tally(cycle, constraint, keys)));
        let places = places.collect();
        Some(Box::new(Preferences { namespace: pod.namespace(), constraints, places, weights, ignored }))
    }
}
