//! Nodes.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use super::{Amount, Labels, Resources, Taint, kind};

/// An image a node has, under one of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Every name it is known by.
    pub names: Vec<String>,
    /// Bytes.
    pub size: i64,
}

/// A node, as far as scheduling goes. Heartbeats leave it equal to what it was, apart from the metadata.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "wire::Node")]
pub(crate) struct Node {
    /// Without annotations and managed fields.
    pub metadata: ObjectMeta,
    /// `kubectl cordon`.
    pub unschedulable: bool,
    /// Marks that keep pods away.
    pub taints: Vec<Taint>,
    /// What pods may request of it.
    pub allocatable: Resources,
    /// What it need not pull.
    pub images: Vec<Image>,
}

kind!(Node, "", "v1", "Node", "nodes", k8s_openapi::ClusterResourceScope);

/// What labels are when there are none.
pub(super) static NO_LABELS: Labels = Labels::new();

impl Node {
    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.labels`.
    pub(crate) fn labels(&self) -> &Labels {
        self.metadata.labels.as_ref().unwrap_or(&NO_LABELS)
    }

    /// The value of one label.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.labels().get(key).map(String::as_str)
    }

    /// Region and zone, which node order goes round by. Upstream: `utilnode.GetZoneKey`.
    pub(crate) fn zone_key(&self) -> (&str, &str) {
        let label = |key, old| self.label(key).or_else(|| self.label(old)).unwrap_or_default();
        (
            label("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
            label("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
        )
    }
}

mod wire {
    use super::*;

    #[derive(Deserialize)]
    pub(super) struct Node {
        metadata: ObjectMeta,
        #[serde(default)]
        spec: Spec,
        #[serde(default)]
        status: Status,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Spec {
        unschedulable: Option<bool>,
        taints: Option<Vec<core::Taint>>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        allocatable: Option<BTreeMap<String, Amount>>,
        images: Option<Vec<core::ContainerImage>>,
    }

    impl From<Node> for super::Node {
        fn from(node: Node) -> Self {
            let mut metadata = node.metadata;
            metadata.annotations = None;
            metadata.managed_fields = None;
            let image = |image: core::ContainerImage| Image {
                names: image.names.unwrap_or_default(),
                size: image.size_bytes.unwrap_or_default(),
            };
            Self {
                metadata,
                unschedulable: node.spec.unschedulable.unwrap_or_default(),
                taints: node.spec.taints.iter().flatten().filter_map(Taint::new).collect(),
                allocatable: node.status.allocatable.as_ref().map(Resources::from_list).unwrap_or_default(),
                images: node.status.images.into_iter().flatten().map(image).collect(),
            }
        }
    }
}
