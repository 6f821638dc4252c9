//! Events about pods, containers and the node, with upstream's reasons. Upstream: `kubelet/events`.

use client::{EventRecorder, EventType, object_reference};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::pod::{Kind, PodExt};

/// Writes the kubelet's events; never waits.
#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    inner: EventRecorder,
    node: String,
}

impl Recorder {
    pub(crate) fn new(inner: EventRecorder, node: &str) -> Self {
        Self { inner, node: node.to_owned() }
    }

    /// The reference to a pod.
    pub(crate) fn pod(&self, pod: &Pod) -> ObjectReference {
        object_reference(pod)
    }

    /// The reference to a container: its pod, and where in it.
    pub(crate) fn container(&self, pod: &Pod, name: &str) -> ObjectReference {
        let list = match pod.container(name) {
            Some((Kind::Init, _)) => "initContainers",
            Some((Kind::Ephemeral, _)) => "ephemeralContainers",
            _ => "containers",
        };
        ObjectReference { field_path: Some(format!("spec.{list}{{{name}}}")), ..object_reference(pod) }
    }

    /// The reference to the node. As upstream, its uid is its name.
    pub(crate) fn node(&self) -> ObjectReference {
        ObjectReference {
            kind: Some("Node".into()),
            name: Some(self.node.clone()),
            uid: Some(self.node.clone()),
            ..ObjectReference::default()
        }
    }

    pub(crate) fn normal(&self, about: &ObjectReference, reason: &str, message: &str) {
        self.inner.event(about, EventType::Normal, reason, "", message);
    }

    pub(crate) fn warning(&self, about: &ObjectReference, reason: &str, message: &str) {
        self.inner.event(about, EventType::Warning, reason, "", message);
    }
}
