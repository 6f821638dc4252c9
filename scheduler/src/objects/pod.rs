//! Pods.

mod requests;
mod wire;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::node::NO_LABELS;
use super::{Labels, NodeSelector, PodAffinity, PreferredTerm, Resources, Selector, Toleration, kind};

/// A port of the host that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HostPort {
    /// `0.0.0.0` for all.
    pub ip: String,
    /// TCP, UDP or SCTP.
    pub protocol: String,
    /// 1 to 65535.
    pub port: i32,
}

/// Which nodes a pod wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NodeAffinity {
    /// `spec.nodeSelector`.
    pub selector: Labels,
    /// Must match.
    pub required: Option<NodeSelector>,
    /// Should match.
    pub preferred: Vec<PreferredTerm>,
}

impl NodeAffinity {
    /// Whether a node is allowed. Upstream: `nodeaffinity.RequiredNodeAffinity.Match`.
    pub(crate) fn allows(&self, node: &super::Node) -> bool {
        let labels = node.labels();
        self.selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.required.as_ref().is_none_or(|required| required.matches(node.name(), labels))
    }

    /// True when every node is allowed.
    pub(crate) fn allows_all(&self) -> bool {
        self.selector.is_empty() && self.required.is_none()
    }
}

/// What to do when pods cannot be spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsatisfiable {
    /// Leave the pod pending.
    DoNotSchedule,
    /// Prefer what skews least.
    ScheduleAnyway,
}

/// One rule for spreading. Upstream: `podtopologyspread.topologySpreadConstraint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SpreadConstraint {
    /// By how much places may differ.
    pub max_skew: i64,
    /// The node label whose values are the places.
    pub topology_key: String,
    /// The pods that count.
    pub selector: Selector,
    /// Below this number of places the least count is taken as 0.
    pub min_domains: usize,
    /// Count only nodes the pod's affinity allows.
    pub honor_affinity: bool,
    /// Count only nodes whose taints the pod tolerates.
    pub honor_taints: bool,
    /// What to do when it cannot be kept.
    pub when_unsatisfiable: Unsatisfiable,
}

/// Volumes that have a say in where a pod may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A claim by name; `ephemeral` when the pod itself brings it.
    Claim {
        /// The claim's name.
        name: String,
        /// Made for this pod by the ephemeral volume controller.
        ephemeral: bool,
    },
    /// A disk that may be attached once (or read-only more often): type and identity.
    Disk {
        /// Plugin and identity; two disks clash when equal (or when RBD and iSCSI share them).
        identity: String,
        /// Read-only users do not clash with each other.
        read_only: bool,
        /// AWS disks clash even read-only.
        exclusive: bool,
    },
    /// An image volume: its reference counts for image locality.
    Image(String),
}

/// A pod, as far as scheduling goes. Upstream: `framework.PodInfo`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::Pod")]
pub(crate) struct Pod {
    /// Without what scheduling never reads (annotations, managed fields, finalizers).
    pub metadata: ObjectMeta,
    /// Who is to schedule it.
    pub scheduler_name: String,
    /// Empty while unassigned.
    pub node_name: String,
    /// 0 when unset.
    pub priority: i32,
    /// `preemptionPolicy: Never`.
    pub preempts_never: bool,
    /// Names of the gates still closed.
    pub scheduling_gates: Vec<String>,
    /// What it requests in all.
    pub requests: Resources,
    /// CPU and memory with a minimum for containers that request none.
    pub non_zero: (i64, i64),
    /// Ports of the host it takes.
    pub host_ports: Vec<HostPort>,
    /// What it tolerates.
    pub tolerations: Vec<Toleration>,
    /// Which nodes it wants.
    pub node_affinity: NodeAffinity,
    /// Which pods it wants near or far.
    pub affinity: Option<Box<PodAffinity>>,
    /// How it is to be spread.
    pub spread: Vec<SpreadConstraint>,
    /// Images of its containers, with a tag.
    pub images: Vec<String>,
    /// Volumes that matter.
    pub volumes: Vec<Volume>,
    /// `status.phase` is Succeeded or Failed.
    pub finished: bool,
    /// Where preemption makes room for it; empty for nowhere.
    pub nominated_node_name: String,
    /// When it started, in nanoseconds.
    pub start_time: Option<i128>,
    /// It has resource claims (dynamic resource allocation).
    pub needs_devices: bool,
    /// The condition `PodScheduled`, while it is not assigned.
    pub scheduled_condition: Option<core::PodCondition>,
    /// It is being deleted by a scheduler's preemption.
    pub preempted: bool,
}

kind!(Pod, "", "v1", "Pod", "pods", k8s_openapi::NamespaceResourceScope);

impl Pod {
    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub(crate) fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    pub(crate) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `metadata.labels`.
    pub(crate) fn labels(&self) -> &Labels {
        self.metadata.labels.as_ref().unwrap_or(&NO_LABELS)
    }

    /// True once deletion was asked for.
    pub(crate) fn is_terminating(&self) -> bool {
        self.metadata.deletion_timestamp.is_some()
    }

    /// Names of the claims it uses.
    pub(crate) fn claims(&self) -> impl Iterator<Item = (&str, bool)> {
        self.volumes.iter().filter_map(|volume| match volume {
            Volume::Claim { name, ephemeral } => Some((name.as_str(), *ephemeral)),
            _ => None,
        })
    }

    /// True when the pod has terms about other pods.
    pub(crate) fn has_affinity(&self) -> bool {
        self.affinity.is_some()
    }

    /// True when other pods may be kept away by it.
    pub(crate) fn has_required_anti_affinity(&self) -> bool {
        self.affinity.as_ref().is_some_and(|affinity| !affinity.required_anti.is_empty())
    }
}
