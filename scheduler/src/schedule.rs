//! One scheduling cycle: from a pod and a snapshot to a node, or to the reasons why there is none. Pure.
//!
//! Upstream: `schedulePod`, `findNodesThatFitPod`.

use std::sync::Arc;

use crate::cache::NodeInfo;
use crate::framework::{Code, Cycle, CycleState, Diagnosis, PreFiltered, Profile, Status};
use crate::objects::Pod;
use crate::queue::Nominator;

/// Below this number all nodes are looked at. Upstream: `minFeasibleNodesToFind`.
const MIN_FEASIBLE_NODES: usize = 100;
/// The least share of nodes that is looked for, in percent. Upstream: `minFeasibleNodesPercentageToFind`.
const MIN_FEASIBLE_PERCENTAGE: usize = 5;

/// How far a search goes and where it begins; kept from one cycle to the next, so that all nodes get their turn.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Search {
    /// 0 chooses by the number of nodes.
    percentage: usize,
    next_start: usize,
}

/// The chosen node.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) node: Arc<NodeInfo>,
    pub(crate) evaluated: usize,
    pub(crate) feasible: usize,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum Failure<'a> {
    /// There are no nodes at all.
    NoNodes,
    /// No node will do. What the filters know is kept for preemption.
    Unfit(Box<Diagnosis>, CycleState<'a>),
    /// Something went wrong.
    Error(Status),
}

impl Search {
    /// A search of this share of nodes, in percent.
    pub(crate) fn new(percentage: u32) -> Self {
        Self { percentage: percentage as usize, next_start: 0 }
    }

    /// How many nodes that fit are enough. Upstream: `numFeasibleNodesToFind`.
    fn enough(self, nodes: usize) -> usize {
        if nodes < MIN_FEASIBLE_NODES {
            return nodes;
        }
        let percentage = match self.percentage {
            0 => 50_usize.saturating_sub(nodes / 125).max(MIN_FEASIBLE_PERCENTAGE),
            percentage => percentage.min(100),
        };
        (nodes * percentage / 100).max(MIN_FEASIBLE_NODES)
    }
}

/// Finds the node for a pod.
pub(crate) fn schedule<'a>(
    profile: &'a Profile,
    cycle: &Cycle<'a>,
    nominator: &Nominator,
    search: &mut Search,
) -> Result<Chosen, Failure<'a>> {
    let all = &cycle.snapshot.nodes;
    if all.is_empty() {
        return Err(Failure::NoNodes);
    }
    let mut diagnosis = Box::<Diagnosis>::default();
    let (state, names) = match profile.pre_filter(cycle) {
        PreFiltered::Nodes(state, names, naming) => {
            diagnosis.plugins = naming;
            (state, names)
        }
        PreFiltered::Rejected(_, status, _) if status.code == Code::Error => return Err(Failure::Error(status)),
        PreFiltered::Rejected(state, status, plugins) => {
            diagnosis.pre_filter_message = status.message();
            diagnosis.plugins = plugins;
            diagnosis.absent = Some(status);
            return Err(Failure::Unfit(diagnosis, state));
        }
    };
    if let Some(node) = promised(cycle, nominator)
        && passes(profile, cycle.pod, &state, node, nominator).is_ok()
    {
        return Ok(Chosen { node: node.clone(), evaluated: 1, feasible: 1 });
    }
    let candidates: Vec<usize> = match &names {
        None => (0..all.len()).collect(),
        Some(names) => {
            let naming: Vec<&str> = naming_plugins(profile, &diagnosis);
            let text = format!("node(s) didn't satisfy plugin(s) [{}]", naming.join(" "));
            diagnosis.absent = Some(Status::unresolvable(text));
            names.iter().filter_map(|name| cycle.snapshot.index_of(name)).collect()
        }
    };
    let feasible = find_feasible(profile, cycle, &state, nominator, search, &candidates, &mut diagnosis)?;
    let processed = feasible.len() + diagnosis.nodes.len();
    search.next_start = (search.next_start + processed) % all.len();
    let node = match feasible.as_slice() {
        [] => return Err(Failure::Unfit(diagnosis, state)),
        [only] => *only,
        several => best(several, &profile.score(cycle, several)),
    };
    Ok(Chosen { node: node.clone(), evaluated: processed, feasible: feasible.len() })
}

/// The plugins that limited the search to nodes they named, sorted.
fn naming_plugins<'a>(profile: &'a Profile, diagnosis: &Diagnosis) -> Vec<&'a str> {
    let named = profile.names().enumerate().filter(|(index, _)| diagnosis.plugins.contains(*index));
    let mut names: Vec<&str> = named.map(|(_, name)| name).collect();
    names.sort_unstable();
    names
}

/// The node promised to the pod, which is tried before all others.
fn promised<'a>(cycle: &Cycle<'a>, nominator: &Nominator) -> Option<&'a Arc<NodeInfo>> {
    cycle.snapshot.get(nominator.node_of(cycle.pod.uid())?)
}

fn find_feasible<'a>(
    profile: &Profile,
    cycle: &Cycle<'a>,
    state: &CycleState<'a>,
    nominator: &Nominator,
    search: &Search,
    candidates: &[usize],
    diagnosis: &mut Diagnosis,
) -> Result<Vec<&'a Arc<NodeInfo>>, Failure<'a>> {
    let enough = search.enough(candidates.len());
    let mut feasible = Vec::with_capacity(enough);
    for step in 0..candidates.len() {
        if feasible.len() == enough {
            break;
        }
        let index = candidates[(search.next_start + step) % candidates.len()];
        let node = &cycle.snapshot.nodes[index];
        match passes(profile, cycle.pod, state, node, nominator) {
            Ok(()) => feasible.push(node),
            Err((_, status)) if status.code == Code::Error => return Err(Failure::Error(status)),
            Err((plugin, status)) => {
                diagnosis.plugins.insert(plugin);
                diagnosis.nodes.push((index, status));
            }
        }
    }
    Ok(feasible)
}

/// Whether a pod fits a node, also beside pods of at least its priority that the node is promised to.
/// Upstream: `RunFilterPluginsWithNominatedPods`.
pub(crate) fn passes(
    profile: &Profile,
    pod: &Pod,
    state: &CycleState<'_>,
    node: &NodeInfo,
    nominator: &Nominator,
) -> Result<(), (usize, Status)> {
    let promised = nominator.on(node.name()).iter();
    let mut promised = promised.filter(|other| other.priority >= pod.priority && other.uid() != pod.uid()).peekable();
    if promised.peek().is_some() {
        let (mut with, mut state) = (node.clone(), state.clone());
        for other in promised {
            with.add_pod(other.clone());
            state.add_pod(other, &with);
        }
        profile.filter(&state, &with)?;
    }
    // They may never come: the pod must not depend on them.
    profile.filter(state, node)
}

/// The node with the highest score, any of them when several have it. Upstream: `selectHost`.
fn best<'a>(nodes: &[&'a Arc<NodeInfo>], scores: &[i64]) -> &'a Arc<NodeInfo> {
    let highest = scores.iter().copied().max().unwrap_or(0);
    let count = scores.iter().filter(|score| **score == highest).count();
    let chosen = rand::random_range(0..count.max(1));
    let mut ties = nodes.iter().zip(scores).filter(|(_, score)| **score == highest);
    ties.nth(chosen).map_or(nodes[0], |(node, _)| node)
}

#[cfg(test)]
mod tests;
