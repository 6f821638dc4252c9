//! SchedulingGates: a pod with gates does not enter the queue.

use crate::framework::{ClusterEvent, Hint, Plugin, Status, Verdict};
use crate::objects::Pod;

/// Upstream: `plugins/schedulinggates`.
#[derive(Debug)]
pub(super) struct SchedulingGates;

impl Plugin for SchedulingGates {
    fn name(&self) -> &'static str {
        "SchedulingGates"
    }

    fn pre_enqueue(&self, pod: &Pod) -> Verdict {
        if pod.scheduling_gates.is_empty() {
            return Ok(());
        }
        let gates = pod.scheduling_gates.join(" ");
        Err(Status::unresolvable(format!("waiting for scheduling gates: [{gates}]")))
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::TargetPodUpdate(new, change) => Hint::when(change.gates_eliminated && new.uid() == pod.uid()),
            _ => Hint::Skip,
        }
    }
}
