//! The framework: extension points, what plugins see and answer, and the engine that runs them.
//!
//! A [`Plugin`] implements the points it takes part in. PreFilter and Filter are one idea in two steps: `pre_filter`
//! looks at the pod and the snapshot once and gives a [`Filter`] that holds what it computed; the same goes for
//! PreScore and [`Score`]. So a plugin's state for one pod is a value of its own type, and [`CycleState`] is the list
//! of them. Everything up to Reserve is synchronous and pure over the snapshot; only PreBind and Bind do I/O.
//! Upstream counterpart: `pkg/scheduler/framework` and `framework/runtime`.

mod diagnosis;
mod event;
mod profile;
mod status;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use futures::future::BoxFuture;

pub(crate) use diagnosis::{Diagnosis, fit_error};
pub(crate) use event::{ClusterEvent, Hint, NodeChange, PodChange};
pub(crate) use profile::{CycleState, PluginSet, PreFiltered, Profile};
pub(crate) use status::{Code, Reason, Status};

use crate::cache::{Cluster, NodeInfo, Snapshot};
use crate::objects::Pod;

/// The highest score of a node from one plugin. Upstream: `fwk.MaxNodeScore`.
pub(crate) const MAX_NODE_SCORE: i64 = 100;

/// Success, or why not.
pub(crate) type Verdict = Result<(), Status>;

/// What one scheduling cycle looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cycle<'a> {
    /// The pod to schedule.
    pub pod: &'a Arc<Pod>,
    /// The nodes and what runs on them.
    pub snapshot: &'a Snapshot,
    /// Everything else.
    pub cluster: &'a Cluster,
}

/// What a plugin says to a pod before nodes are looked at.
#[derive(Debug)]
pub(crate) enum PreFilter<'a> {
    /// Nothing to check for this pod.
    Skip,
    /// Check each node with this.
    Filter(Box<dyn Filter<'a> + 'a>),
    /// Check only these nodes with this.
    FilterOn(BTreeSet<Cow<'a, str>>, Box<dyn Filter<'a> + 'a>),
    /// No node will do.
    Reject(Status),
}

/// Checks nodes for one pod. Upstream: `FilterPlugin` with `PreFilterExtensions`.
pub(crate) trait Filter<'a>: Debug + Send + Sync {
    /// Whether the pod may run on a node.
    ///
    /// # Errors
    /// The reason why it may not.
    fn filter(&self, node: &NodeInfo) -> Verdict;

    /// Takes into account a pod that is thought to run on a node.
    fn add_pod(&mut self, _pod: &Pod, _node: &NodeInfo) {}

    /// Takes into account that a pod is thought gone from a node.
    fn remove_pod(&mut self, _pod: &Pod, _node: &NodeInfo) {}

    /// A copy, for a simulation.
    fn boxed(&self) -> Box<dyn Filter<'a> + 'a>;
}

/// Scores nodes for one pod. Upstream: `ScorePlugin` with `ScoreExtensions`.
pub(crate) trait Score: Debug + Send + Sync {
    /// The score of the node at `index` of those given to `pre_score`.
    fn score(&self, index: usize, node: &NodeInfo) -> i64;

    /// Brings the scores of all nodes into 0 to [`MAX_NODE_SCORE`].
    fn normalize(&self, _scores: &mut [i64]) {}
}

/// What must happen at the API before a pod is bound; planned in Reserve, done in PreBind.
pub(crate) trait PreBind: Debug + Send + Sync {
    /// Does it, and waits until it has taken effect.
    ///
    /// # Errors
    /// Why it could not be done.
    fn pre_bind(&self) -> BoxFuture<'_, Verdict>;
}

/// A scheduler plugin. Points it does not take part in keep their defaults.
pub(crate) trait Plugin: Debug + Send + Sync {
    /// Upstream's name.
    fn name(&self) -> &'static str;

    /// PreEnqueue: whether a pod may enter the active queue.
    ///
    /// # Errors
    /// Why it must wait.
    fn pre_enqueue(&self, _pod: &Pod) -> Verdict {
        Ok(())
    }

    /// Whether an event may help a pod this plugin turned down. Upstream: `EventsToRegister` and its hint functions.
    fn queueing_hint(&self, _pod: &Pod, _event: &ClusterEvent<'_>) -> Hint {
        Hint::Skip
    }

    /// PreFilter.
    fn pre_filter<'a>(&'a self, _cycle: &Cycle<'a>) -> PreFilter<'a> {
        PreFilter::Skip
    }

    /// PreScore; none when it has nothing to say about this pod.
    fn pre_score<'a>(&'a self, _cycle: &Cycle<'a>, _nodes: &[&'a Arc<NodeInfo>]) -> Option<Box<dyn Score + 'a>> {
        None
    }

    /// Reserve: what must be done before binding to the chosen node, if anything.
    ///
    /// # Errors
    /// Why the node will not do after all.
    fn reserve(&self, _cycle: &Cycle<'_>, _node: &NodeInfo) -> Result<Option<Box<dyn PreBind>>, Status> {
        Ok(None)
    }

    /// Permit: a last say before binding.
    ///
    /// # Errors
    /// Why not.
    fn permit(&self, _cycle: &Cycle<'_>, _node: &NodeInfo) -> Verdict {
        Ok(())
    }

    /// Bind; none when the plugin does not bind this pod.
    fn bind<'a>(&'a self, _pod: &'a Pod, _node: &'a str) -> Option<BoxFuture<'a, Verdict>> {
        None
    }

    /// PostBind: told that the pod is bound.
    fn post_bind(&self, _pod: &Pod, _node: &str) {}
}

/// Scales scores so that the highest becomes [`MAX_NODE_SCORE`]; `reverse` makes the highest the worst.
/// Upstream: `helper.DefaultNormalizeScore`.
pub(crate) fn default_normalize(scores: &mut [i64], reverse: bool) {
    let highest = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        let scaled = if highest == 0 { 0 } else { MAX_NODE_SCORE * *score / highest };
        *score = if reverse { MAX_NODE_SCORE - scaled } else { scaled };
    }
}
