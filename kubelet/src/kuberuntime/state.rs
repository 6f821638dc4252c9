//! What the runtime says of one pod. Upstream: `kubecontainer.PodStatus`.

use std::collections::HashMap;

use cri::api;
use k8s_openapi::api::core::v1::ResourceRequirements;

use super::labels;

/// A container's state as CRI knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Created,
    Running,
    Exited,
    Unknown,
}

/// A sandbox of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sandbox {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    pub(crate) ready: bool,
    /// Nanoseconds since the epoch.
    pub(crate) created_at: i64,
    /// Empty on the host's network, or while the network is being set up.
    pub(crate) ips: Vec<String>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ContainerState {
    pub(crate) id: String,
    pub(crate) sandbox_id: String,
    pub(crate) name: String,
    pub(crate) state: State,
    /// Nanoseconds since the epoch, 0 when it has not happened; so the next two.
    pub(crate) created_at: i64,
    pub(crate) started_at: i64,
    pub(crate) finished_at: i64,
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    /// What the container left behind at its end (termination message).
    pub(crate) message: String,
    pub(crate) image: String,
    pub(crate) image_id: String,
    pub(crate) hash: String,
    pub(crate) restart_count: u32,
    /// Seconds, from the annotations: for pods that are gone from the API.
    pub(crate) termination_grace: Option<i64>,
    /// The preStop hook as JSON, from the annotations.
    pub(crate) pre_stop: Option<String>,
    pub(crate) log_path: String,
    /// What it was made with, from the annotations.
    pub(crate) resources: Option<ResourceRequirements>,
    /// uid, gid and supplemental groups of its first process, where the runtime tells.
    pub(crate) user: Option<(i64, i64, Vec<i64>)>,
}

/// Everything the runtime has of a pod, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PodRuntime {
    pub(crate) sandboxes: Vec<Sandbox>,
    pub(crate) containers: Vec<ContainerState>,
}

impl PodRuntime {
    /// The sandbox in use: the newest, if it is ready.
    pub(crate) fn ready_sandbox(&self) -> Option<&Sandbox> {
        self.sandboxes.first().filter(|sandbox| sandbox.ready)
    }

    /// The newest container of this name, of whatever sandbox.
    pub(crate) fn newest(&self, name: &str) -> Option<&ContainerState> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The newest container of this name in the newest sandbox: what decides what happens next.
    pub(crate) fn active(&self, name: &str) -> Option<&ContainerState> {
        let sandbox = self.sandboxes.first()?;
        self.containers.iter().find(|container| container.name == name && container.sandbox_id == sandbox.id)
    }

    /// All that may still have processes. A container that was created and never started has none.
    pub(crate) fn alive(&self) -> impl Iterator<Item = &ContainerState> {
        self.containers.iter().filter(|container| matches!(container.state, State::Running | State::Unknown))
    }

    /// The pod's addresses.
    pub(crate) fn ips(&self) -> &[String] {
        self.sandboxes.first().map_or(&[], |sandbox| sandbox.ips.as_slice())
    }
}

/// From CRI's list and status of a sandbox.
pub(crate) fn sandbox(listed: &api::PodSandbox, status: Option<&api::PodSandboxStatus>) -> Sandbox {
    let network = status.and_then(|status| status.network.as_ref());
    let mut ips = Vec::new();
    if let Some(network) = network.filter(|network| !network.ip.is_empty()) {
        ips.push(network.ip.clone());
        ips.extend(network.additional_ips.iter().map(|ip| ip.ip.clone()));
    }
    Sandbox {
        id: listed.id.clone(),
        attempt: listed.metadata.as_ref().map_or(0, |metadata| metadata.attempt),
        ready: listed.state() == api::PodSandboxState::SandboxReady,
        created_at: listed.created_at,
        ips,
    }
}

/// From CRI's status of a container.
pub(crate) fn container(listed: &api::Container, status: api::ContainerStatus) -> ContainerState {
    let annotation = |name: &str| status.annotations.get(name).or_else(|| listed.annotations.get(name));
    let user = status.user.as_ref().and_then(|user| user.linux.as_ref());
    let state = match status.state() {
        api::ContainerState::ContainerCreated => State::Created,
        api::ContainerState::ContainerRunning => State::Running,
        api::ContainerState::ContainerExited => State::Exited,
        api::ContainerState::ContainerUnknown => State::Unknown,
    };
    let image_id = if status.image_ref.is_empty() { status.image_id.clone() } else { status.image_ref.clone() };
    ContainerState {
        id: listed.id.clone(),
        sandbox_id: listed.pod_sandbox_id.clone(),
        name: label(&listed.labels, labels::CONTAINER_NAME)
            .unwrap_or_else(|| listed.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default()),
        state,
        created_at: status.created_at,
        started_at: status.started_at,
        finished_at: status.finished_at,
        exit_code: status.exit_code,
        hash: annotation(labels::HASH).cloned().unwrap_or_default(),
        restart_count: annotation(labels::RESTART_COUNT).and_then(|count| count.parse().ok()).unwrap_or(0),
        termination_grace: annotation(labels::POD_TERMINATION_GRACE).and_then(|seconds| seconds.parse().ok()),
        pre_stop: annotation(labels::PRE_STOP_HANDLER).cloned(),
        resources: annotation(labels::RESOURCES).and_then(|json| serde_json::from_str(json).ok()),
        image: status.image.as_ref().map(|image| image.image.clone()).unwrap_or_default(),
        image_id,
        user: user.map(|user| (user.uid, user.gid, user.supplemental_groups.clone())),
        reason: status.reason,
        message: status.message,
        log_path: status.log_path,
    }
}

pub(crate) fn label(labels: &HashMap<String, String>, name: &str) -> Option<String> {
    labels.get(name).cloned()
}
