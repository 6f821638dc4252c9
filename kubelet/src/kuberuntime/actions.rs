//! The plan: what has to be done so that a pod's containers become what its spec says. Upstream: `computePodActions`.
//!
//! [`pod_actions`] is pure. It is asked again after every step and every event, so it only ever says what can be done now:
//! the first init container, then the next one, then all the others.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, Pod};

use super::labels::container_hash;
use super::state::{ContainerState, PodRuntime, State};
use crate::pod::{Kind, PodExt, RestartPolicy, is_sidecar, restarts_after};

/// What probes have found out, by container id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProbeResults {
    /// Containers that failed their liveness probe.
    pub(crate) not_alive: Vec<String>,
    /// Containers that failed their startup probe.
    pub(crate) not_started_in_time: Vec<String>,
    /// Containers whose startup probe has succeeded.
    pub(crate) started: Vec<String>,
    /// Containers whose readiness probe succeeds.
    pub(crate) ready: Vec<String>,
    /// Containers whose postStart hook has not returned.
    pub(crate) starting: Vec<String>,
}

impl ProbeResults {
    /// Whether a container counts as started. Upstream: `UpdatePodStatus`.
    pub(crate) fn is_started(&self, container: &Container, state: &ContainerState) -> bool {
        state.state == State::Running
            && !self.starting.contains(&state.id)
            && (container.startup_probe.is_none() || self.started.contains(&state.id))
    }

    /// Whether a container counts as ready.
    pub(crate) fn is_ready(&self, container: &Container, state: &ContainerState) -> bool {
        self.is_started(container, state) && (container.readiness_probe.is_none() || self.ready.contains(&state.id))
    }
}

/// A container to be stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) message: String,
    /// Seconds, where a probe brings its own.
    pub(crate) grace: Option<i64>,
    /// It failed a probe: its restart backs off like one after a crash.
    pub(crate) unhealthy: bool,
}

/// The plan for one pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PodActions {
    /// Stop everything, the sandbox included, before anything else.
    pub(crate) kill_pod: bool,
    /// Then create a sandbox with this attempt number.
    pub(crate) create_sandbox: Option<u32>,
    /// Containers to stop.
    pub(crate) kill: Vec<Kill>,
    /// Containers to start, in this order.
    pub(crate) start: Vec<(Kind, String)>,
}

impl PodActions {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The plan. `probes` holds what is known of the running containers.
pub(crate) fn pod_actions(pod: &Pod, runtime: &PodRuntime, probes: &ProbeResults) -> PodActions {
    let Some(sandbox) = usable_sandbox(pod, runtime) else {
        return with_new_sandbox(pod, runtime);
    };
    let mut actions = PodActions::default();
    // Several ready sandboxes: a kubelet before us crashed in between. Only the newest is used.
    if runtime.sandboxes.iter().filter(|sandbox| sandbox.ready).count() > 1 {
        return PodActions { kill_pod: true, create_sandbox: Some(sandbox + 1), ..actions };
    }
    let initialized = init_actions(pod, runtime, probes, &mut actions);
    if actions.kill_pod {
        return actions;
    }
    let mut kept = 0;
    if initialized {
        for container in pod.containers() {
            kept += usize::from(regular_action(pod, container, runtime, probes, &mut actions));
        }
        if kept == 0 && !actions.start.iter().any(|(kind, _)| *kind == Kind::Regular) {
            // Nothing runs and nothing will: the sandbox and the sidecars go too.
            return if nothing_left(runtime) {
                PodActions::default()
            } else {
                PodActions { kill_pod: true, ..PodActions::default() }
            };
        }
    }
    for container in pod.ephemeral_containers() {
        if runtime.newest(&container.name).is_none() {
            actions.start.push((Kind::Ephemeral, container.name.clone()));
        }
    }
    actions
}

/// Whether killing the pod would change nothing.
fn nothing_left(runtime: &PodRuntime) -> bool {
    runtime.alive().next().is_none() && !runtime.sandboxes.iter().any(|sandbox| sandbox.ready)
}

/// The attempt number of the sandbox in use; none when a new one is needed. Upstream: `PodSandboxChanged`.
fn usable_sandbox(pod: &Pod, runtime: &PodRuntime) -> Option<u32> {
    let sandbox = runtime.ready_sandbox()?;
    (pod.host_network() || !sandbox.ips.is_empty()).then_some(sandbox.attempt)
}

fn with_new_sandbox(pod: &Pod, runtime: &PodRuntime) -> PodActions {
    let attempt = runtime.sandboxes.first().map_or(0, |sandbox| sandbox.attempt + 1);
    let stop_only = |runtime: &PodRuntime| {
        if nothing_left(runtime) {
            PodActions::default()
        } else {
            PodActions { kill_pod: true, ..PodActions::default() }
        }
    };
    // A pod that ran once and must not run again is not given a second sandbox.
    if pod.restart_policy() == RestartPolicy::Never && attempt != 0 && !runtime.containers.is_empty() {
        return stop_only(runtime);
    }
    let over = |container: &Container| {
        runtime.newest(&container.name).is_some_and(|state| {
            state.state == State::Exited && !restarts_after(container, pod.restart_policy(), state.exit_code)
        })
    };
    if attempt != 0 && pod.containers().iter().all(over) {
        return stop_only(runtime);
    }
    let mut actions = PodActions {
        kill_pod: runtime.alive().next().is_some() || !runtime.sandboxes.is_empty(),
        create_sandbox: Some(attempt),
        ..PodActions::default()
    };
    match pod.init_containers().first() {
        Some(first) => actions.start.push((Kind::Init, first.name.clone())),
        None => {
            let regular = pod.containers().iter().filter(|container| attempt == 0 || !over(container));
            actions.start.extend(regular.map(|container| (Kind::Regular, container.name.clone())));
        }
    }
    actions
}

/// Plans the init containers; true when the regular ones may run.
fn init_actions(pod: &Pod, runtime: &PodRuntime, probes: &ProbeResults, actions: &mut PodActions) -> bool {
    let initialized = pod.containers().iter().any(|container| runtime.active(&container.name).is_some());
    for container in pod.init_containers() {
        let state = runtime.active(&container.name);
        if is_sidecar(container) {
            let running = sidecar_action(container, state, probes, actions);
            if !initialized && !running {
                return false;
            }
            continue;
        }
        if initialized {
            continue;
        }
        match state {
            None => {
                actions.start.push((Kind::Init, container.name.clone()));
                return false;
            }
            Some(state) => match state.state {
                State::Exited if state.exit_code == 0 => {}
                State::Exited => {
                    if restarts_after(container, pod.restart_policy(), state.exit_code) {
                        actions.start.push((Kind::Init, container.name.clone()));
                    } else {
                        *actions = PodActions { kill_pod: !nothing_left(runtime), ..PodActions::default() };
                    }
                    return false;
                }
                State::Running => {
                    if let Some(kill) = unhealthy(container, state, probes) {
                        actions.kill.push(kill);
                    }
                    return false;
                }
                State::Created | State::Unknown => {
                    actions.kill.push(stuck(container, state));
                    actions.start.push((Kind::Init, container.name.clone()));
                    return false;
                }
            },
        }
    }
    true
}

/// Plans a sidecar; true when it has started and what follows it may go on.
fn sidecar_action(
    container: &Container,
    state: Option<&ContainerState>,
    probes: &ProbeResults,
    actions: &mut PodActions,
) -> bool {
    match state {
        Some(state) if state.state == State::Running => {
            if let Some(kill) = changed(container, state).or_else(|| unhealthy(container, state, probes)) {
                actions.kill.push(kill);
                actions.start.push((Kind::Init, container.name.clone()));
                return false;
            }
            probes.is_started(container, state)
        }
        Some(state) => {
            if state.state != State::Exited {
                actions.kill.push(stuck(container, state));
            }
            actions.start.push((Kind::Init, container.name.clone()));
            false
        }
        None => {
            actions.start.push((Kind::Init, container.name.clone()));
            false
        }
    }
}

/// Plans a regular container; true when it is kept running.
fn regular_action(
    pod: &Pod,
    container: &Container,
    runtime: &PodRuntime,
    probes: &ProbeResults,
    actions: &mut PodActions,
) -> bool {
    let start = (Kind::Regular, container.name.clone());
    let Some(state) = runtime.active(&container.name) else {
        actions.start.push(start);
        return false;
    };
    match state.state {
        State::Running => {
            if let Some(kill) = changed(container, state) {
                actions.kill.push(kill);
                actions.start.push(start);
                return false;
            }
            if let Some(mut kill) = unhealthy(container, state, probes) {
                if restarts_after(container, pod.restart_policy(), 137) {
                    kill.message.push_str(", will be restarted");
                    actions.start.push(start);
                }
                actions.kill.push(kill);
                return false;
            }
            true
        }
        State::Exited => {
            if restarts_after(container, pod.restart_policy(), state.exit_code) {
                actions.start.push(start);
            }
            false
        }
        State::Created | State::Unknown => {
            actions.kill.push(stuck(container, state));
            actions.start.push(start);
            false
        }
    }
}

fn changed(container: &Container, state: &ContainerState) -> Option<Kill> {
    (!state.hash.is_empty() && state.hash != container_hash(container)).then(|| Kill {
        id: state.id.clone(),
        name: container.name.clone(),
        message: format!("Container {} definition changed, will be restarted", container.name),
        grace: None,
        unhealthy: false,
    })
}

fn unhealthy(container: &Container, state: &ContainerState, probes: &ProbeResults) -> Option<Kill> {
    let (probe, kind) = if probes.not_alive.contains(&state.id) {
        (&container.liveness_probe, "liveness")
    } else if probes.not_started_in_time.contains(&state.id) {
        (&container.startup_probe, "startup")
    } else {
        return None;
    };
    Some(Kill {
        id: state.id.clone(),
        name: container.name.clone(),
        message: format!("Container {} failed {kind} probe", container.name),
        grace: probe.as_ref().and_then(|probe| probe.termination_grace_period_seconds),
        unhealthy: true,
    })
}

/// Created and never started, or lost by the runtime: an attempt that was cut off.
fn stuck(container: &Container, state: &ContainerState) -> Kill {
    Kill {
        id: state.id.clone(),
        name: container.name.clone(),
        message: format!("Container {} is in unknown state, try killing it before restart", container.name),
        grace: Some(0),
        unhealthy: false,
    }
}

/// The sequence in which a pod's containers are stopped: all but the sidecars at once, then the sidecars one by one, last first.
pub(crate) fn kill_order(pod: Option<&Pod>, runtime: &PodRuntime) -> Vec<Vec<ContainerState>> {
    let sidecars: HashMap<&str, usize> = pod
        .map(|pod| pod.init_containers())
        .unwrap_or_default()
        .iter()
        .enumerate()
        .filter(|(_, container)| is_sidecar(container))
        .map(|(index, container)| (container.name.as_str(), index))
        .collect();
    let (mut last, first): (Vec<_>, Vec<_>) =
        runtime.alive().cloned().partition(|state| sidecars.contains_key(state.name.as_str()));
    last.sort_by_key(|state| std::cmp::Reverse(sidecars.get(state.name.as_str()).copied()));
    let mut steps = Vec::new();
    if !first.is_empty() {
        steps.push(first);
    }
    steps.extend(last.into_iter().map(|state| vec![state]));
    steps
}
