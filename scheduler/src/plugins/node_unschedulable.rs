//! NodeUnschedulable: cordoned nodes take no new pods, except those that tolerate it.

use crate::cache::NodeInfo;
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::{Effect, Pod, Taint};

/// Upstream: `plugins/nodeunschedulable`.
#[derive(Debug)]
pub(super) struct NodeUnschedulable;

#[derive(Clone, Debug)]
struct Cordoned;

fn tolerates(pod: &Pod) -> bool {
    let taint =
        Taint { key: "node.kubernetes.io/unschedulable".to_owned(), value: String::new(), effect: Effect::NoSchedule };
    pod.tolerations.iter().any(|toleration| toleration.tolerates(&taint))
}

impl Plugin for NodeUnschedulable {
    fn name(&self) -> &'static str {
        "NodeUnschedulable"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(node) => Hint::when(!node.unschedulable),
            ClusterEvent::NodeUpdate(_, node, change) => Hint::when(change.taints && !node.unschedulable),
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.tolerations && new.uid() == pod.uid()),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        if tolerates(cycle.pod) { PreFilter::Skip } else { PreFilter::Filter(Box::new(Cordoned)) }
    }
}

impl<'a> Filter<'a> for Cordoned {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        if node.node.unschedulable {
            return Err(Status::unresolvable("node(s) were unschedulable"));
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}
