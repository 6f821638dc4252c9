//! Resources of running containers changed in place. Upstream: `computePodResizeAction`, `allocation.Manager`.
//!
//! What a container runs with is remembered by its worker, and in an annotation for the kubelet after this one; what it should run with is
//! in the spec. Applying the same once more does no harm.

use k8s_openapi::api::core::v1::{Container, Pod, ResourceRequirements};

use super::state::{ContainerState, PodRuntime, State};
use crate::pod::{PodExt, is_sidecar};
use crate::pod_workers::admission::NodeView;
use crate::resources::{Amounts, Side, of_container, of_pod};

/// A container that runs with other resources than it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Its policy wants it started anew.
    pub(crate) restart: bool,
}

/// Why a resize has to wait: reason and message of the condition PodResizePending.
pub(crate) type Pending = (&'static str, String);

/// The containers to resize. `applied` says what a container runs with.
pub(crate) fn resizes<'a>(
    pod: &Pod,
    runtime: &PodRuntime,
    applied: impl Fn(&ContainerState) -> Option<&'a ResourceRequirements>,
) -> Vec<Resize> {
    let resizable =
        pod.containers().iter().chain(pod.init_containers().iter().filter(|container| is_sidecar(container)));
    resizable
        .filter_map(|container| {
            let state = runtime.active(&container.name).filter(|state| state.state == State::Running)?;
            let changed = changed(container, applied(state)?);
            let restart = changed.iter().any(|resource| needs_restart(container, resource));
            (!changed.is_empty()).then(|| Resize { id: state.id.clone(), name: container.name.clone(), restart })
        })
        .collect()
}

fn changed(container: &Container, applied: &ResourceRequirements) -> Vec<&'static str> {
    let before = Container { resources: Some(applied.clone()), ..Container::default() };
    let differs = |resource: &&str| {
        [Side::Requests, Side::Limits]
            .into_iter()
            .any(|side| of_container(container, side).get(*resource) != of_container(&before, side).get(*resource))
    };
    ["cpu", "memory"].into_iter().filter(differs).collect()
}

fn needs_restart(container: &Container, resource: &str) -> bool {
    let policies = container.resize_policy.iter().flatten();
    policies.into_iter().any(|policy| policy.resource_name == resource && policy.restart_policy == "RestartContainer")
}

/// Whether the node has room for what the pod asks for now.
pub(crate) fn room(pod: &Pod, node: &NodeView) -> Result<(), Pending> {
    let wanted = of_pod(pod, Side::Requests);
    let get = |amounts: &Amounts, name: &str| amounts.get(name).copied().unwrap_or(0);
    for resource in ["cpu", "memory"] {
        let (asked, capacity) = (get(&wanted, resource), get(&node.allocatable, resource));
        if asked > capacity {
            let message =
                format!("Node didn't have enough capacity: {resource}, requested: {asked}, capacity: {capacity}");
            return Err(("Infeasible", message));
        }
        let used = get(&node.used, resource);
        if asked + used > capacity {
            let message = format!(
                "Node didn't have enough resource: {resource}, requested: {asked}, used: {used}, capacity: {capacity}"
            );
            return Err(("Deferred", message));
        }
    }
    Ok(())
}
