//! TaintToleration: taints keep pods away, or are at least to be avoided.

use std::sync::Arc;

use crate::cache::NodeInfo;
use crate::framework::{
    ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Score, Status, Verdict, default_normalize,
};
use crate::objects::{Effect, Pod, Toleration, find_untolerated};

/// Upstream: `plugins/tainttoleration`.
#[derive(Debug)]
pub(super) struct TaintToleration;

#[derive(Clone, Debug)]
struct Tolerated<'a>(&'a [Toleration]);

#[derive(Debug)]
struct Preferences<'a>(Vec<&'a Toleration>);

impl Plugin for TaintToleration {
    fn name(&self) -> &'static str {
        "TaintToleration"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(node) => Hint::when(find_untolerated(&node.taints, &pod.tolerations).is_none()),
            ClusterEvent::NodeUpdate(_, node, change) => {
                Hint::when(change.taints && find_untolerated(&node.taints, &pod.tolerations).is_none())
            }
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.tolerations && new.uid() == pod.uid()),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        PreFilter::Filter(Box::new(Tolerated(&cycle.pod.tolerations)))
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let tolerations = cycle.pod.tolerations.iter().filter(|one| one.covers_preferences()).collect();
        Some(Box::new(Preferences(tolerations)))
    }
}

impl<'a> Filter<'a> for Tolerated<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        match find_untolerated(&node.node.taints, self.0) {
            Some(_) => Err(Status::unresolvable("node(s) had untolerated taint(s)")),
            None => Ok(()),
        }
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

impl Score for Preferences<'_> {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let avoided = node.node.taints.iter().filter(|taint| {
            taint.effect == Effect::PreferNoSchedule && !self.0.iter().any(|toleration| toleration.tolerates(taint))
        });
        avoided.count() as i64
    }

    fn normalize(&self, scores: &mut [i64]) {
        default_normalize(scores, true);
    }
}
