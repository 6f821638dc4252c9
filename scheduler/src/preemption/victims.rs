//! Which pods of one node must go.

use std::cmp::Reverse;
use std::sync::Arc;

use super::budgets;
use crate::cache::NodeInfo;
use crate::framework::{Cycle, CycleState, Profile, Status};
use crate::objects::Pod;
use crate::queue::Nominator;
use crate::schedule::passes;

/// Pods to remove from a node, most important first.
#[derive(Clone, Debug)]
pub(super) struct Victims {
    pub(super) pods: Vec<Arc<Pod>>,
    /// How many of them a disruption budget protects.
    pub(super) violations: usize,
}

/// Higher priority, then longer running. Upstream: `util.MoreImportantPod`.
fn importance(pod: &Arc<Pod>) -> (Reverse<i32>, i128) {
    (Reverse(pod.priority), pod.start_time.unwrap_or(i128::MAX))
}

/// Upstream: `SelectVictimsOnNode`.
pub(super) fn select<'a>(
    profile: &Profile,
    cycle: &Cycle<'a>,
    mut state: CycleState<'a>,
    mut node: NodeInfo,
    nominator: &Nominator,
) -> Result<Victims, Status> {
    let pod = cycle.pod;
    let mut lower: Vec<Arc<Pod>> = node.pods.iter().filter(|other| other.priority < pod.priority).cloned().collect();
    if lower.is_empty() {
        return Err(Status::unresolvable("No preemption victims found for incoming pod"));
    }
    for other in &lower {
        node.remove_pod(other.uid());
        state.remove_pod(other, &node);
    }
    passes(profile, pod, &state, &node, nominator).map_err(|(_, status)| status)?;
    lower.sort_by_key(importance);
    let (protected, free) = by_protection(cycle, lower);
    let mut victims = Victims { pods: Vec::new(), violations: 0 };
    for (other, is_protected) in
        protected.into_iter().map(|pod| (pod, true)).chain(free.into_iter().map(|pod| (pod, false)))
    {
        node.add_pod(other.clone());
        state.add_pod(&other, &node);
        if passes(profile, pod, &state, &node, nominator).is_err() {
            node.remove_pod(other.uid());
            state.remove_pod(&other, &node);
            victims.violations += usize::from(is_protected);
            victims.pods.push(other);
        }
    }
    victims.pods.sort_by_key(importance);
    if victims.pods.is_empty() {
        let name = node.name();
        return Err(Status::error(format!("expected at least one victim pod on node \"{name}\"")));
    }
    Ok(victims)
}

/// Parts pods into those whose removal breaks a disruption budget and the rest. Each removal uses its budgets up.
/// Upstream: `filterPodsWithPDBViolation`.
fn by_protection(cycle: &Cycle<'_>, pods: Vec<Arc<Pod>>) -> (Vec<Arc<Pod>>, Vec<Arc<Pod>>) {
    let mut budgets = budgets(cycle.cluster);
    pods.into_iter().partition(|pod| {
        let mut violates = false;
        for (budget, left) in &mut budgets {
            let protects = budget.metadata.namespace.as_deref() == Some(pod.namespace())
                && !pod.labels().is_empty()
                && !budget.spec.selector.is_empty()
                && budget.spec.selector.matches(pod.labels());
            // A removal that is already counted costs nothing more.
            if protects && !budget.status.disrupted_pods.contains_key(pod.name()) {
                *left -= 1;
                violates |= *left < 0;
            }
        }
        violates
    })
}
