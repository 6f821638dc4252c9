//! The plugins, one file each, and the one table that names them.
//!
//! A plugin is pure over the snapshot it is given; only `default_binder` and volume binding's last step do I/O.
//! Names, order and weights are upstream's (`apis/config/v1/default_plugins.go`).

mod balanced_allocation;
mod default_binder;
mod default_preemption;
mod dynamic_resources;
mod image_locality;
mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources_fit;
mod node_unschedulable;
mod node_volume_limits;
mod pod_topology_spread;
mod priority_sort;
mod scheduling_gates;
mod taint_toleration;
mod volume_binding;
mod volume_restrictions;
mod volume_zone;

pub(crate) use default_preemption::Preempting;
pub(crate) use priority_sort::{QueueKey, queue_key};

use crate::framework::{Plugin, Profile};

/// Names other parts of the scheduler speak of.
pub(crate) mod names {
    /// The plugin that makes room.
    pub(crate) const DEFAULT_PREEMPTION: &str = "DefaultPreemption";
    /// The plugin that checks node names; what waits for any node at all waits for it.
    pub(crate) const NODE_NAME: &str = "NodeName";
}

type Make = fn(&Handle) -> Box<dyn Plugin>;

/// What plugins that do I/O or share state are made with.
#[derive(Clone)]
pub(crate) struct Handle {
    /// For binding.
    pub client: Option<kube::Client>,
    /// Pods that wait for their victims' deletion to be asked for.
    pub preempting: Preempting,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("preempting", &self.preempting).finish_non_exhaustive()
    }
}

/// Every plugin: name, weight of its score (0 when it has none), how it is made. PrioritySort, the only way to sort
/// the queue, is built into the queue and stands here by its name.
#[rustfmt::skip]
pub(crate) const TABLE: &[(&str, i64, Make)] = &[
    ("SchedulingGates",                 0, |_| Box::new(scheduling_gates::SchedulingGates)),
    ("PrioritySort",                    0, |_| Box::new(priority_sort::PrioritySort)),
    ("NodeName",                        0, |_| Box::new(node_name::NodeName)),
    ("NodeUnschedulable",               0, |_| Box::new(node_unschedulable::NodeUnschedulable)),
    ("TaintToleration",                 3, |_| Box::new(taint_toleration::TaintToleration)),
    ("NodeAffinity",                    2, |_| Box::new(node_affinity::NodeAffinity)),
    ("NodePorts",                       0, |_| Box::new(node_ports::NodePorts)),
    ("NodeResourcesFit",                1, |_| Box::new(node_resources_fit::NodeResourcesFit)),
    ("VolumeRestrictions",              0, |_| Box::new(volume_restrictions::VolumeRestrictions)),
    ("NodeVolumeLimits",                0, |_| Box::new(node_volume_limits::NodeVolumeLimits)),
    ("VolumeBinding",                   0, |handle| Box::new(volume_binding::VolumeBinding::new(handle.client.clone()))),
    ("VolumeZone",                      0, |_| Box::new(volume_zone::VolumeZone)),
    ("PodTopologySpread",               2, |_| Box::new(pod_topology_spread::PodTopologySpread::default())),
    ("InterPodAffinity",                2, |_| Box::new(inter_pod_affinity::InterPodAffinity::default())),
    ("DynamicResources",                0, |_| Box::new(dynamic_resources::DynamicResources)),
    ("DefaultPreemption",               0, |handle| Box::new(default_preemption::DefaultPreemption::new(handle.preempting.clone()))),
    ("NodeResourcesBalancedAllocation", 1, |_| Box::new(balanced_allocation::BalancedAllocation)),
    ("ImageLocality",                   1, |_| Box::new(image_locality::ImageLocality)),
    ("DefaultBinder",                   0, |handle| Box::new(default_binder::DefaultBinder::new(handle.client.clone()))),
];

/// The default profile.
pub(crate) fn default_profile(handle: &Handle) -> Profile {
    Profile::new(TABLE.iter().map(|(_, weight, make)| (make(handle), *weight)).collect())
}

#[cfg(test)]
mod tests;
