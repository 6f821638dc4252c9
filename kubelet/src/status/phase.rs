//! The phase of a pod. Upstream: `kubelet.getPhase`.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use crate::pod::{PodExt, is_sidecar, restarts_after};

/// Pending, Running, Succeeded or Failed, by the statuses of the pod's containers. `terminal`: nothing will be started any more.
pub(super) fn phase(pod: &Pod, init: &[ContainerStatus], regular: &[ContainerStatus], terminal: bool) -> &'static str {
    let policy = pod.restart_policy();
    let find = |list: &[ContainerStatus], name: &str| list.iter().position(|status| status.name == name);
    // How a container that is not running ended, last.
    let ended = |status: &ContainerStatus| {
        let of = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().and_then(|state| state.terminated.as_ref()).map(|terminated| terminated.exit_code)
        };
        of(&status.state).or_else(|| of(&status.last_state))
    };
    let running = |status: &ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());

    let mut init_pending = false;
    let mut init_failed_for_good = false;
    let mut sidecar_unfinished = false;
    for container in pod.init_containers() {
        let status = find(init, &container.name).map(|index| &init[index]);
        if is_sidecar(container) {
            sidecar_unfinished |= match status {
                None => true,
                Some(status) if running(status) => status.started != Some(true),
                Some(status) => ended(status).is_none(),
            };
            continue;
        }
        match status.filter(|status| !running(status)).and_then(ended) {
            None => init_pending = true,
            Some(0) => {}
            Some(code) => {
                init_pending |= restarts_after(container, policy, code);
                init_failed_for_good |= !restarts_after(container, policy, code);
            }
        }
    }

    let regulars: Vec<(&Container, Option<&ContainerStatus>)> = pod
        .containers()
        .iter()
        .map(|container| (container, find(regular, &container.name).map(|index| &regular[index])))
        .collect();
    let any_ran = regulars.iter().any(|(_, status)| status.is_some_and(|s| running(s) || ended(s).is_some()));
    if init_failed_for_good {
        return "Failed";
    }
    if (init_pending || sidecar_unfinished) && !any_ran && !terminal {
        return "Pending";
    }
    let mut live = 0;
    let mut waiting = 0;
    let mut failed = false;
    let mut restartable = false;
    for (container, status) in &regulars {
        match status {
            Some(status) if running(status) => live += 1,
            Some(status) => match ended(status) {
                Some(code) => {
                    failed |= code != 0;
                    restartable |= restarts_after(container, policy, code);
                }
                None => waiting += 1,
            },
            None => waiting += 1,
        }
    }
    if waiting > 0 && !terminal {
        return "Pending";
    }
    if live > 0 {
        return "Running";
    }
    if restartable && !terminal {
        return "Running";
    }
    if failed || (terminal && waiting > 0) { "Failed" } else { "Succeeded" }
}
