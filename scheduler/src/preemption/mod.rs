//! Making room for a pod by removing pods of lower priority.
//!
//! [`find`] is pure: on nodes where it may help it removes all lower pods in thought, then puts back as many as still
//! let the pod in, most important first and those a disruption budget protects before others; of all nodes it takes
//! the one whose loss is least. [`execute`] then asks the API for it. Upstream: `framework/preemption` and
//! `plugins/defaultpreemption`.

mod execute;
mod victims;

use std::sync::Arc;

pub(crate) use execute::execute;
use victims::{Victims, select};

use crate::cache::{Cluster, NodeInfo};
use crate::framework::{Code, Cycle, CycleState, Diagnosis, Profile, Status, fit_error};
use crate::objects::Pod;
use crate::queue::Nominator;

/// Of how many nodes at least the best is taken. Upstream: `DefaultPreemptionArgs.MinCandidateNodesAbsolute`.
const MIN_CANDIDATES: usize = 100;
/// The same as a share of all nodes. Upstream: `MinCandidateNodesPercentage`.
const MIN_CANDIDATES_PERCENT: usize = 10;

/// What preemption comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Remove these pods from this node.
    Preempt { node: String, victims: Vec<Arc<Pod>>, message: String },
    /// It does not help; a promise made before is void.
    Hopeless { message: String },
    /// Not now; what was promised stays.
    NotEligible { message: String },
}

/// Looks for the node where removing pods costs least.
pub(crate) fn find<'a>(
    profile: &Profile,
    cycle: &Cycle<'a>,
    state: &CycleState<'a>,
    diagnosis: &Diagnosis,
    nominator: &Nominator,
) -> Outcome {
    if let Some(Status { code: Code::UnschedulableAndUnresolvable, .. }) = &diagnosis.absent
        && !diagnosis.pre_filter_message.is_empty()
    {
        // Upstream asks DynamicResources first, which finds no state of its own when PreFilter ended early, and its
        // two words are all that is said.
        return Outcome::NotEligible { message: "not found".to_owned() };
    }
    if let Err(reason) = eligible(cycle, diagnosis, nominator) {
        return Outcome::NotEligible { message: format!("preemption: {reason}") };
    }
    let nodes = &cycle.snapshot.nodes;
    let mut potential: Vec<usize> = match &diagnosis.absent {
        Some(status) if status.code == Code::Unschedulable => (0..nodes.len()).collect(),
        _ => Vec::new(),
    };
    potential.extend(diagnosis.nodes.iter().map(|(index, _)| *index));
    potential.sort_unstable();
    potential.dedup();
    potential.retain(|index| diagnosis.of(*index) == Code::Unschedulable);
    let mut refusals = Diagnosis {
        absent: Some(Status::unresolvable("Preemption is not helpful for scheduling")),
        ..Diagnosis::default()
    };
    let candidates = dry_run(profile, cycle, state, nominator, &potential, &mut refusals);
    match cheapest(candidates) {
        Some((node, victims)) => {
            let count = victims.pods.len();
            let message =
                format!("preemption: found a potential placement for pod on node {node}, preempting {count} victims");
            Outcome::Preempt { node, victims: victims.pods, message }
        }
        None => Outcome::Hopeless { message: format!("preemption: {}", fit_error(nodes.len(), &refusals)) },
    }
}

/// Whether the pod may preempt now. Upstream: `PodEligibleToPreemptOthers`.
fn eligible(cycle: &Cycle<'_>, diagnosis: &Diagnosis, nominator: &Nominator) -> Result<(), &'static str> {
    let pod = cycle.pod;
    if pod.preempts_never {
        return Err("not eligible due to preemptionPolicy=Never.");
    }
    let Some(promised) = nominator.node_of(pod.uid()).and_then(|node| cycle.snapshot.index_of(node)) else {
        return Ok(());
    };
    if diagnosis.of(promised) == Code::UnschedulableAndUnresolvable {
        return Ok(());
    }
    let leaving = |other: &Arc<Pod>| other.preempted && other.priority < pod.priority;
    if cycle.snapshot.nodes[promised].pods.iter().any(leaving) {
        return Err("not eligible due to a terminating pod on the nominated node.");
    }
    Ok(())
}

/// Tries nodes from a random one on until there is choice enough. Upstream: `DryRunPreemption`.
fn dry_run<'a>(
    profile: &Profile,
    cycle: &Cycle<'a>,
    state: &CycleState<'a>,
    nominator: &Nominator,
    potential: &[usize],
    refusals: &mut Diagnosis,
) -> Vec<(String, Victims)> {
    if potential.is_empty() {
        return Vec::new();
    }
    let wanted = (potential.len() * MIN_CANDIDATES_PERCENT / 100).max(MIN_CANDIDATES).min(potential.len());
    let offset = rand::random_range(0..potential.len());
    let mut candidates: Vec<(String, Victims)> = Vec::new();
    let mut unharmed = 0;
    for step in 0..potential.len() {
        let index = potential[(offset + step) % potential.len()];
        let node: &NodeInfo = &cycle.snapshot.nodes[index];
        match select(profile, cycle, state.clone(), node.clone(), nominator) {
            Ok(victims) => {
                unharmed += usize::from(victims.violations == 0);
                candidates.push((node.name().to_owned(), victims));
                if unharmed > 0 && candidates.len() >= wanted {
                    break;
                }
            }
            Err(status) => refusals.nodes.push((index, status)),
        }
    }
    candidates
}

/// The candidate with, in this order: fewest broken budgets, lowest highest priority, least sum of priorities, fewest
/// victims, most recently started among the most important. Upstream: `pickOneNodeForPreemption`.
fn cheapest(candidates: Vec<(String, Victims)>) -> Option<(String, Victims)> {
    candidates.into_iter().min_by_key(|(_, victims)| {
        let highest = victims.pods.first().map_or(i32::MIN, |pod| pod.priority);
        // Each counts at least 1, so that many of negative priority are not cheaper than few.
        let sum: i64 = victims.pods.iter().map(|pod| i64::from(pod.priority) + i64::from(i32::MAX) + 1).sum();
        let started = victims.pods.iter().filter(|pod| pod.priority == highest).filter_map(|pod| pod.start_time);
        let earliest = started.min().unwrap_or(i128::MAX);
        (victims.violations, highest, sum, victims.pods.len(), std::cmp::Reverse(earliest))
    })
}

/// Pods of lower priority whose promise of a node is void once this pod is promised it.
pub(crate) fn displaced(pod: &Pod, node: &str, nominator: &Nominator) -> Vec<Arc<Pod>> {
    nominator.on(node).iter().filter(|other| other.priority < pod.priority).cloned().collect()
}

/// The disruption budgets as they stand.
fn budgets(cluster: &Cluster) -> Vec<(&crate::objects::PodDisruptionBudget, i32)> {
    cluster.disruption_budgets.iter().map(|(_, budget)| (&**budget, budget.status.disruptions_allowed)).collect()
}

#[cfg(test)]
mod tests;
