//! NodeResourcesFit: a node must have what the pod requests; the emptier node is better (LeastAllocated).

use std::sync::Arc;

use crate::cache::NodeInfo;
use crate::framework::{
    ClusterEvent, Code, Cycle, Filter, Hint, MAX_NODE_SCORE, Plugin, PreFilter, Reason, Score, Status, Verdict,
};
use crate::objects::{Node, Pod, Resources};

/// Upstream: `plugins/noderesources`, `Fit` with the strategy `LeastAllocated` over CPU and memory.
#[derive(Debug)]
pub(super) struct NodeResourcesFit;

#[derive(Clone, Debug)]
struct Requested<'a>(&'a Resources);

#[derive(Debug)]
struct LeastAllocated(i64, i64);

/// What is missing on a node, and whether even an empty node would not do.
fn missing(requests: &Resources, node: &NodeInfo) -> Option<Status> {
    let allocatable = &node.node.allocatable;
    let used = &node.requested;
    let mut found: Option<Status> = None;
    let mut add = |reason: Reason, code: Code| match &mut found {
        None => found = Some(Status::new(code, reason)),
        Some(status) => {
            status.push(reason);
            if code == Code::UnschedulableAndUnresolvable {
                status.code = code;
            }
        }
    };
    if node.pods.len() as i64 + 1 > allocatable.pods {
        add("Too many pods".into(), Code::Unschedulable);
    }
    let mut check = |reason: &dyn Fn() -> Reason, wanted: i64, capacity: i64, used: i64| {
        if wanted > 0 && wanted > capacity - used {
            let code = if wanted > capacity { Code::UnschedulableAndUnresolvable } else { Code::Unschedulable };
            add(reason(), code);
        }
    };
    check(&|| "Insufficient cpu".into(), requests.milli_cpu, allocatable.milli_cpu, used.milli_cpu);
    check(&|| "Insufficient memory".into(), requests.memory, allocatable.memory, used.memory);
    let storage = (requests.ephemeral_storage, allocatable.ephemeral_storage, used.ephemeral_storage);
    check(&|| "Insufficient ephemeral-storage".into(), storage.0, storage.1, storage.2);
    for (name, wanted) in &requests.scalar {
        check(&|| format!("Insufficient {name}").into(), *wanted, allocatable.scalar(name), used.scalar(name));
    }
    found
}

/// Whether the pod would fit an empty node. Upstream: `isFit`.
fn fits_empty(pod: &Pod, node: &Node) -> bool {
    let offered = &node.allocatable;
    let requests = &pod.requests;
    offered.pods > 0
        && requests.milli_cpu <= offered.milli_cpu
        && requests.memory <= offered.memory
        && requests.ephemeral_storage <= offered.ephemeral_storage
        && requests.scalar.iter().all(|(name, wanted)| *wanted <= offered.scalar(name))
}

/// Whether a node offers more of something the pod requests than before.
fn offers_more(pod: &Pod, old: &Node, new: &Node) -> bool {
    let (before, after, wanted) = (&old.allocatable, &new.allocatable, &pod.requests);
    after.pods > before.pods
        || wanted.milli_cpu > 0 && after.milli_cpu > before.milli_cpu
        || wanted.memory > 0 && after.memory > before.memory
        || wanted.ephemeral_storage > 0 && after.ephemeral_storage > before.ephemeral_storage
        || wanted.scalar.iter().any(|(name, wanted)| *wanted > 0 && after.scalar(name) > before.scalar(name))
}

impl Plugin for NodeResourcesFit {
    fn name(&self) -> &'static str {
        "NodeResourcesFit"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::AssignedPodDelete(_) => Hint::Queue,
            ClusterEvent::AssignedPodUpdate(_, _, change) => Hint::when(change.scaled_down),
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.scaled_down && new.uid() == pod.uid()),
            ClusterEvent::NodeAdd(node) => Hint::when(fits_empty(pod, node)),
            ClusterEvent::NodeUpdate(old, node, change) => {
                Hint::when(change.allocatable && fits_empty(pod, node) && offers_more(pod, old, node))
            }
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        PreFilter::Filter(Box::new(Requested(&cycle.pod.requests)))
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let (cpu, memory) = cycle.pod.non_zero;
        Some(Box::new(LeastAllocated(cpu, memory)))
    }
}

impl<'a> Filter<'a> for Requested<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        missing(self.0, node).map_or(Ok(()), Err)
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

impl Score for LeastAllocated {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let offered = &node.node.allocatable;
        let parts =
            [(node.non_zero.0 + self.0, offered.milli_cpu), (node.non_zero.1.saturating_add(self.1), offered.memory)];
        let mut sum = 0;
        let mut weights = 0;
        for (requested, capacity) in parts {
            if capacity == 0 {
                continue;
            }
            weights += 1;
            if requested <= capacity {
                sum += (i128::from(capacity - requested) * i128::from(MAX_NODE_SCORE) / i128::from(capacity)) as i64;
            }
        }
        if weights == 0 { 0 } else { sum / weights }
    }
}
