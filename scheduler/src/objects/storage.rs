//! Volumes, claims, classes, and what a node's drivers can attach.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use serde::Deserialize;

use super::{Amount, NodeSelector, Selector, TopologyTerm, kind};

/// The annotation that names a class on old objects.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
/// The annotation by which the scheduler tells the provisioner where.
pub(crate) const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// The annotation that says binding is complete.
pub(crate) const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";

/// Where a claim stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum ClaimPhase {
    /// Not bound yet.
    #[default]
    Pending,
    /// Bound to a volume.
    Bound,
    /// Its volume is gone.
    Lost,
}

/// A claim of storage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::Claim")]
pub(crate) struct PersistentVolumeClaim {
    /// Name; annotations are kept, binding speaks through them.
    pub metadata: ObjectMeta,
    /// Empty while unbound.
    pub volume_name: String,
    /// Empty for none.
    pub class: String,
    /// Access modes asked for.
    pub access_modes: Vec<String>,
    /// `Filesystem` or `Block`.
    pub volume_mode: String,
    /// Bytes asked for.
    pub request: i64,
    /// Which volumes will do.
    pub selector: Option<Selector>,
    /// Where it stands.
    pub phase: ClaimPhase,
}

kind!(PersistentVolumeClaim, "", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", NamespaceResourceScope);

impl PersistentVolumeClaim {
    /// One annotation.
    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// True when it is bound and the binding is complete. Upstream: `volumeBinder.isPVCFullyBound`.
    pub(crate) fn is_fully_bound(&self) -> bool {
        !self.volume_name.is_empty() && self.annotation(BIND_COMPLETED).is_some()
    }
}

/// A volume.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::Volume")]
pub(crate) struct PersistentVolume {
    /// Name and labels (zones).
    pub metadata: ObjectMeta,
    /// Empty for none.
    pub class: String,
    /// Bytes.
    pub capacity: i64,
    /// Access modes offered.
    pub access_modes: Vec<String>,
    /// `Filesystem` or `Block`.
    pub volume_mode: String,
    /// Nodes that can reach it; none for all.
    pub node_affinity: Option<NodeSelector>,
    /// The claim it is bound or reserved to: namespace, name and uid (which may be empty).
    pub claim: Option<(String, String, String)>,
    /// `Available`.
    pub available: bool,
    /// The CSI driver and handle, when it is a CSI volume.
    pub csi: Option<(String, String)>,
}

kind!(PersistentVolume, "", "v1", "PersistentVolume", "persistentvolumes", ClusterResourceScope);

/// When claims of a class are bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum BindingMode {
    /// At once.
    #[default]
    Immediate,
    /// Once a pod that uses them is scheduled.
    WaitForFirstConsumer,
}

/// A class of storage.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::Class")]
pub(crate) struct StorageClass {
    /// Name.
    pub metadata: ObjectMeta,
    /// Who provisions.
    pub provisioner: String,
    /// When claims are bound.
    pub binding_mode: BindingMode,
    /// Where volumes may be made; empty for anywhere.
    pub allowed_topologies: Vec<TopologyTerm>,
}

kind!(StorageClass, "storage.k8s.io", "v1", "StorageClass", "storageclasses", ClusterResourceScope);

impl StorageClass {
    /// True when volumes of the class can be made on demand.
    pub(crate) fn provisions(&self) -> bool {
        !self.provisioner.is_empty() && self.provisioner != "kubernetes.io/no-provisioner"
    }
}

/// How many volumes of each CSI driver a node can attach.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::CsiNode")]
pub(crate) struct CsiNode {
    /// The node's name.
    pub metadata: ObjectMeta,
    /// Driver name to limit, where there is one.
    pub limits: BTreeMap<String, i32>,
}

kind!(CsiNode, "storage.k8s.io", "v1", "CSINode", "csinodes", ClusterResourceScope);

mod wire {
    use super::*;

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Claim {
        metadata: ObjectMeta,
        spec: ClaimSpec,
        status: ClaimStatus,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct ClaimSpec {
        volume_name: Option<String>,
        storage_class_name: Option<String>,
        access_modes: Option<Vec<String>>,
        volume_mode: Option<String>,
        resources: ClaimResources,
        selector: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ClaimResources {
        requests: BTreeMap<String, Amount>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ClaimStatus {
        phase: Option<ClaimPhase>,
    }

    fn class(metadata: &ObjectMeta, name: Option<String>) -> String {
        let annotated = metadata.annotations.as_ref().and_then(|all| all.get(CLASS_ANNOTATION)).cloned();
        annotated.or(name).unwrap_or_default()
    }

    fn mode(mode: Option<String>) -> String {
        mode.unwrap_or_else(|| "Filesystem".to_owned())
    }

    impl From<Claim> for PersistentVolumeClaim {
        fn from(claim: Claim) -> Self {
            Self {
                class: class(&claim.metadata, claim.spec.storage_class_name),
                metadata: claim.metadata,
                volume_name: claim.spec.volume_name.unwrap_or_default(),
                access_modes: claim.spec.access_modes.unwrap_or_default(),
                volume_mode: mode(claim.spec.volume_mode),
                request: claim.spec.resources.requests.get("storage").map_or(0, |amount| amount.value()),
                selector: claim.spec.selector.as_ref().map(|selector| Selector::new(Some(selector))),
                phase: claim.status.phase.unwrap_or_default(),
            }
        }
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct Volume {
        metadata: ObjectMeta,
        spec: VolumeSpec,
        status: VolumeStatus,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct VolumeSpec {
        storage_class_name: Option<String>,
        capacity: BTreeMap<String, Amount>,
        access_modes: Option<Vec<String>>,
        volume_mode: Option<String>,
        node_affinity: Option<core::VolumeNodeAffinity>,
        claim_ref: Option<core::ObjectReference>,
        csi: Option<CsiSource>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct CsiSource {
        driver: String,
        volume_handle: String,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct VolumeStatus {
        phase: Option<String>,
    }

    impl From<Volume> for PersistentVolume {
        fn from(volume: Volume) -> Self {
            let spec = volume.spec;
            let claim = spec.claim_ref.map(|claim| {
                (claim.namespace.unwrap_or_default(), claim.name.unwrap_or_default(), claim.uid.unwrap_or_default())
            });
            let required = spec.node_affinity.and_then(|affinity| affinity.required);
            Self {
                class: class(&volume.metadata, spec.storage_class_name),
                metadata: volume.metadata,
                capacity: spec.capacity.get("storage").map_or(0, |amount| amount.value()),
                access_modes: spec.access_modes.unwrap_or_default(),
                volume_mode: mode(spec.volume_mode),
                node_affinity: required.as_ref().map(NodeSelector::new),
                claim,
                available: volume.status.phase.as_deref() == Some("Available"),
                csi: spec.csi.map(|csi| (csi.driver, csi.volume_handle)),
            }
        }
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    pub(super) struct Class {
        metadata: ObjectMeta,
        provisioner: String,
        volume_binding_mode: Option<BindingMode>,
        allowed_topologies: Option<Vec<core::TopologySelectorTerm>>,
    }

    impl From<Class> for StorageClass {
        fn from(class: Class) -> Self {
            let term = |term: core::TopologySelectorTerm| {
                let expressions = term.match_label_expressions.into_iter().flatten();
                TopologyTerm(expressions.map(|one| (one.key, one.values)).collect())
            };
            Self {
                metadata: class.metadata,
                provisioner: class.provisioner,
                binding_mode: class.volume_binding_mode.unwrap_or_default(),
                allowed_topologies: class.allowed_topologies.into_iter().flatten().map(term).collect(),
            }
        }
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    pub(super) struct CsiNode {
        metadata: ObjectMeta,
        spec: CsiNodeSpec,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct CsiNodeSpec {
        drivers: Option<Vec<Driver>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Driver {
        name: String,
        allocatable: Option<Allocatable>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Allocatable {
        count: Option<i32>,
    }

    impl From<CsiNode> for super::CsiNode {
        fn from(node: CsiNode) -> Self {
            let limit = |driver: Driver| Some((driver.name, driver.allocatable?.count?));
            Self {
                metadata: node.metadata,
                limits: node.spec.drivers.into_iter().flatten().filter_map(limit).collect(),
            }
        }
    }
}
