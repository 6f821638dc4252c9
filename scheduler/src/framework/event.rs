//! What happened in the cluster that may let a waiting pod run.

use crate::objects::{Node, PersistentVolumeClaim, Pod};

/// Whether an event may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hint {
    /// Try again.
    Queue,
    /// Of no use.
    Skip,
}

impl Hint {
    /// `Queue` when true.
    pub(crate) fn when(helps: bool) -> Self {
        if helps { Self::Queue } else { Self::Skip }
    }
}

/// What changed on a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeChange {
    /// Labels.
    pub labels: bool,
    /// Taints or `unschedulable`.
    pub taints: bool,
    /// Allocatable resources.
    pub allocatable: bool,
}

impl NodeChange {
    /// What differs; nothing for a heartbeat.
    pub(crate) fn between(old: &Node, new: &Node) -> Self {
        Self {
            labels: old.metadata.labels != new.metadata.labels,
            taints: old.taints != new.taints || old.unschedulable != new.unschedulable,
            allocatable: old.allocatable != new.allocatable,
        }
    }

    /// True when something differs.
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// What changed on a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodChange {
    /// Labels.
    pub labels: bool,
    /// It requests less than before.
    pub scaled_down: bool,
    /// A tolerations was added.
    pub tolerations: bool,
    /// The last scheduling gate was opened.
    pub gates_eliminated: bool,
}

impl PodChange {
    /// What differs in what matters to scheduling. Upstream: `PodSchedulingPropertiesChange`.
    pub(crate) fn between(old: &Pod, new: &Pod) -> Self {
        let less = |old: i64, new: i64| new < old;
        let (before, after) = (&old.requests, &new.requests);
        let scalar_less = before.scalar.iter().any(|(name, amount)| less(*amount, after.scalar(name)));
        Self {
            labels: old.metadata.labels != new.metadata.labels,
            scaled_down: less(before.milli_cpu, after.milli_cpu)
                || less(before.memory, after.memory)
                || less(before.ephemeral_storage, after.ephemeral_storage)
                || scalar_less,
            tolerations: old.tolerations != new.tolerations,
            gates_eliminated: !old.scheduling_gates.is_empty() && new.scheduling_gates.is_empty(),
        }
    }

    /// True when something differs.
    pub(crate) fn any(self) -> bool {
        self != Self::default()
    }
}

/// An event, with what it is about. Upstream: `fwk.ClusterEvent`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ClusterEvent<'a> {
    /// A node appeared.
    NodeAdd(&'a Node),
    /// A node changed.
    NodeUpdate(&'a Node, &'a Node, NodeChange),
    /// A node went.
    NodeDelete(&'a Node),
    /// A pod was assigned to a node, here or elsewhere.
    AssignedPodAdd(&'a Pod),
    /// An assigned pod changed.
    AssignedPodUpdate(&'a Pod, &'a Pod, PodChange),
    /// An assigned pod is gone, or the assumption that it is assigned was given up.
    AssignedPodDelete(&'a Pod),
    /// The waiting pod itself changed.
    TargetPodUpdate(&'a Pod, PodChange),
    /// A claim appeared or changed.
    Claim(&'a PersistentVolumeClaim),
    /// A claim went.
    ClaimDelete,
    /// A volume appeared or changed.
    Volume,
    /// A class appeared or changed.
    StorageClass,
    /// What a node's drivers can attach appeared or changed.
    CsiNode,
    /// A namespace's labels changed.
    Namespace,
}
