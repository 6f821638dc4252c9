//! Stopping containers and whole pods, in order and with their grace. Upstream: `killContainer`, `killPodWithSyncResult`.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{LifecycleHandler, Pod};
use tokio::time::Instant;

use super::actions::kill_order;
use super::state::{ContainerState, PodRuntime};
use super::{hooks, labels};
use crate::kubelet::Kubelet;
use crate::pod::PodExt;

/// Even a pod deleted with grace 0 or 1 is not killed without a moment. Upstream: `minimumGracePeriodInSeconds`.
const LEAST_GRACE: i64 = 2;

impl Kubelet {
    /// Stops one container: preStop first, then its stop signal, then SIGKILL when the grace is over. Idempotent; cancelled, it can be
    /// called again with a shorter grace.
    pub(crate) async fn kill_container(
        &self,
        pod: Option<&Pod>,
        state: &ContainerState,
        message: &str,
        grace_override: Option<i64>,
        deadline: Option<Instant>,
        pod_ip: &str,
    ) -> Result<(), cri::Error> {
        let own = grace_override.or_else(|| pod.map(PodExt::grace_period)).or(state.termination_grace).unwrap_or(30);
        let mut left = Duration::from_secs(u64::try_from(own.max(0)).unwrap_or(0));
        if let Some(deadline) = deadline {
            left = left.min(deadline.saturating_duration_since(Instant::now()));
        }
        if let Some(pod) = pod {
            let about = self.recorder.container(pod, &state.name);
            self.recorder.normal(&about, "Killing", message);
        }
        let spec = pod.and_then(|pod| pod.container(&state.name)).map(|(_, container)| container);
        let hook = spec
            .as_ref()
            .and_then(|container| container.lifecycle.as_ref())
            .and_then(|lifecycle| lifecycle.pre_stop.clone())
            .or_else(|| state.pre_stop.as_ref().and_then(|json| serde_json::from_str::<LifecycleHandler>(json).ok()));
        if let Some(hook) = hook.filter(|_| !left.is_zero() && state.state == super::state::State::Running) {
            let began = Instant::now();
            let run = hooks::run(&self.cri, &state.id, spec.as_ref(), &hook, pod_ip);
            match tokio::time::timeout(left, run).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::info!(%error, container = %state.name, "preStop hook failed");
                    if let Some(pod) = pod {
                        let about = self.recorder.container(pod, &state.name);
                        self.recorder.warning(&about, "FailedPreStopHook", "PreStopHook failed");
                    }
                }
                Err(_) => tracing::info!(container = %state.name, "preStop hook used up the grace period"),
            }
            left = left.saturating_sub(began.elapsed());
        }
        if grace_override.is_none() {
            left = left.max(Duration::from_secs(LEAST_GRACE.unsigned_abs()));
        }
        self.cri.stop_container(&state.id, left).await
    }

    /// Stops all of a pod's containers, sidecars last, then its sandboxes.
    pub(crate) async fn kill_pod(
        &self,
        pod: Option<&Pod>,
        runtime: &PodRuntime,
        grace_override: Option<i64>,
    ) -> Result<(), cri::Error> {
        let ip = runtime.ips().first().cloned().unwrap_or_default();
        let grace = grace_override.or_else(|| pod.map(PodExt::grace_period));
        let deadline =
            grace.map(|grace| Instant::now() + Duration::from_secs(u64::try_from(grace.max(0)).unwrap_or(0)));
        let mut failed = None;
        for step in kill_order(pod, runtime) {
            let kills = step.iter().map(|state| {
                let message = format!("Stopping container {}", state.name);
                let ip = ip.clone();
                async move { self.kill_container(pod, state, &message, grace_override, deadline, &ip).await }
            });
            for result in join_all(kills).await {
                failed = failed.or(result.err());
            }
        }
        for sandbox in &runtime.sandboxes {
            if let Err(error) = self.cri.stop_pod_sandbox(&sandbox.id).await {
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Removes what the runtime still has of a pod whose processes have ended.
    pub(crate) async fn remove_pod_from_runtime(&self, runtime: &PodRuntime) -> Result<(), cri::Error> {
        for container in &runtime.containers {
            self.cri.remove_container(&container.id).await?;
        }
        for sandbox in &runtime.sandboxes {
            self.cri.stop_pod_sandbox(&sandbox.id).await?;
            self.cri.remove_pod_sandbox(&sandbox.id).await?;
        }
        Ok(())
    }

    /// Takes down a pod that the API does not know: one force-deleted while no kubelet ran.
    pub(crate) async fn kill_orphan(&self, uid: &str) -> Result<(), cri::Error> {
        let runtime = super::inspect(&self.cri, uid, &mut super::Cache::default()).await?;
        let grace = runtime.containers.first().and_then(|container| container.termination_grace);
        tracing::info!(pod.uid = %uid, containers = runtime.containers.len(), "removing a pod that the API does not have");
        self.kill_pod(None, &runtime, grace).await?;
        let names = self.orphan_names(uid).await;
        self.remove_pod_from_runtime(&runtime).await?;
        if let Some((namespace, name)) = names {
            self.remove_logs(&namespace, &name, uid);
        }
        self.release_node_resources(uid).await;
        Ok(())
    }

    async fn orphan_names(&self, uid: &str) -> Option<(String, String)> {
        let label_selector = [(labels::POD_UID.to_owned(), uid.to_owned())].into();
        let filter = cri::api::PodSandboxFilter { label_selector, ..Default::default() };
        let listed = self.cri.list_pod_sandbox(Some(filter)).await.ok()?;
        let metadata = listed.first()?.metadata.clone()?;
        Some((metadata.namespace, metadata.name))
    }

    /// Removes a pod's volumes, directory and cgroup. What cannot be removed now is tried again when the kubelet starts.
    pub(crate) async fn release_node_resources(&self, uid: &str) {
        if let Err(error) = self.volumes.tear_down(uid).await {
            tracing::warn!(%error, pod.uid = %uid, "pod directory is not removed yet");
        }
        if let Err(error) = self.cgroups.remove_pod(uid) {
            tracing::warn!(%error, pod.uid = %uid, "pod cgroup is not removed yet");
        }
    }

    /// Removes a pod's log folder and the links to it.
    pub(crate) fn remove_logs(&self, namespace: &str, name: &str, uid: &str) {
        let dir = self.config.pod_log_dir(namespace, name, uid);
        if let Err(error) = std::fs::remove_dir_all(&dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, dir = %dir.display(), "log folder is not removed");
        }
        if let Some(links) = &self.config.container_logs_dir {
            let prefix = format!("{name}_{namespace}_");
            for entry in std::fs::read_dir(links).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&prefix) && std::fs::metadata(entry.path()).is_err()
                {
                    let _ = std::fs::remove_file(entry.path());
                }
            }
        }
    }
}
