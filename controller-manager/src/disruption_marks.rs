//! Writes that end a pod on behalf of the control plane: the DisruptionTarget condition, the Failed phase, the deletion.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use crate::engine::{DeleteOptions, PatchKind, Write};
use crate::{meta, pods};

/// Why a pod is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disruption {
    /// The condition's reason.
    pub reason: &'static str,
    /// The condition's message.
    pub message: &'static str,
}

/// Patches the pod's status: the condition, and the phase if `fail`. `None` if the status says this already.
pub(crate) fn mark(pod: &Pod, disruption: Option<Disruption>, fail: bool, now: Timestamp) -> Option<Write> {
    let mut status = json!({});
    if fail && !pods::is_terminal(pod) {
        status["phase"] = json!("Failed");
    }
    if let Some(disruption) = disruption {
        let present = pods::condition(pod, "DisruptionTarget");
        let same = present.is_some_and(|present| {
            present.status == "True"
                && present.reason.as_deref() == Some(disruption.reason)
                && present.message.as_deref() == Some(disruption.message)
        });
        if !same {
            let mut condition = json!({
                "type": "DisruptionTarget",
                "status": "True",
                "reason": disruption.reason,
                "message": disruption.message,
            });
            if present.is_none_or(|present| present.status != "True") {
                condition["lastTransitionTime"] = json!(meta::time(now));
            }
            if let Some(generation) = pod
                .metadata
                .generation
                .filter(|_| pod.status.as_ref().is_some_and(|status| status.observed_generation.is_some()))
            {
                condition["observedGeneration"] = json!(generation);
            }
            status["conditions"] = json!([condition]);
        }
    }
    if status.as_object().is_none_or(serde_json::Map::is_empty) {
        return None;
    }
    Some(status_patch(pod, status))
}

/// A strategic merge patch of the status of exactly this pod.
pub(crate) fn status_patch(pod: &Pod, status: Value) -> Write {
    Write::patch_status::<Pod>(
        &pod.metadata,
        PatchKind::Strategic,
        json!({"metadata": {"uid": pod.metadata.uid}, "status": status}),
    )
}

/// Deletes exactly this pod; at once if `force`.
pub(crate) fn delete(pod: &Pod, force: bool) -> Write {
    let options = DeleteOptions {
        uid: pod.metadata.uid.clone(),
        grace_period_seconds: force.then_some(0),
        ..DeleteOptions::default()
    };
    Write::delete_with::<Pod>(&pod.metadata, options)
}
