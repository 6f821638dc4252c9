//! The conditions the kubelet owns. Upstream: `status/generate.go`.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::pod::{PodExt, is_sidecar};
use crate::pod_workers::resize::ResizeCondition;

/// What of a condition is decided here; times are added by [`all`].
struct Verdict {
    holds: bool,
    reason: &'static str,
    message: String,
}

impl Verdict {
    fn yes() -> Self {
        Self { holds: true, reason: "", message: String::new() }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { holds: false, reason, message }
    }
}

/// What the conditions are computed from.
pub(super) struct Input<'a> {
    pub(super) pod: &'a Pod,
    pub(super) old: &'a PodStatus,
    pub(super) phase: &'a str,
    pub(super) init: &'a [ContainerStatus],
    pub(super) regular: &'a [ContainerStatus],
    /// Whether the sandbox stands and has its network.
    pub(super) sandbox_ready: bool,
    pub(super) resize: Option<&'a ResizeCondition>,
    /// Why the node could not keep the pod.
    pub(super) evicted: Option<&'a str>,
    pub(super) now: Time,
}

/// Written by whoever takes a pod away; here when the node does.
pub(super) const DISRUPTION: &str = "DisruptionTarget";

/// The types the kubelet writes; all others are left as they are.
pub(super) const OWN: [&str; 7] = [
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
    "PodResizePending",
    "PodResizeInProgress",
];

/// The kubelet's five conditions, then all others as they are.
pub(super) fn all(input: &Input<'_>) -> Vec<PodCondition> {
    let ready_to_start =
        if input.sandbox_ready { Verdict::yes() } else { Verdict::no("PodSandboxNotReady", String::new()) };
    let containers_ready = containers_ready(input);
    let ready = ready(input, &containers_ready);
    let mut result = vec![
        condition(input, "PodReadyToStartContainers", ready_to_start),
        condition(input, "Initialized", initialized(input)),
        condition(input, "Ready", ready),
        condition(input, "ContainersReady", containers_ready),
        condition(input, "PodScheduled", Verdict::yes()),
    ];
    if let Some((name, reason, message)) = input.resize {
        result.push(condition(input, name, Verdict { holds: true, reason, message: message.clone() }));
    }
    if let Some(message) = input.evicted {
        let verdict = Verdict { holds: true, reason: "TerminationByKubelet", message: message.to_owned() };
        result.push(condition(input, DISRUPTION, verdict));
    }
    let others = input.old.conditions.iter().flatten().filter(|condition| {
        let name = condition.type_.as_str();
        !(OWN.contains(&name) || name == DISRUPTION && input.evicted.is_some())
    });
    result.extend(others.cloned());
    result
}

fn condition(input: &Input<'_>, name: &str, verdict: Verdict) -> PodCondition {
    let status = if verdict.holds { "True" } else { "False" };
    let old = input.old.conditions.iter().flatten().find(|condition| condition.type_ == name);
    let since = match old {
        Some(old) if old.status == status => old.last_transition_time.clone().unwrap_or_else(|| input.now.clone()),
        _ => input.now.clone(),
    };
    PodCondition {
        type_: name.to_owned(),
        status: status.to_owned(),
        observed_generation: input.pod.generation(),
        last_transition_time: Some(since),
        last_probe_time: None,
        reason: Some(verdict.reason.to_owned()).filter(|reason| !reason.is_empty()),
        message: Some(verdict.message).filter(|message| !message.is_empty()),
    }
}

fn terminal(phase: &str) -> Option<&'static str> {
    match phase {
        "Succeeded" => Some("PodCompleted"),
        "Failed" => Some("PodFailed"),
        _ => None,
    }
}

/// `[a b]`, as Go prints a slice.
fn listed(names: &[&str]) -> String {
    format!("[{}]", names.join(" "))
}

fn complaint(unknown: &[&str], other: &[&str], what: &str) -> String {
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("containers with unknown status: {}", listed(unknown)));
    }
    if !other.is_empty() {
        parts.push(format!("containers with {what} status: {}", listed(other)));
    }
    parts.join(", ")
}

fn initialized(input: &Input<'_>) -> Verdict {
    let mut unknown = Vec::new();
    let mut incomplete = Vec::new();
    for container in input.pod.init_containers() {
        match input.init.iter().find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) => {
                let done = if is_sidecar(container) { status.started == Some(true) } else { status.ready };
                if !done {
                    incomplete.push(container.name.as_str());
                }
            }
        }
    }
    if input.phase == "Succeeded" && unknown.is_empty() {
        return Verdict { holds: true, reason: "PodCompleted", message: String::new() };
    }
    let began = input.regular.iter().any(|status| {
        let ran = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
            state.as_ref().is_some_and(|state| state.running.is_some() || state.terminated.is_some())
        };
        status.started == Some(true) || ran(&status.state) || ran(&status.last_state)
    });
    if began || (unknown.is_empty() && incomplete.is_empty()) {
        return Verdict::yes();
    }
    Verdict::no("ContainersNotInitialized", complaint(&unknown, &incomplete, "incomplete"))
}

fn containers_ready(input: &Input<'_>) -> Verdict {
    let sidecars = input.pod.init_containers().iter().filter(|container| is_sidecar(container));
    let mut unknown = Vec::new();
    let mut unready = Vec::new();
    for container in sidecars.chain(input.pod.containers()) {
        let mut all = input.init.iter().chain(input.regular);
        match all.find(|status| status.name == container.name) {
            None => unknown.push(container.name.as_str()),
            Some(status) if !status.ready => unready.push(container.name.as_str()),
            Some(_) => {}
        }
    }
    match terminal(input.phase) {
        Some(reason) if reason == "PodFailed" || unknown.is_empty() => return Verdict::no(reason, String::new()),
        _ => {}
    }
    if unknown.is_empty() && unready.is_empty() {
        return Verdict::yes();
    }
    Verdict::no("ContainersNotReady", complaint(&unknown, &unready, "unready"))
}

fn ready(input: &Input<'_>, containers: &Verdict) -> Verdict {
    if !containers.holds {
        return Verdict::no(containers.reason, containers.message.clone());
    }
    let mut missing = Vec::new();
    for gate in input.pod.spec().readiness_gates.iter().flatten() {
        let name = &gate.condition_type;
        match input.old.conditions.iter().flatten().find(|condition| condition.type_ == *name) {
            None => missing.push(format!("corresponding condition of pod readiness gate \"{name}\" does not exist.")),
            Some(condition) if condition.status != "True" => missing
                .push(format!("the status of pod readiness gate \"{name}\" is not \"True\", but {}", condition.status)),
            Some(_) => {}
        }
    }
    if missing.is_empty() { Verdict::yes() } else { Verdict::no("ReadinessGatesNotReady", missing.join(", ")) }
}
