//! One step towards what a pod's spec says. Upstream: `Kubelet.SyncPod`, `kubeGenericRuntimeManager.SyncPod`.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use super::admission::admit;
use super::worker::{Local, Next};
use crate::kubelet::Kubelet;
use crate::kuberuntime::actions::{PodActions, pod_actions};
use crate::kuberuntime::backoff::{Verdict, go_duration};
use crate::kuberuntime::inspect;
use crate::kuberuntime::start::StartContext;
use crate::kuberuntime::state::{PodRuntime, State};
use crate::pod::objects::Kind as ObjectKind;
use crate::pod::{Kind, PodExt, env};
use crate::status::generate::Waiting;
use crate::volume::VolumeManager;

/// How soon a failed pull shows as backing off.
const AFTER_PULL_ERROR: Duration = Duration::from_secs(1);

impl Kubelet {
    /// Looks at the runtime, reports, and does what can be done now.
    pub(super) async fn sync_pod(self: &Arc<Self>, pod: &Arc<Pod>, local: &mut Local) -> Next {
        let runtime = match inspect(&self.cri, pod.uid(), &mut local.cache).await {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::debug!(%error, pod = pod.name(), "runtime does not answer");
                return Next::Retry;
            }
        };
        if !local.admitted {
            if runtime.sandboxes.is_empty()
                && let Err(refusal) = admit(pod, &self.admission_view(pod))
            {
                tracing::info!(pod = pod.name(), reason = %refusal.reason, "pod is refused");
                self.recorder.warning(&self.recorder.pod(pod), &refusal.reason, &refusal.message);
                local.failed = Some((refusal.reason, format!("Pod was rejected: {}", refusal.message)));
                return Next::Terminate;
            }
            local.admitted = true;
            self.update_qos_cgroups();
        }
        let deadline = match self.deadline(pod) {
            Some(Ok(at)) => Some(at),
            Some(Err(())) => {
                let message = "Pod was active on the node longer than the specified deadline";
                self.recorder.normal(&self.recorder.pod(pod), "DeadlineExceeded", message);
                local.failed = Some(("DeadlineExceeded".into(), message.into()));
                return Next::Terminate;
            }
            None => None,
        };
        local.prober.sync(self, pod, &runtime, false);
        self.note_resources(pod, local, &runtime);
        let actions = pod_actions(pod, &runtime, &local.prober.results());
        forget_old_reasons(pod, local, &runtime);
        let phase = self.report(pod, local, &runtime, false);
        if actions.is_empty() {
            if matches!(phase.as_deref(), Some("Succeeded" | "Failed")) {
                return Next::Terminate;
            }
            if let Some(next) = self.resize(pod, local, &runtime).await {
                return next;
            }
            self.prune_pod(&runtime).await;
            if local.volumes_due && !self.refresh_volumes(pod, local, &runtime).await {
                return Next::Retry;
            }
            return Next::Sleep(deadline);
        }
        let next = Box::pin(self.apply(pod, local, &runtime, actions)).await;
        match (next, deadline) {
            (Next::Sleep(Some(at)), Some(deadline)) => Next::Sleep(Some(at.min(deadline))),
            (Next::Sleep(None), Some(deadline)) => Next::Sleep(Some(deadline)),
            (next, _) => next,
        }
    }

    /// When the pod must have ended; `Err` when that is over.
    fn deadline(&self, pod: &Pod) -> Option<Result<Instant, ()>> {
        let seconds = pod.spec().active_deadline_seconds?;
        let started = pod.status().start_time.as_ref()?.0;
        let left = seconds - jiff::Timestamp::now().duration_since(started).as_secs();
        Some(if left <= 0 {
            Err(())
        } else {
            Ok(Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0)))
        })
    }

    async fn apply(
        self: &Arc<Self>,
        pod: &Arc<Pod>,
        local: &mut Local,
        runtime: &PodRuntime,
        actions: PodActions,
    ) -> Next {
        if actions.kill_pod {
            if actions.create_sandbox.is_some() {
                let message = "Pod sandbox changed, it will be killed and re-created.";
                self.recorder.normal(&self.recorder.pod(pod), "SandboxChanged", message);
            }
            if let Err(error) = self.kill_pod(Some(pod), runtime, None).await {
                tracing::warn!(%error, pod = pod.name(), "pod is not stopped yet");
                return Next::Retry;
            }
            if actions.create_sandbox.is_none() {
                return Next::Again;
            }
            self.remove_empty_sandboxes(runtime).await;
        }
        for kill in &actions.kill {
            let Some(state) = runtime.containers.iter().find(|state| state.id == kill.id) else { continue };
            let ip = runtime.ips().first().cloned().unwrap_or_default();
            let stopped = match state.state {
                // Nothing runs in it; out of the way it goes.
                State::Created => self.cri.remove_container(&state.id).await,
                _ => self.kill_container(Some(pod), state, &kill.message, kill.grace, None, &ip).await,
            };
            if let Err(error) = stopped {
                tracing::warn!(%error, container = %kill.name, "container is not stopped yet");
                return Next::Retry;
            }
        }
        if actions.start.is_empty() && actions.create_sandbox.is_none() {
            return Next::Again;
        }
        let due = self.due_starts(pod, local, runtime, &actions);
        if due.names.is_empty() && actions.create_sandbox.is_none() {
            self.report(pod, local, runtime, false);
            return if actions.kill.is_empty() { Next::Sleep(due.retry_at) } else { Next::Again };
        }
        if !pod.host_network()
            && let Some(problem) = self.network_problem()
        {
            let message = format!("network is not ready: {problem}");
            self.complain(pod, local, "NetworkNotReady", &message);
            return Next::Retry;
        }
        self.start_all(pod, local, runtime, &actions, due).await
    }

    /// Volumes, sandbox, then the containers that are due.
    async fn start_all(
        self: &Arc<Self>,
        pod: &Arc<Pod>,
        local: &mut Local,
        runtime: &PodRuntime,
        actions: &PodActions,
        due: Due,
    ) -> Next {
        if let Err(error) = self.cgroups.ensure_pod(pod) {
            let message = format!("unable to ensure pod container exists: {error}");
            self.complain(pod, local, "FailedCreatePodContainer", &message);
            return Next::Retry;
        }
        if !self.refresh_volumes(pod, local, runtime).await {
            return Next::Retry;
        }
        let attempt = actions
            .create_sandbox
            .or_else(|| runtime.ready_sandbox().map(|sandbox| sandbox.attempt))
            .unwrap_or_default();
        let config = match self.sandbox_config(pod, attempt) {
            Ok(config) => config,
            Err(error) => {
                self.complain(pod, local, "FailedCreatePodSandBox", &error.message);
                return Next::Retry;
            }
        };
        let (sandbox_id, pod_ips) = if actions.create_sandbox.is_some() {
            match self.create_sandbox(pod, &config).await {
                Ok(created) => created,
                Err(error) => {
                    self.complain(
                        pod,
                        local,
                        "FailedCreatePodSandBox",
                        &format!("Failed to create pod sandbox: {error}"),
                    );
                    return Next::Retry;
                }
            }
        } else {
            match runtime.ready_sandbox() {
                Some(sandbox) => (sandbox.id.clone(), sandbox.ips.clone()),
                None => return Next::Again,
            }
        };
        local.last_complaint.clear();
        let pod_ips = if pod.host_network() { self.host_ips.clone() } else { pod_ips };
        let volumes = local.volumes.clone().unwrap_or_default();
        let context = StartContext {
            pod,
            sandbox_id,
            sandbox: config,
            pod_ips,
            volumes: &volumes,
            pull_secrets: self.pull_secrets(pod).await,
            runtime,
        };
        let mut started = actions.create_sandbox.is_some() || actions.kill_pod || !actions.kill.is_empty();
        let mut retry_at = due.retry_at;
        for (kind, name) in &due.names {
            let Some((_, container)) = pod.container(name) else { continue };
            match self.start_container(&context, *kind, &container).await {
                Ok(()) => {
                    local.waiting.remove(name);
                    started = true;
                }
                Err(error) => {
                    let again_in = error.retry_in.unwrap_or(match error.reason {
                        "ErrImagePull" => AFTER_PULL_ERROR,
                        _ => Duration::from_secs(5),
                    });
                    tracing::info!(pod = pod.name(), container = %name, reason = error.reason, message = %error.message, "container is not started");
                    if error.reason == "CreateContainerConfigError" {
                        self.follow(pod, true);
                    }
                    let waiting = Waiting { reason: error.reason.into(), message: error.message };
                    local.waiting.insert(name.clone(), waiting);
                    let at = Instant::now() + again_in;
                    retry_at = Some(retry_at.map_or(at, |before| before.min(at)));
                    // A container that was made and failed to start is an end like any other: it backs off.
                    started |= matches!(error.reason, "RunContainerError" | "PostStartHookError");
                }
            }
        }
        if started {
            return Next::Again;
        }
        self.report(pod, local, runtime, false);
        Next::Sleep(retry_at)
    }

    /// The containers of the plan that are not backing off, and when the first of the others is due.
    fn due_starts(&self, pod: &Pod, local: &mut Local, runtime: &PodRuntime, actions: &PodActions) -> Due {
        let now = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let mut due = Due { names: Vec::new(), retry_at: None };
        for (kind, name) in &actions.start {
            let unhealthy = actions.kill.iter().any(|kill| kill.name == *name && kill.unhealthy);
            let ended_at = match runtime.newest(name) {
                Some(_) if unhealthy => Some(now),
                Some(state) if state.state == State::Exited => Some(state.finished_at),
                _ => None,
            };
            let Some(ended_at) = ended_at else {
                due.names.push((*kind, name.clone()));
                continue;
            };
            match local.crash.attempt(name, ended_at, now) {
                Verdict::Go => due.names.push((*kind, name.clone())),
                Verdict::Wait(left, delay) => {
                    let full = format!("{}_{}({})", pod.name(), pod.namespace(), pod.uid());
                    let message =
                        format!("back-off {} restarting failed container={name} pod={full}", go_duration(delay));
                    let about = self.recorder.container(pod, name);
                    let event = format!("Back-off restarting failed container {name} in pod {full}");
                    self.recorder.warning(&about, "BackOff", &event);
                    let waiting = Waiting { reason: "CrashLoopBackOff".into(), message };
                    local.waiting.insert(name.clone(), waiting);
                    let at = Instant::now() + left;
                    due.retry_at = Some(due.retry_at.map_or(at, |before| before.min(at)));
                }
            }
        }
        due
    }

    /// Makes the volumes or brings them up to date; false when that failed.
    async fn refresh_volumes(self: &Arc<Self>, pod: &Arc<Pod>, local: &mut Local, runtime: &PodRuntime) -> bool {
        let dir = self.config.pod_dir(pod.uid());
        if let Err(error) = std::fs::create_dir_all(&dir) {
            self.complain(pod, local, "Failed", &format!("error making pod data directories: {error}"));
            return false;
        }
        let ips = if pod.host_network() { self.host_ips.clone() } else { runtime.ips().to_vec() };
        self.follow(pod, false);
        match self.volumes.set_up(pod, &self.node_facts(), &ips).await {
            Ok(volumes) => {
                local.volumes = Some(volumes);
                local.volumes_due = false;
                local.refresh_at = self.next_refresh(pod);
                true
            }
            Err(error) => {
                self.complain(pod, local, "FailedMount", &error.to_string());
                false
            }
        }
    }

    /// When volumes are looked at again without a sign: renewed tokens, annotations, and what a watch may have missed.
    fn next_refresh(&self, pod: &Pod) -> Option<Instant> {
        if !VolumeManager::changes(pod) {
            return None;
        }
        let periodic = Instant::now() + self.config.sync_frequency * 10;
        let token = self.volumes.next_refresh(pod).map(|at| {
            let left = at.duration_since(jiff::Timestamp::now());
            Instant::now() + Duration::try_from(left).unwrap_or_default()
        });
        Some(token.map_or(periodic, |token| token.min(periodic)))
    }

    /// Follows what the pod's volumes show, and while a container cannot start what its environment needs.
    fn follow(&self, pod: &Pod, with_environment: bool) {
        let mut references = VolumeManager::references(pod);
        if with_environment {
            for container in pod.containers().iter().chain(pod.init_containers()) {
                let needs = env::needs(container);
                references.extend(needs.config_maps.into_iter().map(|name| (ObjectKind::ConfigMap, name)));
                references.extend(needs.secrets.into_iter().map(|name| (ObjectKind::Secret, name)));
            }
        }
        self.objects.follow(pod.uid(), pod.namespace(), &references);
    }

    /// Tells of a failure once, until it is another.
    fn complain(&self, pod: &Pod, local: &mut Local, reason: &str, message: &str) {
        tracing::info!(pod = pod.name(), namespace = pod.namespace(), reason, message, "pod is held up");
        if local.last_complaint != message || local.retries.is_multiple_of(4) {
            self.recorder.warning(&self.recorder.pod(pod), reason, message);
            local.last_complaint = message.to_owned();
        }
    }
}

/// What can be started now.
struct Due {
    names: Vec<(Kind, String)>,
    retry_at: Option<Instant>,
}

/// A container that runs waits for nothing.
fn forget_old_reasons(pod: &Pod, local: &mut Local, runtime: &PodRuntime) {
    local.waiting.retain(|name, _| {
        pod.container(name).is_some() && runtime.active(name).is_none_or(|state| state.state != State::Running)
    });
}
