//! A pod's status from its spec, the runtime and the probes. Pure. Upstream: `Kubelet.generateAPIPodStatus`.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{HostIP, Pod, PodIP, PodStatus, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::conditions;
use super::containers::statuses;
use super::phase::phase;
use crate::kuberuntime::actions::ProbeResults;
use crate::kuberuntime::state::PodRuntime;
use crate::pod::qos::qos_class;
use crate::pod::{Kind, PodExt};
use crate::pod_workers::resize::ResizeCondition;

/// Why a container does not run, as far as the runtime does not know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// What a status is computed from, beside the pod.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) runtime: &'a PodRuntime,
    pub(crate) probes: &'a ProbeResults,
    pub(crate) waiting: &'a HashMap<String, Waiting>,
    /// The runtime's name, for container ids.
    pub(crate) runtime_name: &'a str,
    pub(crate) host_ips: &'a [String],
    /// Nothing will be started any more: the pod is being taken down and all has ended, or it was refused.
    pub(crate) terminal: bool,
    /// Phase, reason and message that the kubelet has decided (deadline, refusal).
    pub(crate) failed: Option<&'a (String, String)>,
    /// What running containers have, by id.
    pub(crate) applied: &'a HashMap<String, ResourceRequirements>,
    /// Type, reason and message of the condition of a resize that is not done.
    pub(crate) resize: Option<&'a ResizeCondition>,
    /// The node could not keep the pod.
    pub(crate) evicted: bool,
    pub(crate) now: jiff::Timestamp,
}

impl View<'_> {
    pub(super) fn full_id(&self, id: &str) -> String {
        format!("{}://{id}", self.runtime_name)
    }
}

/// The status.
pub(crate) fn status(pod: &Pod, view: &View<'_>) -> PodStatus {
    let old = pod.status();
    let now = Time(jiff::Timestamp::from_second(view.now.as_second()).unwrap_or(view.now));
    let init = statuses(pod, view, Kind::Init, pod.init_containers());
    let regular = statuses(pod, view, Kind::Regular, pod.containers());
    let ephemeral: Vec<_> = pod
        .ephemeral_containers()
        .iter()
        .filter_map(|container| pod.container(&container.name).map(|(_, container)| container))
        .collect();
    let ephemeral = statuses(pod, view, Kind::Ephemeral, &ephemeral);

    let mut phase = phase(pod, &init, &regular, view.terminal);
    let mut reason = None;
    let mut message = None;
    if let Some((failed_reason, failed_message)) = view.failed {
        phase = "Failed";
        reason = Some(failed_reason.clone());
        message = Some(failed_message.clone());
    }
    // A pod that is over stays so.
    if let Some(over @ ("Succeeded" | "Failed")) = old.phase.as_deref() {
        phase = if over == "Failed" { "Failed" } else { "Succeeded" };
        reason = old.reason.clone();
        message = old.message.clone();
    }
    let sandbox_ready = match view.runtime.ready_sandbox() {
        Some(sandbox) => pod.host_network() || !sandbox.ips.is_empty(),
        None => false,
    };
    let conditions = conditions::all(&conditions::Input {
        pod,
        old,
        phase,
        init: &init,
        regular: &regular,
        sandbox_ready,
        resize: view.resize,
        evicted: view.failed.filter(|_| view.evicted).map(|(_, message)| message.as_str()),
        now: now.clone(),
    });
    let pod_ips: Vec<String> = if pod.host_network() {
        if view.runtime.sandboxes.is_empty() { Vec::new() } else { view.host_ips.to_vec() }
    } else {
        view.runtime.ips().to_vec()
    };
    // The addresses of a pod that is over are kept, as upstream does, until it is gone.
    let pod_ips = if pod_ips.is_empty() && (view.terminal || pod.finished()) {
        old.pod_ips.iter().flatten().map(|ip| ip.ip.clone()).collect()
    } else {
        pod_ips
    };
    PodStatus {
        phase: Some(phase.to_owned()),
        reason,
        message,
        conditions: Some(conditions),
        observed_generation: pod.generation(),
        host_ip: view.host_ips.first().cloned(),
        host_ips: Some(view.host_ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect()),
        pod_ip: pod_ips.first().cloned(),
        pod_ips: Some(pod_ips.into_iter().map(|ip| PodIP { ip }).collect::<Vec<_>>()).filter(|ips| !ips.is_empty()),
        start_time: old.start_time.clone().or(Some(now)),
        init_container_statuses: Some(init).filter(|list| !list.is_empty()),
        container_statuses: Some(regular).filter(|list| !list.is_empty()),
        ephemeral_container_statuses: Some(ephemeral).filter(|list| !list.is_empty()),
        qos_class: Some(qos_class(pod).name().to_owned()),
        nominated_node_name: old.nominated_node_name.clone(),
        resource_claim_statuses: old.resource_claim_statuses.clone(),
        allocated_resources: old.allocated_resources.clone(),
        resize: old.resize.clone(),
        resources: old.resources.clone(),
        extended_resource_claim_status: old.extended_resource_claim_status.clone(),
        node_allocatable_resource_claim_statuses: old.node_allocatable_resource_claim_statuses.clone(),
        volume_health: old.volume_health.clone(),
    }
}
