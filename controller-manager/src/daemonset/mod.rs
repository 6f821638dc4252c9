//! daemonset-controller: one pod on every node that fits.
//!
//! Pods are bound by the scheduler, to which each names its node by required affinity. Template versions are kept as
//! controller revisions, whose name is a function of the template. Held back by expectations between own writes and the
//! cache. Back-off of failing pods is in memory and starts anew after a restart.
//!
//! Upstream: pkg/controller/daemon.

mod history;
mod plan;
mod rolling;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Change, Informer, WorkQueue};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::engine::{self, Applier, Context, Controller, Error, Expectations, Key, Requeue, Resource, Write, apply};
use crate::{claim, meta, pods, revisions};
use history::Step;
use plan::{Backoffs, Changes, Snapshot, should_run};

const WORKERS: usize = 2;

struct State {
    sets: Informer<DaemonSet>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    revisions: Informer<ControllerRevision>,
    expectations: Expectations<Key>,
    backoffs: Mutex<HashMap<Key, Backoffs>>,
    applier: Applier,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        sets: context.informers.of(),
        pods: context.informers.of(),
        nodes: context.informers.of(),
        revisions: context.informers.of(),
        expectations: Expectations::default(),
        backoffs: Mutex::default(),
        applier: context.applier(name),
    });
    state.pods.add_index(pods::BY_CONTROLLER, pods::controller_index);
    state.revisions.add_index(revisions::BY_OWNER, revisions::owner_index);
    let (on_set, on_pod, on_node, on_revision) = (state.clone(), state.clone(), state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.sets, move |change, queue| {
            let key = Key::of(&**change.object());
            if matches!(change, Change::Deleted(_)) {
                on_set.expectations.forget(&key);
                on_set.backoffs.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            }
            queue.add(key);
        })
        .watch(&state.nodes, move |change, queue| on_node.node_changed(change, queue))
        .watch(&state.pods, move |change, queue| on_pod.pod_changed(change, queue))
        .watch(&state.revisions, move |change: &Change<ControllerRevision>, queue| {
            let revision = change.object();
            if let Some(owner) = meta::controller_of(&revision.metadata).filter(|owner| owner.kind == "DaemonSet") {
                let namespace = meta::namespace(&revision.metadata);
                if on_revision.sets.get(namespace, &owner.name).is_some() {
                    queue.add(Key::new(namespace, &*owner.name));
                }
            }
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    fn node_changed(&self, change: &Change<Node>, queue: &WorkQueue<Key>) {
        let node = change.object();
        if let Change::Applied { old: Some(old), .. } = change {
            let relevant =
                |node: &Node| (node.metadata.labels.clone(), node.spec.as_ref().and_then(|spec| spec.taints.clone()));
            if relevant(old) == relevant(node) {
                return;
            }
        }
        for set in self.sets.list() {
            let affected = match change {
                Change::Applied { old: Some(old), new } => should_run(&set, old) != should_run(&set, new),
                Change::Applied { old: None, new } => should_run(&set, new) != (false, false),
                Change::Deleted(_) => true,
            };
            if affected {
                queue.add(Key::of(&*set));
            }
        }
    }

    fn owner_key(&self, pod: &Pod) -> Option<Key> {
        let reference = meta::controller_of(&pod.metadata).filter(|owner| owner.kind == "DaemonSet")?;
        let namespace = meta::namespace(&pod.metadata);
        let set = self.sets.get(namespace, &reference.name)?;
        (set.metadata.uid.as_ref() == Some(&reference.uid)).then(|| Key::new(namespace, &*reference.name))
    }

    fn pod_changed(&self, change: &Change<Pod>, queue: &WorkQueue<Key>) {
        let pod = change.object();
        let uid = meta::uid(&pod.metadata);
        if let Some(key) = self.owner_key(pod) {
            match change {
                Change::Applied { old, .. } => {
                    if old.is_none() {
                        self.expectations.creation_observed(&key);
                    }
                    if meta::is_deleting(&pod.metadata) {
                        self.expectations.deletion_observed(&key, uid);
                    }
                }
                Change::Deleted(_) => self.expectations.deletion_observed(&key, uid),
            }
            queue.add(key);
        } else if meta::controller_of(&pod.metadata).is_none() && matches!(change, Change::Applied { .. }) {
            for set in self.sets.list_in(meta::namespace(&pod.metadata)) {
                let selector = meta::selector(&set.spec.selector);
                if selector.is_some_and(|selector| !selector.selects_all() && meta::selects(&selector, &pod.metadata)) {
                    queue.add(Key::of(&*set));
                }
            }
        }
        if let Change::Applied { old: Some(old), .. } = change
            && let Some(previous) = self.owner_key(old)
        {
            queue.add(previous);
        }
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(set) = self.sets.get(&key.namespace, &key.name) else {
            self.expectations.forget(&key);
            return Ok(Requeue::Done);
        };
        let Some(selector) = meta::selector(&set.spec.selector) else { return Ok(Requeue::Done) };
        if selector.selects_all() {
            let message = "This daemon set is selecting all pods. A non-empty selector is required.";
            self.applier.record(&meta::warning::<DaemonSet>(&set.metadata, "SelectingAll", message));
            return Ok(Requeue::Done);
        }
        if meta::is_deleting(&set.metadata) {
            return Ok(Requeue::Done);
        }
        let orphans = pods::orphan_key(&key.namespace);
        let uid = meta::uid(&set.metadata);
        let mut revisions = self.revisions.by_index(revisions::BY_OWNER, uid);
        revisions.extend(self.revisions.by_index(revisions::BY_OWNER, &orphans));
        let claimed = claim::plan(&set.metadata, &selector, revisions, |_| true);
        let revisions =
            claim::apply::<ControllerRevision, DaemonSet>(&self.applier, &set.metadata, claimed, &[]).await?;
        let mut candidates = self.pods.by_index(pods::BY_CONTROLLER, uid);
        candidates.extend(self.pods.by_index(pods::BY_CONTROLLER, &orphans));
        let claimed = claim::plan(&set.metadata, &selector, candidates, |_| true);
        let claimed = claim::apply::<Pod, DaemonSet>(&self.applier, &set.metadata, claimed, &[]).await?;

        let history = history::plan(&set, revisions, &claimed);
        for step in history.steps {
            self.history_step(&set, step).await?;
        }
        let snapshot = Snapshot::new(set.clone(), self.nodes.list(), claimed, history.hash, engine::now());
        let trusted = self.expectations.satisfied(&key, engine::now());
        let mut failure = None;
        let mut requeue = None;
        if trusted {
            let changes = {
                let mut backoffs = self.backoffs.lock().unwrap_or_else(PoisonError::into_inner);
                plan::manage(&snapshot, backoffs.entry(key.clone()).or_default())
            };
            requeue = changes.requeue_after;
            failure = self.sync_nodes(&key, &snapshot, changes).await.err();
            if failure.is_none() && self.expectations.satisfied(&key, engine::now()) {
                failure = self.sync_nodes(&key, &snapshot, rolling::plan(&snapshot)).await.err();
                for revision in history::superfluous(&set, &history.old, &snapshot) {
                    self.applier.apply(Write::delete::<ControllerRevision>(&revision.metadata).into()).await?;
                }
            }
        }
        let (status, check) = plan::status(&snapshot, trusted);
        if let Some(status) = status {
            let set = DaemonSet { status: Some(status), ..(*set).clone() };
            self.applier.apply(Write::update_status(&set).into()).await?;
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(requeue.into_iter().chain(check).min().map_or(Requeue::Done, Requeue::After)),
        }
    }

    async fn history_step(&self, set: &DaemonSet, step: Step) -> Result<(), Error> {
        let (write, data) = match step {
            Step::Write(write) => return self.applier.apply(write.into()).await,
            Step::Create { write, data } => (write, data),
        };
        let Err(error) = self.applier.write(&write).await else { return Ok(()) };
        if !error.is_already_exists() {
            return Err(error);
        }
        let path = Resource::of::<ControllerRevision>().path(&write.namespace, &write.name, "");
        let existing: ControllerRevision = apply::get(self.applier.client(), &path).await?;
        if revisions::matches(&existing, &data) && meta::is_controlled_by(&existing.metadata, &set.metadata) {
            return Ok(());
        }
        let mut set = set.clone();
        let status = set.status.get_or_insert_default();
        status.collision_count = Some(status.collision_count.unwrap_or(0) + 1);
        self.applier.apply(Write::update_status(&set).into()).await?;
        Err(error)
    }

    async fn sync_nodes(&self, key: &Key, snapshot: &Snapshot, changes: Changes) -> Result<(), Error> {
        for event in &changes.events {
            self.applier.record(event);
        }
        let creates = plan::creations(snapshot, &changes.create);
        let deletes = plan::deletions(snapshot, &changes.delete);
        self.expectations.expect_deletions(key, deletes.iter().map(|(uid, _)| uid.clone()), engine::now());
        self.expectations.raise(key, creates.len(), [], engine::now());
        let outcome = self.applier.slow_start(&creates).await;
        for _ in outcome.succeeded..creates.len() {
            self.expectations.creation_observed(key);
        }
        let mut failure = outcome.error;
        let results =
            join_all(deletes.iter().map(|(uid, write)| async move { (uid, self.applier.write(write).await) })).await;
        for (uid, result) in results {
            if let Err(error) = result {
                self.expectations.deletion_observed(key, uid);
                if !error.is_not_found() {
                    failure = failure.or(Some(error));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }
}
