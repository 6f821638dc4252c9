//! The fields of a pod that are decoded, and how they become a [`Pod`](super::Pod).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use serde::Deserialize;

use super::{HostPort, NodeAffinity, SpreadConstraint, Unsatisfiable, Volume, requests};
use crate::objects::{
    Amount, Labels, NodeSelector, NodeSelectorTerm, PodAffinity, PreferredTerm, Selector, Toleration,
};

#[derive(Deserialize)]
pub(super) struct Pod {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Spec {
    node_name: Option<String>,
    scheduler_name: Option<String>,
    priority: Option<i32>,
    preemption_policy: Option<String>,
    scheduling_gates: Option<Vec<core::PodSchedulingGate>>,
    pub(super) containers: Vec<Container>,
    pub(super) init_containers: Vec<Container>,
    pub(super) overhead: Option<BTreeMap<String, Amount>>,
    pub(super) resources: Requirements,
    tolerations: Option<Vec<core::Toleration>>,
    node_selector: Option<Labels>,
    affinity: Option<core::Affinity>,
    topology_spread_constraints: Option<Vec<core::TopologySpreadConstraint>>,
    volumes: Option<Vec<RawVolume>>,
    resource_claims: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Requirements {
    pub(super) requests: Option<BTreeMap<String, Amount>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) name: String,
    image: Option<String>,
    restart_policy: Option<String>,
    ports: Option<Vec<Port>>,
    #[serde(rename = "resources")]
    pub(super) requests: Requirements,
}

impl Container {
    pub(super) fn is_sidecar(&self) -> bool {
        self.restart_policy.as_deref() == Some("Always")
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    host_port: Option<i32>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    protocol: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Status {
    phase: Option<String>,
    nominated_node_name: Option<String>,
    start_time: Option<Time>,
    conditions: Option<Vec<core::PodCondition>>,
    pub(super) container_statuses: Vec<ContainerStatus>,
    pub(super) init_container_statuses: Vec<ContainerStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) allocated_resources: Option<BTreeMap<String, Amount>>,
    pub(super) resources: Requirements,
}

impl Status {
    fn condition(&self, kind: &str) -> Option<&core::PodCondition> {
        self.conditions.iter().flatten().find(|condition| condition.type_ == kind)
    }

    pub(super) fn resize_infeasible(&self) -> bool {
        let pending = self.condition("PodResizePending");
        pending.is_some_and(|condition| condition.reason.as_deref() == Some("Infeasible"))
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawVolume {
    name: String,
    persistent_volume_claim: Option<core::PersistentVolumeClaimVolumeSource>,
    ephemeral: Option<serde::de::IgnoredAny>,
    gce_persistent_disk: Option<core::GCEPersistentDiskVolumeSource>,
    aws_elastic_block_store: Option<core::AWSElasticBlockStoreVolumeSource>,
    iscsi: Option<core::ISCSIVolumeSource>,
    rbd: Option<core::RBDVolumeSource>,
    image: Option<core::ImageVolumeSource>,
}

impl RawVolume {
    fn parse(self, pod: &str) -> Option<Volume> {
        let disk = |kind: &str, identity: String, read_only: Option<bool>| Volume::Disk {
            identity: format!("{kind}/{identity}"),
            read_only: read_only.unwrap_or_default(),
            exclusive: kind == "aws",
        };
        if let Some(claim) = self.persistent_volume_claim {
            Some(Volume::Claim { name: claim.claim_name, ephemeral: false })
        } else if self.ephemeral.is_some() {
            Some(Volume::Claim { name: format!("{pod}-{}", self.name), ephemeral: true })
        } else if let Some(gce) = self.gce_persistent_disk {
            Some(disk("gce", gce.pd_name, gce.read_only))
        } else if let Some(aws) = self.aws_elastic_block_store {
            Some(disk("aws", aws.volume_id, aws.read_only))
        } else if let Some(iscsi) = self.iscsi {
            Some(disk("iscsi", iscsi.iqn, iscsi.read_only))
        } else if let Some(rbd) = self.rbd {
            let pool = rbd.pool.unwrap_or_else(|| "rbd".to_owned());
            let identity = format!("{}/{pool}/{}", rbd.monitors.join(","), rbd.image);
            Some(disk("rbd", identity, rbd.read_only))
        } else {
            self.image.and_then(|image| image.reference).map(|reference| Volume::Image(tagged(reference)))
        }
    }
}

/// An image name always with a tag. Upstream: `imagelocality.normalizedImageName`.
fn tagged(name: String) -> String {
    if name.rfind(':') <= name.rfind('/') { name + ":latest" } else { name }
}

impl From<Pod> for super::Pod {
    fn from(pod: Pod) -> Self {
        let Pod { mut metadata, spec, status } = pod;
        metadata.annotations = None;
        metadata.managed_fields = None;
        metadata.finalizers = None;
        metadata.generate_name = None;
        let name = metadata.name.clone().unwrap_or_default();
        let namespace = metadata.namespace.clone().unwrap_or_default();
        let assigned = spec.node_name.as_ref().is_some_and(|node| !node.is_empty());
        let (requests, non_zero) = requests::of(&spec, &status);
        let host_ports = host_ports(&spec);
        let node_affinity = node_affinity(&spec);
        let labels = metadata.labels.clone().unwrap_or_default();
        let constraints = spec.topology_spread_constraints.iter().flatten();
        let spread = constraints.map(|constraint| spread_constraint(constraint, &labels)).collect();
        let images = spec.init_containers.iter().chain(&spec.containers).filter_map(|one| one.image.clone());
        let images = images.map(tagged).collect();
        let preempted = metadata.deletion_timestamp.is_some()
            && status.condition("DisruptionTarget").is_some_and(|condition| {
                condition.status == "True" && condition.reason.as_deref() == Some("PreemptionByScheduler")
            });
        Self {
            scheduler_name: spec.scheduler_name.unwrap_or_else(|| "default-scheduler".to_owned()),
            node_name: spec.node_name.unwrap_or_default(),
            priority: spec.priority.unwrap_or_default(),
            preempts_never: spec.preemption_policy.as_deref() == Some("Never"),
            scheduling_gates: spec.scheduling_gates.into_iter().flatten().map(|gate| gate.name).collect(),
            requests,
            non_zero,
            host_ports,
            tolerations: spec.tolerations.iter().flatten().map(Toleration::new).collect(),
            node_affinity,
            affinity: spec.affinity.as_ref().and_then(|affinity| PodAffinity::new(&namespace, affinity)),
            spread,
            images,
            volumes: spec.volumes.into_iter().flatten().filter_map(|volume| volume.parse(&name)).collect(),
            finished: matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")),
            scheduled_condition: status.condition("PodScheduled").filter(|_| !assigned).cloned(),
            needs_devices: spec.resource_claims.is_some_and(|claims| !claims.is_empty()),
            nominated_node_name: status.nominated_node_name.unwrap_or_default(),
            start_time: status.start_time.map(|time| time.0.as_nanosecond()),
            preempted,
            metadata,
        }
    }
}

fn host_ports(spec: &Spec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().filter(|container| container.is_sidecar());
    let ports = sidecars.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let given = |text: &Option<String>, default: &str| {
                text.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
            };
            Some(HostPort { ip: given(&port.host_ip, "0.0.0.0"), protocol: given(&port.protocol, "TCP"), port: number })
        })
        .collect()
}

fn node_affinity(spec: &Spec) -> NodeAffinity {
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required = affinity.and_then(|one| one.required_during_scheduling_ignored_during_execution.as_ref());
    let preferred = affinity.and_then(|one| one.preferred_during_scheduling_ignored_during_execution.as_ref());
    let preferred_term = |term: &core::PreferredSchedulingTerm| PreferredTerm {
        weight: i64::from(term.weight),
        term: NodeSelectorTerm::new(&term.preference),
    };
    NodeAffinity {
        selector: spec.node_selector.clone().unwrap_or_default(),
        required: required.map(NodeSelector::new),
        preferred: preferred.into_iter().flatten().map(preferred_term).collect(),
    }
}

fn spread_constraint(constraint: &core::TopologySpreadConstraint, labels: &Labels) -> SpreadConstraint {
    let mut selector = Selector::new(constraint.label_selector.as_ref());
    let keys = constraint.match_label_keys.iter().flatten();
    let same: Labels = keys.filter_map(|key| labels.get_key_value(key)).map(|(k, v)| (k.clone(), v.clone())).collect();
    if !same.is_empty() {
        selector.and(&Selector::from_labels(&same));
    }
    SpreadConstraint {
        max_skew: i64::from(constraint.max_skew),
        topology_key: constraint.topology_key.clone(),
        selector,
        min_domains: constraint.min_domains.and_then(|least| usize::try_from(least).ok()).unwrap_or(1),
        honor_affinity: constraint.node_affinity_policy.as_deref() != Some("Ignore"),
        honor_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
        when_unsatisfiable: match constraint.when_unsatisfiable.as_str() {
            "ScheduleAnyway" => Unsatisfiable::ScheduleAnyway,
            _ => Unsatisfiable::DoNotSchedule,
        },
    }
}
