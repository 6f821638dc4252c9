//! The decisions of the replicaset controller: how many pods to create, which to delete, what the status says.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::engine::{Event, Write};
use crate::{meta, pods};

/// Most pods created or deleted in one go. Upstream: replicaset.BurstReplicas.
const BURST: usize = 500;
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub owner: ObjectMeta,
    pub reference: ObjectReference,
    pub controller_ref: OwnerReference,
    pub replicas: i32,
    pub min_ready_seconds: i32,
    pub template: PodTemplateSpec,
    pub status: ReplicaSetStatus,
    /// Claimed pods that are neither finished nor being deleted.
    pub active: Vec<Arc<Pod>>,
    /// Pods of all controllers with the same owner.
    pub related: Vec<Arc<Pod>>,
    /// Pods being deleted, where the kind counts them.
    pub terminating: Option<usize>,
    pub now: Timestamp,
}

impl Snapshot {
    /// Pods too many (positive) or missing (negative).
    fn surplus(&self) -> i64 {
        i64::try_from(self.active.len()).unwrap_or(i64::MAX) - i64::from(self.replicas)
    }

    fn event(&self, warning: bool, reason: &'static str, message: String) -> Event {
        Event { regarding: self.reference.clone(), warning, reason, message }
    }
}

/// What to do about the number of pods.
#[derive(Debug)]
pub(super) enum Manage {
    Nothing,
    /// One write a missing pod.
    Create(Vec<Write>),
    /// Uid and write of each pod to delete.
    Delete(Vec<(String, Write)>),
}

pub(super) fn manage(snapshot: &Snapshot) -> Manage {
    let surplus = snapshot.surplus();
    let count = usize::try_from(surplus.unsigned_abs()).unwrap_or(usize::MAX).min(BURST);
    match surplus {
        0 => Manage::Nothing,
        ..0 => {
            let pod = pods::from_template(
                &snapshot.template,
                meta::namespace(&snapshot.owner),
                snapshot.controller_ref.clone(),
            );
            let write = Write::create(&pod)
                .announce_success(snapshot.event(false, "SuccessfulCreate", "Created pod: {name}".to_owned()))
                .announce_failure(snapshot.event(true, "FailedCreate", "Error creating: {error}".to_owned()));
            Manage::Create(vec![write; count])
        }
        1.. => {
            let chosen = pods::choose_for_deletion(snapshot.active.clone(), &snapshot.related, count, snapshot.now);
            let delete = |pod: Arc<Pod>| {
                let write = Write::delete::<Pod>(&pod.metadata)
                    .announce_success(snapshot.event(
                        false,
                        "SuccessfulDelete",
                        format!("Deleted pod: {}", meta::name(&pod.metadata)),
                    ))
                    .announce_failure(snapshot.event(true, "FailedDelete", "Error deleting: {error}".to_owned()));
                (meta::uid(&pod.metadata).to_owned(), write)
            };
            Manage::Delete(chosen.into_iter().map(delete).collect())
        }
    }
}

/// The status to write, or `None` if the present one is right. `failure` is why creating or deleting pods failed.
///
/// Upstream: replicaset.calculateStatus.
pub(super) fn status(snapshot: &Snapshot, failure: Option<String>) -> Option<ReplicaSetStatus> {
    let old = &snapshot.status;
    let template_labels =
        snapshot.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone()).unwrap_or_default();
    let count = |wanted: &dyn Fn(&Pod) -> bool| {
        i32::try_from(snapshot.active.iter().filter(|pod| wanted(pod)).count()).unwrap_or(i32::MAX)
    };
    let mut conditions = old.conditions.clone().unwrap_or_default();
    let known = conditions.iter().any(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE));
    match failure {
        Some(message) if !known => {
            let reason = if snapshot.surplus() < 0 { "FailedCreate" } else { "FailedDelete" };
            conditions.push(ReplicaSetCondition {
                type_: Some(REPLICA_FAILURE.to_owned()),
                status: Some("True".to_owned()),
                last_transition_time: Some(meta::time(snapshot.now)),
                reason: Some(reason.to_owned()),
                message: Some(message),
            });
        }
        None if known => conditions.retain(|condition| condition.type_.as_deref() != Some(REPLICA_FAILURE)),
        _ => {}
    }
    let new = ReplicaSetStatus {
        replicas: count(&|_| true),
        fully_labeled_replicas: meta::omit_zero(count(&|pod| {
            meta::contains_all(meta::labels(&pod.metadata), &template_labels)
        })),
        ready_replicas: meta::omit_zero(count(&pods::is_ready)),
        available_replicas: meta::omit_zero(count(&|pod| {
            pods::is_available(pod, snapshot.min_ready_seconds, snapshot.now)
        })),
        terminating_replicas: snapshot.terminating.map(|count| i32::try_from(count).unwrap_or(i32::MAX)),
        observed_generation: snapshot.owner.generation,
        conditions: (!conditions.is_empty()).then_some(conditions),
    };
    (new != normal(old)).then_some(new)
}

/// A status as we write it, whether or not the server keeps zeros.
fn normal(status: &ReplicaSetStatus) -> ReplicaSetStatus {
    let omit = |number: Option<i32>| number.filter(|number| *number != 0);
    ReplicaSetStatus {
        fully_labeled_replicas: omit(status.fully_labeled_replicas),
        ready_replicas: omit(status.ready_replicas),
        available_replicas: omit(status.available_replicas),
        conditions: status.conditions.clone().filter(|conditions| !conditions.is_empty()),
        ..status.clone()
    }
}

/// When a ready pod becomes available, if that is ahead.
pub(super) fn next_check(snapshot: &Snapshot) -> Option<Duration> {
    let min = snapshot.min_ready_seconds;
    if min <= 0 {
        return None;
    }
    pods::next_availability_check(snapshot.active.iter().map(|pod| &**pod), min, snapshot.now)
}
