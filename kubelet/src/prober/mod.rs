//! Liveness, readiness and startup probes: one task a probe of a running container. Upstream: `kubelet/prober`.
//!
//! [`PodProber`] belongs to a pod's worker, which tells it what runs; a result that counts wakes the worker at once. Results live in
//! memory only: after a restart of the kubelet readiness starts from what the API last said, so that no Service loses its endpoints.

pub(crate) mod counter;
mod grpc;
pub(crate) mod http;
pub(crate) mod ports;
mod run;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use component::Shutdown;
use k8s_openapi::api::core::v1::{Container, Pod, Probe};

use crate::kubelet::Kubelet;
use crate::kuberuntime::actions::ProbeResults;
use crate::kuberuntime::state::{ContainerState, PodRuntime, State};
use crate::pod::{PodExt, is_sidecar};

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ProbeType {
    Liveness,
    Readiness,
    Startup,
}

impl ProbeType {
    /// As it begins upstream's messages.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
            Self::Startup => "Startup",
        }
    }

    fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
            Self::Startup => container.startup_probe.as_ref(),
        }
    }
}

/// Container id and type to the latest verdict.
type Verdicts = Arc<Mutex<HashMap<(String, ProbeType), bool>>>;

/// The probes of one pod.
#[derive(Debug)]
pub(crate) struct PodProber {
    verdicts: Verdicts,
    tasks: HashMap<(String, ProbeType), Shutdown>,
    wake: Arc<tokio::sync::Notify>,
}

impl PodProber {
    /// `wake` is notified when a verdict changes.
    pub(crate) fn new(wake: Arc<tokio::sync::Notify>) -> Self {
        Self { verdicts: Verdicts::default(), tasks: HashMap::new(), wake }
    }

    fn verdicts(&self) -> std::sync::MutexGuard<'_, HashMap<(String, ProbeType), bool>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts probing what runs now and stops probing what does not. `ending`: only readiness still matters.
    pub(crate) fn sync(&mut self, kubelet: &Arc<Kubelet>, pod: &Arc<Pod>, runtime: &PodRuntime, ending: bool) {
        let mut wanted: HashMap<(String, ProbeType), (Container, ContainerState)> = HashMap::new();
        let sidecars = pod.init_containers().iter().filter(|container| is_sidecar(container));
        for container in sidecars.chain(pod.containers()) {
            let Some(state) = runtime.active(&container.name).filter(|state| state.state == State::Running) else {
                continue;
            };
            let key = |kind| (state.id.clone(), kind);
            let has_started = container.startup_probe.is_none()
                || self.verdicts().get(&key(ProbeType::Startup)) == Some(&true)
                || self.was_started(pod, container, state, kubelet);
            if !has_started {
                if !ending {
                    wanted.insert(key(ProbeType::Startup), (container.clone(), state.clone()));
                }
                continue;
            }
            if container.readiness_probe.is_some() {
                self.remember_readiness(pod, container, state, kubelet);
                wanted.insert(key(ProbeType::Readiness), (container.clone(), state.clone()));
            }
            if container.liveness_probe.is_some() && !ending {
                wanted.insert(key(ProbeType::Liveness), (container.clone(), state.clone()));
            }
        }
        self.tasks.retain(|key, stop| {
            let keep = wanted.contains_key(key);
            if !keep {
                stop.cancel();
            }
            keep
        });
        let running: Vec<&str> = runtime.alive().map(|state| state.id.as_str()).collect();
        self.verdicts().retain(|(id, _), _| running.contains(&id.as_str()));
        for (key, (container, state)) in wanted {
            if self.tasks.contains_key(&key) {
                continue;
            }
            let stop = kubelet.shutdown.child_token();
            let target = run::Target {
                pod: pod.clone(),
                container,
                state,
                kind: key.1,
                pod_ip: kubelet.probe_address(pod, runtime),
            };
            let worker = run::worker(kubelet.clone(), target, self.verdicts.clone(), self.wake.clone());
            component::spawn_until("probe", &stop, worker);
            self.tasks.insert(key, stop);
        }
    }

    /// After a restart of the kubelet: a container the API calls started need not prove it again.
    fn was_started(&self, pod: &Pod, container: &Container, state: &ContainerState, kubelet: &Kubelet) -> bool {
        let known = self.of_api(pod, container, state, kubelet).is_some_and(|status| status.started == Some(true));
        if known {
            self.verdicts().entry((state.id.clone(), ProbeType::Startup)).or_insert(true);
        }
        known
    }

    /// After a restart of the kubelet: ready until a probe says otherwise.
    fn remember_readiness(&self, pod: &Pod, container: &Container, state: &ContainerState, kubelet: &Kubelet) {
        let key = (state.id.clone(), ProbeType::Readiness);
        if self.tasks.contains_key(&key) || self.verdicts().contains_key(&key) {
            return;
        }
        if self.of_api(pod, container, state, kubelet).is_some_and(|status| status.ready) {
            self.verdicts().insert(key, true);
        }
    }

    fn of_api<'a>(
        &self,
        pod: &'a Pod,
        container: &Container,
        state: &ContainerState,
        kubelet: &Kubelet,
    ) -> Option<&'a k8s_openapi::api::core::v1::ContainerStatus> {
        let id = kubelet.full_container_id(&state.id);
        pod.container_status(&container.name).filter(|status| status.container_id.as_deref() == Some(&id))
    }

    /// What is known now.
    pub(crate) fn results(&self) -> ProbeResults {
        let mut results = ProbeResults::default();
        for ((id, kind), good) in self.verdicts().iter() {
            let list = match (kind, good) {
                (ProbeType::Liveness, false) => &mut results.not_alive,
                (ProbeType::Startup, false) => &mut results.not_started_in_time,
                (ProbeType::Startup, true) => &mut results.started,
                (ProbeType::Readiness, true) => &mut results.ready,
                _ => continue,
            };
            list.push(id.clone());
        }
        results
    }

    /// Stops all probes.
    pub(crate) fn stop(&mut self) {
        for (_, stop) in self.tasks.drain() {
            stop.cancel();
        }
    }
}

impl Drop for PodProber {
    fn drop(&mut self) {
        self.stop();
    }
}
