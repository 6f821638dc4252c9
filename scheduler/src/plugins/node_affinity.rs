//! NodeAffinity: node selectors and node affinity, required and preferred.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::cache::NodeInfo;
use crate::framework::{
    ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Score, Status, Verdict, default_normalize,
};
use crate::objects::{NodeAffinity as Wanted, Pod, PreferredTerm};

/// Upstream: `plugins/nodeaffinity`.
#[derive(Debug)]
pub(super) struct NodeAffinity;

#[derive(Clone, Debug)]
struct Required<'a>(&'a Wanted);

#[derive(Debug)]
struct Preferred<'a>(&'a [PreferredTerm]);

impl Plugin for NodeAffinity {
    fn name(&self) -> &'static str {
        "NodeAffinity"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(node) => Hint::when(pod.node_affinity.allows(node)),
            ClusterEvent::NodeUpdate(old, node, change) => {
                let newly = || pod.node_affinity.allows(node) && !pod.node_affinity.allows(old);
                Hint::when(change.labels && newly())
            }
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let wanted = &cycle.pod.node_affinity;
        if wanted.allows_all() {
            return PreFilter::Skip;
        }
        let filter = Box::new(Required(wanted));
        let Some(required) = wanted.required.as_ref().filter(|required| !required.terms.is_empty()) else {
            return PreFilter::Filter(filter);
        };
        // Terms that each name their nodes narrow the search to these nodes.
        let mut named: BTreeSet<Cow<'a, str>> = BTreeSet::new();
        for term in &required.terms {
            match term.node_names() {
                Some(names) => named.extend(names.into_iter().map(|name| Cow::Borrowed(name.as_str()))),
                None => return PreFilter::Filter(filter),
            }
        }
        if named.is_empty() {
            return PreFilter::Reject(Status::unresolvable("pod affinity terms conflict"));
        }
        PreFilter::FilterOn(named, filter)
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let preferred = &cycle.pod.node_affinity.preferred;
        (!preferred.is_empty()).then(|| Box::new(Preferred(preferred)) as Box<dyn Score + 'a>)
    }
}

impl<'a> Filter<'a> for Required<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        if self.0.allows(&node.node) {
            return Ok(());
        }
        Err(Status::unresolvable("node(s) didn't match Pod's node affinity/selector"))
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

impl Score for Preferred<'_> {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let met = self.0.iter().filter(|one| one.term.matches(node.name(), node.node.labels()));
        met.map(|one| one.weight).sum()
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize(scores, false);
    }
}
