//! The status of each container. Upstream: `convertToAPIContainerStatuses`.

use k8s_openapi::api::core::v1::{
    Container, ContainerState as ApiState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
    ContainerStatus, ContainerUser, LinuxContainerUser, Pod, VolumeMountStatus,
};

use super::generate::View;
use super::time;
use crate::kuberuntime::state::{ContainerState, State};
use crate::pod::{Kind, PodExt, is_sidecar, restarts_after};

/// The statuses of a list of containers.
pub(super) fn statuses(pod: &Pod, view: &View<'_>, kind: Kind, containers: &[Container]) -> Vec<ContainerStatus> {
    let mut statuses: Vec<_> = containers.iter().map(|container| one(pod, view, kind, container)).collect();
    if kind == Kind::Regular {
        statuses.sort_by(|a, b| a.name.cmp(&b.name));
    }
    statuses
}

fn one(pod: &Pod, view: &View<'_>, kind: Kind, container: &Container) -> ContainerStatus {
    let old = pod.container_status(&container.name);
    let mut instances = view.runtime.containers.iter().filter(|state| state.name == container.name);
    let newest = instances.next();
    let before = instances.next();
    let Some(newest) = newest else {
        return unknown_to_runtime(pod, view, kind, container, old);
    };
    let mut state = current(view, newest);
    let mut last = before.map(|before| terminated_state(view, before));
    let waits = view.waiting.get(&container.name);
    let may_start = match newest.state {
        State::Running => false,
        State::Exited => !view.terminal && restarts_after(container, pod.restart_policy(), newest.exit_code),
        State::Created | State::Unknown => !view.terminal,
    };
    if let Some(waiting) = waits.filter(|_| may_start) {
        if state.terminated.is_some() {
            last = Some(state);
        }
        state = waiting_state(&waiting.reason, &waiting.message);
    }
    if view.terminal && (state.running.is_some() || state.waiting.is_some()) {
        state = lost(newest);
    }
    let regular_init = kind == Kind::Init && !is_sidecar(container);
    let running = state.running.is_some();
    let started = running && (kind == Kind::Ephemeral || regular_init || view.probes.is_started(container, newest));
    let ready = match kind {
        Kind::Ephemeral => false,
        Kind::Init if regular_init => state.terminated.as_ref().is_some_and(|terminated| terminated.exit_code == 0),
        _ => running && view.probes.is_ready(container, newest),
    };
    // A container that was started again after its record was removed keeps what the API knows of the time before.
    if last.is_none()
        && let Some(old) = old
    {
        last = remembered(old, newest, view);
    }
    let applied = view.applied.get(&newest.id).cloned().or_else(|| container.resources.clone());
    let applied = applied.filter(|_| running && kind != Kind::Ephemeral);
    ContainerStatus {
        name: container.name.clone(),
        state: Some(state),
        last_state: Some(last.unwrap_or_default()),
        ready,
        restart_count: i32::try_from(newest.restart_count).unwrap_or(i32::MAX),
        image: if newest.image.is_empty() { container.image.clone().unwrap_or_default() } else { newest.image.clone() },
        image_id: newest.image_id.clone(),
        container_id: Some(view.full_id(&newest.id)),
        started: Some(started),
        allocated_resources: applied.as_ref().and_then(|resources| resources.requests.clone()),
        resources: applied,
        user: newest.user.as_ref().map(|(uid, gid, groups)| ContainerUser {
            linux: Some(LinuxContainerUser { uid: *uid, gid: *gid, supplemental_groups: Some(groups.clone()) }),
        }),
        volume_mounts: volume_mounts(container),
        ..ContainerStatus::default()
    }
}

/// The last end that the API knows and the runtime no longer does.
fn remembered(old: &ContainerStatus, newest: &ContainerState, view: &View<'_>) -> Option<ApiState> {
    let id = view.full_id(&newest.id);
    let ended = |state: &Option<ApiState>| state.clone().filter(|state| state.terminated.is_some());
    if old.container_id.as_deref() == Some(&id) {
        return ended(&old.last_state);
    }
    ended(&old.state).or_else(|| ended(&old.last_state))
}

fn unknown_to_runtime(
    pod: &Pod,
    view: &View<'_>,
    kind: Kind,
    container: &Container,
    old: Option<&ContainerStatus>,
) -> ContainerStatus {
    let mut status = ContainerStatus {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        ready: false,
        started: Some(false),
        volume_mounts: volume_mounts(container),
        last_state: Some(ApiState::default()),
        ..ContainerStatus::default()
    };
    let waiting = match view.waiting.get(&container.name) {
        Some(waiting) => waiting_state(&waiting.reason, &waiting.message),
        None if !pod.init_containers().is_empty() => waiting_state("PodInitializing", ""),
        None => waiting_state("ContainerCreating", ""),
    };
    let Some(old) = old else {
        status.state = Some(if view.terminal { gone() } else { waiting });
        return status;
    };
    let state = old.state.clone().unwrap_or_default();
    if state.terminated.is_some() && (view.terminal || pod.finished()) {
        return ContainerStatus { ready: old.ready && kind == Kind::Init, ..old.clone() };
    }
    status.restart_count = old.restart_count;
    // It ran once, and no trace is left: somebody removed it behind the kubelet's back, or the node lost it.
    let ran = state.running.is_some() || old.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
    if view.terminal {
        status.container_id = old.container_id.clone();
        status.image_id = old.image_id.clone();
        status.state = Some(if state.running.is_some() || state.waiting.is_some() { gone() } else { state });
        return status;
    }
    if kind == Kind::Init && !is_sidecar(container) && state.terminated.is_some() {
        return old.clone();
    }
    if ran {
        status.last_state = Some(match state.running {
            Some(_) => gone(),
            None => old.last_state.clone().unwrap_or_default(),
        });
    }
    if state.terminated.is_some() {
        status.last_state = Some(state);
    }
    status.state = Some(waiting);
    status
}

fn current(view: &View<'_>, state: &ContainerState) -> ApiState {
    match state.state {
        State::Running => ApiState {
            running: Some(ContainerStateRunning { started_at: time(state.started_at) }),
            ..ApiState::default()
        },
        State::Exited => terminated_state(view, state),
        State::Created => waiting_state("ContainerCreating", ""),
        State::Unknown => lost(state),
    }
}

fn terminated_state(view: &View<'_>, state: &ContainerState) -> ApiState {
    let reason = match (state.reason.as_str(), state.exit_code) {
        ("", 0) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    };
    ApiState {
        terminated: Some(ContainerStateTerminated {
            exit_code: state.exit_code,
            reason: Some(reason.to_owned()),
            message: Some(state.message.clone()).filter(|message| !message.is_empty()),
            started_at: time(state.started_at),
            finished_at: time(state.finished_at),
            container_id: Some(view.full_id(&state.id)),
            signal: None,
        }),
        ..ApiState::default()
    }
}

fn waiting_state(reason: &str, message: &str) -> ApiState {
    ApiState {
        waiting: Some(ContainerStateWaiting {
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()).filter(|message| !message.is_empty()),
        }),
        ..ApiState::default()
    }
}

fn terminated_unknown(message: &str) -> ApiState {
    ApiState {
        terminated: Some(ContainerStateTerminated {
            exit_code: 137,
            reason: Some("ContainerStatusUnknown".into()),
            message: Some(message.into()),
            ..ContainerStateTerminated::default()
        }),
        ..ApiState::default()
    }
}

fn gone() -> ApiState {
    terminated_unknown("The container could not be located when the pod was terminated")
}

fn lost(state: &ContainerState) -> ApiState {
    let mut lost = terminated_unknown("The container could not be located when the pod was terminated");
    if let Some(terminated) = &mut lost.terminated {
        terminated.started_at = time(state.started_at);
    }
    lost
}

fn volume_mounts(container: &Container) -> Option<Vec<VolumeMountStatus>> {
    let mounts = container.volume_mounts.as_ref()?;
    Some(
        mounts
            .iter()
            .map(|mount| VolumeMountStatus {
                name: mount.name.clone(),
                mount_path: mount.mount_path.clone(),
                read_only: mount.read_only.filter(|read_only| *read_only),
                recursive_read_only: (mount.read_only == Some(true)).then(|| {
                    match mount.recursive_read_only.as_deref() {
                        Some("Enabled") => "Enabled".to_owned(),
                        _ => "Disabled".to_owned(),
                    }
                }),
                ..VolumeMountStatus::default()
            })
            .collect(),
    )
}
