//! Carries out a resize: the pod's cgroup and its containers, or a restart where a container wants one.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};

use super::worker::{Local, Next};
use crate::container_manager::limits;
use crate::kubelet::Kubelet;
use crate::kuberuntime::resize::{resizes, room};
use crate::kuberuntime::state::PodRuntime;
use crate::pod::PodExt;

/// Why a resize is not done: type, reason and message of its condition.
pub(crate) type ResizeCondition = (&'static str, &'static str, String);

impl Kubelet {
    /// Notes what containers run with that were started or found since the last look.
    pub(super) fn note_resources(&self, pod: &Pod, local: &mut Local, runtime: &PodRuntime) {
        local.applied.retain(|id, _| runtime.containers.iter().any(|state| state.id == *id));
        for state in runtime.alive() {
            if !local.applied.contains_key(&state.id) {
                let spec = pod.container(&state.name).and_then(|(_, container)| container.resources);
                let known = state.resources.clone().or(spec).unwrap_or_default();
                local.applied.insert(state.id.clone(), known);
            }
        }
    }

    /// Resizes what has to be; none when nothing has.
    pub(super) async fn resize(
        self: &Arc<Self>,
        pod: &Arc<Pod>,
        local: &mut Local,
        runtime: &PodRuntime,
    ) -> Option<Next> {
        let todo = resizes(pod, runtime, |state| local.applied.get(&state.id));
        if todo.is_empty() {
            local.resize = None;
            return None;
        }
        if let Err((reason, message)) = room(pod, &self.admission_view(pod)) {
            if local.resize.as_ref().is_none_or(|(_, before, _)| *before != reason) {
                let event = if reason == "Infeasible" { "ResizeInfeasible" } else { "ResizeDeferred" };
                self.recorder.warning(&self.recorder.pod(pod), event, &message);
            }
            local.resize = Some(("PodResizePending", reason, message));
            self.report(pod, local, runtime, false);
            return None;
        }
        local.resize = Some(("PodResizeInProgress", "", String::new()));
        self.report(pod, local, runtime, false);
        // A parent must allow what its children have: first for what grows, then for what shrinks.
        let before = self.cgroups.ensure_pod(pod);
        for resize in todo {
            let Some((_, container)) = pod.container(&resize.name) else { continue };
            if resize.restart {
                let Some(state) = runtime.containers.iter().find(|state| state.id == resize.id) else { continue };
                let message = format!("Container {} resize requires restart", resize.name);
                let ip = runtime.ips().first().cloned().unwrap_or_default();
                if let Err(error) = self.kill_container(Some(pod), state, &message, None, None, &ip).await {
                    tracing::warn!(%error, container = %resize.name, "container is not stopped yet");
                    return Some(Next::Retry);
                }
                continue;
            }
            let mut resources =
                limits::of_cri_container(pod, &container, self.cgroups.cpu_quota, self.cgroups.memory_capacity);
            if resources.cpu_quota == 0 {
                resources.cpu_quota = -1;
            }
            if let Err(error) = self.cri.update_container_resources(&resize.id, resources).await {
                let message = format!("{}: {}", resize.name, error.message());
                self.recorder.warning(&self.recorder.pod(pod), "ResizeError", &message);
                local.resize = Some(("PodResizeInProgress", "Error", message));
                self.report(pod, local, runtime, false);
                return Some(Next::Retry);
            }
            let now: ResourceRequirements = container.resources.clone().unwrap_or_default();
            local.applied.insert(resize.id, now);
        }
        if let Err(error) = self.cgroups.ensure_pod(pod).or(before) {
            tracing::warn!(%error, pod = pod.name(), "pod cgroup is not resized");
        }
        self.update_qos_cgroups();
        local.resize = None;
        Some(Next::Again)
    }
}
