//! Asks the API to remove the victims.

use std::sync::Arc;

use component::{Clock, SystemClock};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;

use crate::events::{Recorder, Type};
use crate::objects::Pod;

/// Marks and deletes each victim. Those already leaving are left alone. Upstream: `prepareCandidateAsync`.
pub(crate) async fn execute(
    client: &kube::Client,
    recorder: &Recorder,
    preemptor: &Pod,
    node: &str,
    victims: &[Arc<Pod>],
) -> Result<(), kube::Error> {
    for victim in victims.iter().filter(|victim| !victim.is_terminating()) {
        let pods: Api<Pod> = Api::namespaced(client.clone(), victim.namespace());
        if gone(remove(&pods, preemptor, victim).await)? {
            continue;
        }
        let note = format!("Preempted by pod {} on node {node}", preemptor.uid());
        recorder.record(victim, Type::Normal, "Preempted", "Preempting", note);
    }
    Ok(())
}

async fn remove(pods: &Api<Pod>, preemptor: &Pod, victim: &Pod) -> Result<(), kube::Error> {
    let mut condition = json!({
        "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
        "message": format!("{}: preempting to accommodate a higher priority pod", preemptor.scheduler_name),
        "lastProbeTime": null, "lastTransitionTime": Time(SystemClock.now()),
    });
    if let Some(generation) = victim.metadata.generation {
        condition["observedGeneration"] = generation.into();
    }
    let change = json!({"metadata": {"uid": victim.metadata.uid}, "status": {"conditions": [condition]}});
    pods.patch_status(victim.name(), &PatchParams::default(), &Patch::Strategic(change)).await?;
    let uid = Preconditions { uid: victim.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(uid), ..DeleteParams::default() };
    pods.delete(victim.name(), &parameters).await.map(|_| ())
}

/// True when the victim was gone already, or another pod has its name.
fn gone(outcome: Result<(), kube::Error>) -> Result<bool, kube::Error> {
    match outcome {
        Ok(()) => Ok(false),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(true),
        Err(error) => Err(error),
    }
}
