//! The cells of a pod: how its containers and conditions add up to one status.
//!
//! Upstream: pkg/printers/internalversion.printPod.

use super::super::Context;
use super::super::cell::{at, between, boolean_at, condition, integer_at, items_at, str_at};
use crate::meta;
use jiff::Timestamp;
use json::{Value, json};

/// What the three cells of a pod's state share.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

pub(super) fn ready(pod: &Value, _: &Context<'_>) -> Value {
    let summary = summarize(pod);
    format!("{}/{}", summary.ready, summary.total).into()
}

pub(super) fn status(pod: &Value, _: &Context<'_>) -> Value {
    summarize(pod).reason.into()
}

pub(super) fn restarts(pod: &Value, context: &Context<'_>) -> Value {
    let summary = summarize(pod);
    match summary.last_restart {
        Some(last) if summary.restarts != 0 => {
            format!("{} ({} ago)", summary.restarts, between(last, context.now)).into()
        }
        _ => summary.restarts.to_string().into(),
    }
}

pub(super) fn ip(pod: &Value, _: &Context<'_>) -> Value {
    let first = items_at(pod, "status.podIPs").first().map(|ip| str_at(ip, "ip"));
    match first.unwrap_or_else(|| str_at(pod, "status.podIP")) {
        "" => "<none>".into(),
        ip => ip.into(),
    }
}

pub(super) fn readiness_gates(pod: &Value, _: &Context<'_>) -> Value {
    let gates = items_at(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".into();
    }
    let is_true = |gate: &&Value| has_true_condition(pod, str_at(gate, "conditionType"));
    format!("{}/{}", gates.iter().filter(is_true).count(), gates.len()).into()
}

/// A row's conditions: that the pod has ended.
pub(super) fn conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match str_at(pod, "status.phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

fn summarize(pod: &Value) -> Summary {
    let init_containers = items_at(pod, "spec.initContainers");
    let sidecars = init_containers.iter().filter(|container| is_sidecar(container)).count();
    let mut summary = Summary {
        ready: 0,
        total: items_at(pod, "spec.containers").len() + sidecars,
        reason: first_reason(pod),
        restarts: 0,
        last_restart: None,
    };
    let initializing = summarize_init(pod, init_containers, &mut summary);
    if !initializing || has_true_condition(pod, "Initialized") {
        summarize_containers(pod, init_containers, &mut summary);
    }
    if meta::is_being_deleted(pod) {
        if str_at(pod, "status.reason") == "NodeLost" {
            summary.reason = "Unknown".to_owned();
        } else if !matches!(str_at(pod, "status.phase"), "Failed" | "Succeeded") {
            summary.reason = "Terminating".to_owned();
        }
    }
    summary
}

/// What the status is if no container says more.
fn first_reason(pod: &Value) -> String {
    let gated = items_at(pod, "status.conditions").iter().any(|condition| {
        str_at(condition, "type") == "PodScheduled" && str_at(condition, "reason") == "SchedulingGated"
    });
    let reason = match str_at(pod, "status.reason") {
        _ if gated => "SchedulingGated",
        "" => str_at(pod, "status.phase"),
        reason => reason,
    };
    reason.to_owned()
}

/// Goes through the init containers up to the first that has not come through; true if there is one.
fn summarize_init(pod: &Value, specs: &[Value], summary: &mut Summary) -> bool {
    for (i, status) in items_at(pod, "status.initContainerStatuses").iter().enumerate() {
        count_restart(status, summary);
        let terminated = at(status, "state.terminated");
        let exit_code = terminated.map(|terminated| integer_at(terminated, "exitCode"));
        if exit_code == Some(0) {
            continue;
        }
        if is_sidecar_status(status, specs) && boolean_at(status, "started") == Some(true) {
            summary.ready += usize::from(boolean_at(status, "ready") == Some(true));
            continue;
        }
        summary.reason = if let Some(terminated) = terminated {
            format!("Init:{}", end_reason(terminated))
        } else {
            match str_at(status, "state.waiting.reason") {
                "" | "PodInitializing" => format!("Init:{i}/{}", specs.len()),
                reason => format!("Init:{reason}"),
            }
        };
        return true;
    }
    false
}

/// Goes through the containers, last first, so that the first one with something to say is heard.
fn summarize_containers(pod: &Value, init_specs: &[Value], summary: &mut Summary) {
    (summary.restarts, summary.last_restart) = (0, None);
    let init = items_at(pod, "status.initContainerStatuses").iter();
    init.filter(|status| is_sidecar_status(status, init_specs)).for_each(|status| count_restart(status, summary));
    let mut has_running = false;
    let mut error_reason = None;
    for status in items_at(pod, "status.containerStatuses").iter().rev() {
        count_restart(status, summary);
        let waiting = str_at(status, "state.waiting.reason");
        if !waiting.is_empty() {
            summary.reason = waiting.to_owned();
        } else if let Some(terminated) = at(status, "state.terminated") {
            summary.reason = end_reason(terminated);
            if integer_at(terminated, "exitCode") != 0 {
                error_reason = Some(summary.reason.clone());
            }
        } else if boolean_at(status, "ready") == Some(true) && at(status, "state.running").is_some() {
            has_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if has_running && has_ready_condition(pod) {
            summary.reason = "Running".to_owned();
        } else if let Some(error_reason) = error_reason {
            summary.reason = error_reason;
        } else if has_running {
            summary.reason = "NotReady".to_owned();
        }
    }
}

fn count_restart(status: &Value, summary: &mut Summary) {
    summary.restarts += integer_at(status, "restartCount");
    let ended = meta::time::parse(str_at(status, "lastState.terminated.finishedAt"));
    summary.last_restart = summary.last_restart.max(ended);
}

/// Why a container ended: its reason, else its signal, else its exit code.
fn end_reason(terminated: &Value) -> String {
    match (str_at(terminated, "reason"), integer_at(terminated, "signal")) {
        ("", 0) => format!("ExitCode:{}", integer_at(terminated, "exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn is_sidecar(container: &Value) -> bool {
    str_at(container, "restartPolicy") == "Always"
}

fn is_sidecar_status(status: &Value, specs: &[Value]) -> bool {
    let name = str_at(status, "name");
    specs.iter().rfind(|spec| str_at(spec, "name") == name).is_some_and(is_sidecar)
}

fn has_true_condition(pod: &Value, r#type: &str) -> bool {
    condition(pod, "status.conditions", r#type).is_some_and(|condition| str_at(condition, "status") == "True")
}

fn has_ready_condition(pod: &Value) -> bool {
    let conditions = items_at(pod, "status.conditions").iter();
    conditions.into_iter().any(|c| str_at(c, "type") == "Ready" && str_at(c, "status") == "True")
}
