//! NodeResourcesBalancedAllocation: prefers nodes whose CPU and memory the pod makes more evenly used.

use std::sync::Arc;

use crate::cache::NodeInfo;
use crate::framework::{Cycle, MAX_NODE_SCORE, Plugin, Score};

/// Upstream: `plugins/noderesources`, `BalancedAllocation` over CPU and memory.
#[derive(Debug)]
pub(super) struct BalancedAllocation;

#[derive(Debug)]
struct Balance(i64, i64);

impl Plugin for BalancedAllocation {
    fn name(&self) -> &'static str {
        "NodeResourcesBalancedAllocation"
    }

    fn pre_score<'a>(&'a self, cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        let requests = &cycle.pod.requests;
        let wanted = (requests.milli_cpu, requests.memory);
        // A pod that requests neither changes no balance.
        (wanted != (0, 0)).then(|| Box::new(Balance(wanted.0, wanted.1)) as Box<dyn Score + 'a>)
    }
}

/// 100 when both are used alike, down to 50 when one is full and the other empty.
fn balance(cpu: (i64, i64), memory: (i64, i64)) -> i64 {
    let fraction = |(used, capacity): (i64, i64)| (capacity != 0).then(|| (used as f64 / capacity as f64).min(1.0));
    let deviation = match (fraction(cpu), fraction(memory)) {
        (Some(cpu), Some(memory)) => ((cpu - memory) / 2.0).abs(),
        _ => 0.0,
    };
    ((1.0 - deviation) * MAX_NODE_SCORE as f64) as i64
}

impl Score for Balance {
    fn score(&self, _index: usize, node: &NodeInfo) -> i64 {
        let (used, offered) = (&node.requested, &node.node.allocatable);
        let with =
            balance((used.milli_cpu + self.0, offered.milli_cpu), (used.memory.saturating_add(self.1), offered.memory));
        let without = balance((used.milli_cpu, offered.milli_cpu), (used.memory, offered.memory));
        MAX_NODE_SCORE / 2 + (MAX_NODE_SCORE / 2 + with - without) / 2
    }
}
