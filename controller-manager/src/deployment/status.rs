//! The deployment's status: counts, Available, Progressing with its deadline, ReplicaFailure.
//!
//! Upstream: deployment.calculateStatus, deployment.syncRolloutStatus.

use std::time::Duration;

use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};

use super::plan::{Planner, Set, Snapshot};
use super::scale::max_unavailable;
use crate::engine::{Operation, Write};
use crate::meta;

const AVAILABLE: &str = "Available";
const PROGRESSING: &str = "Progressing";
const REPLICA_FAILURE: &str = "ReplicaFailure";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const NEW_SET_AVAILABLE: &str = "NewReplicaSetAvailable";

/// A status as we write it, whether or not the server keeps zeros.
pub(super) fn normal(status: &DeploymentStatus) -> DeploymentStatus {
    let omit = |number: Option<i32>| number.filter(|number| *number != 0);
    DeploymentStatus {
        available_replicas: omit(status.available_replicas),
        ready_replicas: omit(status.ready_replicas),
        replicas: omit(status.replicas),
        unavailable_replicas: omit(status.unavailable_replicas),
        updated_replicas: omit(status.updated_replicas),
        conditions: status.conditions.clone().filter(|conditions| !conditions.is_empty()),
        ..status.clone()
    }
}

fn condition<'a>(status: &'a DeploymentStatus, kind: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(kind))
}

fn remove_condition(status: &mut DeploymentStatus, kind: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|condition| condition.type_.as_deref() != Some(kind));
        if conditions.is_empty() {
            status.conditions = None;
        }
    }
}

/// Sets a condition unless one with its status and reason is there; a transition is a change of the status.
fn set_condition(status: &mut DeploymentStatus, mut new: DeploymentCondition) {
    let kind = new.type_.clone().unwrap_or_default();
    if let Some(present) = condition(status, &kind) {
        if present.status == new.status && present.reason == new.reason {
            return;
        }
        if present.status == new.status {
            new.last_transition_time = present.last_transition_time.clone();
        }
    }
    remove_condition(status, &kind);
    status.conditions.get_or_insert_default().push(new);
}

fn count(sets: impl Iterator<Item = i32>) -> i32 {
    sets.sum()
}

fn reported(set: &Set) -> (i32, i32) {
    set.set.status.as_ref().map_or((0, 0), |status| (status.replicas, status.ready_replicas.unwrap_or(0)))
}

/// The sum over all sets, unknown while a set that was looked at has not reported it.
fn terminating<'a>(sets: impl Iterator<Item = &'a Set>) -> Option<i32> {
    let mut sum = 0;
    for set in sets {
        let status = set.set.status.clone().unwrap_or_default();
        match status.terminating_replicas {
            Some(number) => sum += number,
            None if status.observed_generation.unwrap_or(0) == 0 => {}
            None => return None,
        }
    }
    Some(sum)
}

impl Planner {
    fn condition(&self, kind: &str, status: &str, reason: &str, message: String) -> DeploymentCondition {
        DeploymentCondition {
            type_: Some(kind.to_owned()),
            status: Some(status.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_update_time: Some(meta::time(self.now)),
            last_transition_time: Some(meta::time(self.now)),
        }
    }

    fn deadline(&self) -> Option<i32> {
        self.spec.progress_deadline_seconds.filter(|seconds| *seconds != i32::MAX)
    }

    /// Every wanted replica is updated and available, and no old one is left.
    pub(super) fn is_complete(&self, status: &DeploymentStatus) -> bool {
        let desired = self.replicas();
        status.updated_replicas.unwrap_or(0) == desired
            && status.replicas.unwrap_or(0) == desired
            && status.available_replicas.unwrap_or(0) == desired
            && status.observed_generation.unwrap_or(0) >= self.deployment.metadata.generation.unwrap_or(0)
    }

    /// Pausing and resuming restart the progress deadline.
    pub(super) fn check_paused(&mut self) {
        if self.deadline().is_none() {
            return;
        }
        let reason = condition(&self.status, PROGRESSING).and_then(|condition| condition.reason.clone());
        if reason.as_deref() == Some(TIMED_OUT) {
            return;
        }
        let known = reason.as_deref() == Some("DeploymentPaused");
        let new = match (self.spec.paused == Some(true), known) {
            (true, false) => {
                self.condition(PROGRESSING, "Unknown", "DeploymentPaused", "Deployment is paused".to_owned())
            }
            (false, true) => {
                self.condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed".to_owned())
            }
            _ => return,
        };
        set_condition(&mut self.status, new);
    }

    /// Starts the progress clock: when the new set is created, or first seen without a Progressing condition.
    pub(super) fn note_new_set(&mut self, reason: &str, message: String, created: bool) {
        if self.deadline().is_some() && (created || condition(&self.status, PROGRESSING).is_none()) {
            let new = self.condition(PROGRESSING, "True", reason, message);
            set_condition(&mut self.status, new);
        }
    }

    fn calculate(&self) -> DeploymentStatus {
        let available = count(self.all().map(Set::available));
        let unavailable = count(self.all().map(Set::replicas)) - available;
        let mut status = DeploymentStatus {
            observed_generation: self.deployment.metadata.generation,
            replicas: meta::omit_zero(count(self.all().map(|set| reported(set).0))),
            updated_replicas: meta::omit_zero(count(self.new.iter().map(|set| reported(set).0))),
            ready_replicas: meta::omit_zero(count(self.all().map(|set| reported(set).1))),
            available_replicas: meta::omit_zero(available),
            unavailable_replicas: meta::omit_zero(unavailable.max(0)),
            terminating_replicas: terminating(self.all()),
            collision_count: self.status.collision_count,
            conditions: self.status.conditions.clone(),
        };
        let new = if available >= self.replicas() - max_unavailable(&self.spec) {
            self.condition(
                AVAILABLE,
                "True",
                "MinimumReplicasAvailable",
                "Deployment has minimum availability.".to_owned(),
            )
        } else {
            self.condition(
                AVAILABLE,
                "False",
                "MinimumReplicasUnavailable",
                "Deployment does not have minimum availability.".to_owned(),
            )
        };
        set_condition(&mut status, new);
        status
    }

    /// Counts and availability only: outside a rollout progress is not judged.
    pub(super) fn sync_status(&mut self) {
        self.status = self.calculate();
    }

    /// The status during a rollout.
    pub(super) fn sync_rollout_status(&mut self) {
        let mut status = self.calculate();
        if self.deadline().is_none() {
            remove_condition(&mut status, PROGRESSING);
        }
        let current = condition(&self.status, PROGRESSING).cloned();
        let finished = status.replicas == status.updated_replicas
            && current.as_ref().is_some_and(|current| current.reason.as_deref() == Some(NEW_SET_AVAILABLE));
        if self.deadline().is_some() && !finished {
            self.judge_progress(&mut status, current.as_ref());
        }
        match self.replica_failure() {
            Some(failure) => set_condition(&mut status, failure),
            None => remove_condition(&mut status, REPLICA_FAILURE),
        }
        if status == self.status {
            self.requeue_if_stuck(current.as_ref());
        } else {
            self.status = status;
        }
    }

    fn judge_progress(&self, status: &mut DeploymentStatus, current: Option<&DeploymentCondition>) {
        let subject = match &self.new {
            Some(new) => format!("ReplicaSet \"{}\"", new.name()),
            None => format!("Deployment \"{}\"", self.name()),
        };
        if self.is_complete(status) {
            let message = format!("{subject} has successfully progressed.");
            set_condition(status, self.condition(PROGRESSING, "True", NEW_SET_AVAILABLE, message));
        } else if self.progressed(status) {
            let mut new =
                self.condition(PROGRESSING, "True", "ReplicaSetUpdated", format!("{subject} is progressing."));
            if let Some(current) = current {
                if current.status.as_deref() == Some("True") {
                    new.last_transition_time = current.last_transition_time.clone();
                }
                // Even with an equal reason, so that lastUpdateTime moves and with it the deadline.
                remove_condition(status, PROGRESSING);
            }
            set_condition(status, new);
        } else if self.timed_out(condition(status, PROGRESSING)) {
            let message = format!("{subject} has timed out progressing.");
            set_condition(status, self.condition(PROGRESSING, "False", TIMED_OUT, message));
        }
    }

    fn progressed(&self, new: &DeploymentStatus) -> bool {
        let old = &self.status;
        let number = |value: Option<i32>| value.unwrap_or(0);
        let outdated = |status: &DeploymentStatus| number(status.replicas) - number(status.updated_replicas);
        number(new.updated_replicas) > number(old.updated_replicas)
            || outdated(new) < outdated(old)
            || number(new.ready_replicas) > number(old.ready_replicas)
            || number(new.available_replicas) > number(old.available_replicas)
    }

    fn timed_out(&self, condition: Option<&DeploymentCondition>) -> bool {
        let (Some(condition), Some(deadline)) = (condition, self.deadline()) else { return false };
        match condition.reason.as_deref() {
            Some(NEW_SET_AVAILABLE) => false,
            Some(TIMED_OUT) => true,
            _ => condition
                .last_update_time
                .as_ref()
                .is_some_and(|since| meta::after(since.0, i64::from(deadline)) < self.now),
        }
    }

    /// A rollout without news is looked at again when its deadline passes.
    fn requeue_if_stuck(&mut self, current: Option<&DeploymentCondition>) {
        let (Some(current), Some(deadline)) = (current, self.deadline()) else { return };
        if self.is_complete(&self.status) || current.reason.as_deref() == Some(TIMED_OUT) {
            return;
        }
        if let Some(since) = &current.last_update_time {
            let left = meta::until(meta::after(since.0, i64::from(deadline)), self.now).unwrap_or(Duration::ZERO);
            // One second more, as times are cut to seconds.
            self.requeue_after(left + Duration::from_secs(1));
        }
    }

    fn replica_failure(&self) -> Option<DeploymentCondition> {
        self.all()
            .flat_map(|set| set.set.status.iter().flat_map(|status| status.conditions.iter().flatten()))
            .find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE))
            .map(|failure| DeploymentCondition {
                type_: failure.type_.clone(),
                status: failure.status.clone(),
                reason: failure.reason.clone(),
                message: failure.message.clone(),
                last_update_time: failure.last_transition_time.clone(),
                last_transition_time: failure.last_transition_time.clone(),
            })
    }
}

/// The name is another replica set's: the next pass hashes with a higher count.
pub(super) fn after_collision(snapshot: &Snapshot) -> Vec<Operation> {
    let mut planner = Planner::new(snapshot);
    planner.status.collision_count = Some(planner.status.collision_count.unwrap_or(0) + 1);
    planner.status_write(snapshot).into_iter().collect()
}

/// The new replica set was refused.
pub(super) fn after_failed_create(snapshot: &Snapshot, name: &str, error: &str) -> Vec<Operation> {
    let mut planner = Planner::new(snapshot);
    let message = format!("Failed to create new replica set \"{name}\": {error}");
    let mut operations = vec![Operation::Event(meta::warning::<Deployment>(
        &planner.deployment.metadata,
        "ReplicaSetCreateError",
        message.clone(),
    ))];
    if planner.deadline().is_some() {
        let new = planner.condition(PROGRESSING, "False", "ReplicaSetCreateError", message);
        set_condition(&mut planner.status, new);
        let deployment = Deployment { status: Some(planner.status), ..planner.deployment };
        operations.push(Write::update_status(&deployment).into());
    }
    operations
}
