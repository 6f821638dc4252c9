//! The order of decisions of the deployment controller.
//!
//! [`Planner`] holds private copies of the deployment and its replica sets; steps change the copies, and at the end every
//! copy that differs from what was read becomes one write: the new replica set first, then old ones, then the status.
//!
//! Upstream: deployment.syncDeployment.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStatus, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;

use super::{history, scale, status};
use crate::engine::{DeleteOptions, Event, Operation, Plan, Write};
use crate::{meta, pods};

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub deployment: Arc<Deployment>,
    /// Claimed replica sets.
    pub replica_sets: Vec<Arc<ReplicaSet>>,
    /// Pods of those sets; filled for the Recreate strategy only.
    pub pods: Vec<Arc<Pod>>,
    pub now: Timestamp,
}

/// A replica set as it shall be.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub set: ReplicaSet,
    /// Replicas as read; `None` if the set is still to be created.
    pub before: Option<i32>,
    pub changed: bool,
}

impl Set {
    pub(crate) fn replicas(&self) -> i32 {
        replicas_of(&self.set)
    }

    pub(crate) fn name(&self) -> &str {
        meta::name(&self.set.metadata)
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        meta::annotation(&self.set.metadata, key)
    }

    /// Sets an annotation and says whether that changed it.
    pub(crate) fn annotate(&mut self, key: &str, value: &str) -> bool {
        if self.annotation(key) == Some(value) {
            return false;
        }
        self.set.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
        self.changed = true;
        true
    }

    pub(crate) fn available(&self) -> i32 {
        self.set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
    }
}

pub(super) fn replicas_of(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// Sum of the replicas asked for.
pub(super) fn total<'a>(sets: impl IntoIterator<Item = &'a Set>) -> i32 {
    sets.into_iter().map(Set::replicas).sum()
}

pub(super) fn is_recreate(deployment: &Deployment) -> bool {
    deployment.spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

pub(super) struct Planner {
    pub deployment: Deployment,
    pub spec: DeploymentSpec,
    pub status: DeploymentStatus,
    /// The set with the deployment's template.
    pub new: Option<Set>,
    /// All others, oldest first.
    pub old: Vec<Set>,
    pub now: Timestamp,
    events: Vec<Event>,
    deletes: Vec<Write>,
    requeue_after: Option<Duration>,
}

impl Planner {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let deployment = (*snapshot.deployment).clone();
        let spec = deployment.spec.clone();
        let mut sets = snapshot.replica_sets.clone();
        sets.sort_by(|a, b| history::by_age(a, b));
        let new = sets.iter().position(|set| history::same_template(set, &spec.template)).map(|at| sets.remove(at));
        let wrap = |set: Arc<ReplicaSet>| Set { before: Some(replicas_of(&set)), set: (*set).clone(), changed: false };
        Self {
            status: status::normal(&deployment.status.clone().unwrap_or_default()),
            deployment,
            spec,
            new: new.map(wrap),
            old: sets.into_iter().map(wrap).collect(),
            now: snapshot.now,
            events: Vec::new(),
            deletes: Vec::new(),
            requeue_after: None,
        }
    }

    pub(crate) fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    pub(crate) fn name(&self) -> &str {
        meta::name(&self.deployment.metadata)
    }

    /// New set first, as upstream's `append(oldRSs, newRS)` is only ever summed or sorted.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Set> {
        self.new.iter().chain(&self.old)
    }

    pub(crate) fn event(&mut self, warning: bool, reason: &'static str, message: String) {
        let make = if warning { meta::warning::<Deployment> } else { meta::normal::<Deployment> };
        self.events.push(make(&self.deployment.metadata, reason, message));
    }

    pub(crate) fn take_events(&mut self) -> Vec<Operation> {
        self.events.drain(..).map(Operation::Event).collect()
    }

    pub(crate) fn delete(&mut self, set: &ReplicaSet) {
        let options = DeleteOptions { uid: set.metadata.uid.clone(), ..DeleteOptions::default() };
        self.deletes.push(Write::delete_with::<ReplicaSet>(&set.metadata, options));
    }

    pub(crate) fn requeue_after(&mut self, duration: Duration) {
        self.requeue_after = Some(duration);
    }

    /// Turns the changed copies into writes.
    pub(crate) fn finish(mut self, snapshot: &Snapshot) -> Plan {
        let mut plan = Plan { requeue_after: self.requeue_after, ..Plan::default() };
        for event in std::mem::take(&mut self.events) {
            plan.push(event);
        }
        for set in self.new.iter().chain(&self.old) {
            if set.before.is_none() {
                let mut write = Write::create(&set.set);
                if set.replicas() > 0 {
                    write = write.announce_success(self.scaled(set, "up", 0));
                }
                plan.push(write);
            } else if set.changed {
                let before = set.before.unwrap_or(0);
                let mut write = Write::update(&set.set);
                if before != set.replicas() {
                    write = write.announce_success(self.scaled(
                        set,
                        if before < set.replicas() { "up" } else { "down" },
                        before,
                    ));
                }
                plan.push(write);
            }
        }
        plan.operations.extend(self.deletes.drain(..).map(Operation::Write));
        plan.operations.extend(self.status_write(snapshot));
        plan
    }

    fn scaled(&self, set: &Set, direction: &str, before: i32) -> Event {
        let message = format!("Scaled {direction} replica set {} from {before} to {}", set.name(), set.replicas());
        meta::normal::<Deployment>(&self.deployment.metadata, "ScalingReplicaSet", message)
    }

    /// The status (and with it the revision annotation), if it differs from what was read.
    pub(crate) fn status_write(&self, snapshot: &Snapshot) -> Option<Operation> {
        let read = &snapshot.deployment;
        let before = status::normal(&read.status.clone().unwrap_or_default());
        if before == self.status && read.metadata.annotations == self.deployment.metadata.annotations {
            return None;
        }
        let deployment = Deployment { status: Some(self.status.clone()), ..self.deployment.clone() };
        Some(Write::update_status(&deployment).into())
    }
}

pub(super) fn plan(snapshot: &Snapshot) -> Plan {
    let mut planner = Planner::new(snapshot);
    let selector = &planner.spec.selector;
    if selector.match_labels.as_ref().is_none_or(|labels| labels.is_empty())
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
    {
        planner.event(
            true,
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.".to_owned(),
        );
        if planner.status.observed_generation < planner.deployment.metadata.generation {
            planner.status.observed_generation = planner.deployment.metadata.generation;
        }
        return planner.finish(snapshot);
    }
    if meta::is_deleting(&planner.deployment.metadata) {
        planner.sync_revision(false);
        planner.sync_status();
        return planner.finish(snapshot);
    }
    planner.check_paused();
    let paused = planner.spec.paused == Some(true);
    let rollback = history::rollback_to(&planner.deployment);
    if !paused && let Some(revision) = rollback {
        return planner.rollback(revision);
    }
    planner.sync_revision(false);
    if paused || planner.is_scaling_event() {
        planner.scale();
        if paused && rollback.is_none() {
            planner.clean_up();
        }
        planner.sync_status();
    } else if is_recreate(&snapshot.deployment) {
        planner.recreate(&snapshot.pods);
    } else {
        planner.roll();
    }
    planner.finish(snapshot)
}

impl Planner {
    /// Old pods go before new ones come. Upstream: deployment.rolloutRecreate.
    fn recreate(&mut self, pods: &[Arc<Pod>]) {
        let mut scaled = false;
        for set in self.old.iter_mut().filter(|set| set.replicas() > 0) {
            scaled |= scale::resize(set, 0, &self.spec);
        }
        if !scaled && !self.old_pods_running(pods) {
            self.sync_revision(true);
            let replicas = self.replicas();
            if let Some(new) = &mut self.new {
                scale::resize(new, replicas, &self.spec);
            }
            if self.is_complete(&self.status) {
                self.clean_up();
            }
        }
        self.sync_rollout_status();
    }

    fn old_pods_running(&self, pods: &[Arc<Pod>]) -> bool {
        let new_uid = self.new.as_ref().map(|set| meta::uid(&set.set.metadata));
        let counted = self.old.iter().any(|set| set.set.status.as_ref().is_some_and(|status| status.replicas > 0));
        counted
            || pods.iter().any(|pod| {
                let owner = meta::controller_of(&pod.metadata).map(|owner| owner.uid.as_str());
                owner != new_uid && !pods::is_terminal(pod)
            })
    }

    /// Removes the oldest finished replica sets beyond the history limit. Upstream: deployment.cleanupDeployment.
    pub(crate) fn clean_up(&mut self) {
        let Some(limit) = self.spec.revision_history_limit.filter(|limit| *limit != i32::MAX) else { return };
        let mut sets: Vec<ReplicaSet> =
            self.old.iter().map(|set| set.set.clone()).filter(|set| !meta::is_deleting(&set.metadata)).collect();
        let surplus = sets.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        sets.sort_by(history::by_revision);
        for set in sets.iter().take(surplus) {
            let status = set.status.clone().unwrap_or_default();
            let idle = status.replicas == 0 && replicas_of(set) == 0;
            if idle && set.metadata.generation.unwrap_or(0) <= status.observed_generation.unwrap_or(0) {
                self.delete(set);
            }
        }
    }
}
