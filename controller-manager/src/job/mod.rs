//! job-controller: runs pods until enough of them succeeded.
//!
//! Decisions are in [`plan`], exact counting in [`track`]. Between own writes and the caches a key is held back by
//! expectations (pods created and deleted) and by the uids whose finalizer was just removed. The back-off record is
//! kept in memory only: after a restart a failed pod may be replaced earlier than it would have been.
//!
//! Upstream: pkg/controller/job.

mod backoff;
mod indexes;
mod plan;
mod policy;
#[cfg(test)]
mod tests;
mod track;

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Change, Informer, WorkQueue};
use futures::future::join_all;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::engine::{self, Applier, Context, Controller, Error, Expectations, Key, PatchKind, Requeue, Write};
use crate::{claim, meta, pods};
use backoff::Backoff;
use plan::{FINALIZER, Manage, Pass, Snapshot};

/// Changes of a job's pods within this time are worked on together. Upstream waits a second.
const BATCH: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Job(Key),
    /// A pod with our finalizer whose job is gone or finished.
    OrphanPod(Key),
}

struct State {
    jobs: Informer<Job>,
    pods: Informer<Pod>,
    expectations: Expectations<Key>,
    memory: Mutex<HashMap<Key, Memory>>,
    applier: Applier,
}

/// What is remembered of a job between passes.
#[derive(Debug, Default)]
struct Memory {
    backoff: Backoff,
    finalizers_going: HashSet<String>,
    /// The uid of the job that was marked finished, until the cache shows it.
    finished: Option<String>,
}

/// Waits after failures: each tells its user by an event. Upstream: DefaultJobApiBackOff, MaxJobApiBackOff.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        jobs: context.informers.of(),
        pods: context.informers.of(),
        expectations: Expectations::default(),
        memory: Mutex::default(),
        applier: context.applier(name),
    });
    state.pods.add_index(pods::BY_CONTROLLER, pods::controller_index);
    let (on_job, on_pod) = (state.clone(), state.clone());
    let controller = Controller::new(name, &context);
    controller.queue().wait_after_failures(FIRST_WAIT, LONGEST_WAIT);
    controller
        .watch(&state.jobs, move |change, queue| on_job.job_changed(change, queue))
        .watch(&state.pods, move |change, queue| on_pod.pod_changed(change, queue))
        .run(context.config.concurrent_job_syncs, move |work| {
            let state = state.clone();
            async move {
                match work {
                    Work::Job(key) => state.reconcile(key).await,
                    Work::OrphanPod(key) => state.free_orphan(key).await,
                }
            }
        })
        .await;
}

impl State {
    fn with_memory<T>(&self, key: &Key, act: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        act(memory.entry(key.clone()).or_default())
    }

    fn forget(&self, key: &Key) {
        self.expectations.forget(key);
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    fn job_changed(&self, change: &Change<Job>, queue: &WorkQueue<Work>) {
        let job = change.object();
        let key = Key::of(&**job);
        match change {
            Change::Deleted(_) => {
                for pod in self.pods.by_index(pods::BY_CONTROLLER, meta::uid(&job.metadata)) {
                    queue.add(Work::OrphanPod(Key::of(&*pod)));
                }
                queue.add(Work::Job(key));
            }
            Change::Applied { old: Some(old), .. } if old.metadata.generation == job.metadata.generation => {
                // Most likely our own status.
                queue.add_after(Work::Job(key), BATCH);
            }
            Change::Applied { .. } => queue.add(Work::Job(key)),
        }
    }

    fn owner(&self, pod: &Pod) -> Option<Arc<Job>> {
        let reference = meta::controller_of(&pod.metadata).filter(|owner| owner.kind == "Job")?;
        let job = self.jobs.get(meta::namespace(&pod.metadata), &reference.name)?;
        (job.metadata.uid.as_ref() == Some(&reference.uid)).then_some(job)
    }

    fn pod_changed(&self, change: &Change<Pod>, queue: &WorkQueue<Work>) {
        let pod = change.object();
        let uid = meta::uid(&pod.metadata);
        let deleted = matches!(change, Change::Deleted(_));
        let owner = self.owner(pod);
        if plan::has_finalizer(pod) && !deleted && owner.as_ref().is_none_or(|job| plan::is_finished(job)) {
            let ours = meta::controller_of(&pod.metadata).is_none_or(|owner| owner.kind == "Job");
            if ours {
                queue.add(Work::OrphanPod(Key::of(&**pod)));
            }
        }
        if let Change::Applied { old: Some(old), .. } = change
            && let Some(before) = self
                .owner(old)
                .filter(|before| owner.as_ref().is_none_or(|owner| owner.metadata.uid != before.metadata.uid))
        {
            queue.add(Work::Job(Key::of(&*before)));
        }
        let Some(job) = owner else {
            self.offer_orphan(change, queue);
            return;
        };
        let key = Key::of(&*job);
        if deleted || !plan::has_finalizer(pod) {
            self.with_memory(&key, |memory| memory.finalizers_going.remove(uid));
        }
        match change {
            Change::Applied { old: None, .. } => {
                self.expectations.creation_observed(&key);
                if meta::is_deleting(&pod.metadata) {
                    self.expectations.deletion_observed(&key, uid);
                }
                queue.add_after(Work::Job(key), BATCH);
            }
            Change::Applied { .. } => {
                if meta::is_deleting(&pod.metadata) {
                    self.expectations.deletion_observed(&key, uid);
                }
                queue.add_after(Work::Job(key), BATCH);
            }
            Change::Deleted(_) => {
                self.expectations.deletion_observed(&key, uid);
                queue.add_after(Work::Job(key), BATCH);
            }
        }
    }

    fn offer_orphan(&self, change: &Change<Pod>, queue: &WorkQueue<Work>) {
        let pod = change.object();
        let orphan = meta::controller_of(&pod.metadata).is_none() && !meta::is_deleting(&pod.metadata);
        let news = match change {
            Change::Applied { old: Some(old), .. } => {
                old.metadata.labels != pod.metadata.labels || meta::controller_of(&old.metadata).is_some()
            }
            Change::Applied { old: None, .. } => true,
            Change::Deleted(_) => false,
        };
        if !orphan || !news {
            return;
        }
        for job in self.jobs.list_in(meta::namespace(&pod.metadata)) {
            let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref()).and_then(meta::selector);
            if selector.is_some_and(|selector| !selector.selects_all() && meta::selects(&selector, &pod.metadata)) {
                queue.add(Work::Job(Key::of(&*job)));
            }
        }
    }

    async fn free_orphan(&self, key: Key) -> Result<Requeue, Error> {
        let Some(pod) = self.pods.get(&key.namespace, &key.name).filter(|pod| plan::has_finalizer(pod)) else {
            return Ok(Requeue::Done);
        };
        if let Some(owner) = meta::controller_of(&pod.metadata) {
            let keep = self.owner(&pod).is_some_and(|job| plan::is_managed_elsewhere(&job) || !plan::is_finished(&job));
            if owner.kind != "Job" || owner.api_version != "batch/v1" || keep {
                return Ok(Requeue::Done);
            }
        }
        match self.applier.write(&remove_finalizer(&pod)).await {
            Err(error) if error.is_not_found() => Ok(Requeue::Done),
            other => other.map(|_| Requeue::Done),
        }
    }

    async fn claimed_pods(&self, job: &Job) -> Result<Option<Vec<Arc<Pod>>>, Error> {
        let Some(selector) = job.spec.as_ref().and_then(|spec| spec.selector.as_ref()).and_then(meta::selector) else {
            return Ok(None);
        };
        let mut candidates = self.pods.by_index(pods::BY_CONTROLLER, meta::uid(&job.metadata));
        candidates.extend(self.pods.by_index(pods::BY_CONTROLLER, &pods::orphan_key(meta::namespace(&job.metadata))));
        let claimed = claim::plan(&job.metadata, &selector, candidates, |_| true);
        let mut pods = claim::apply::<Pod, Job>(&self.applier, &job.metadata, claimed, &[FINALIZER]).await?;
        for pod in &mut pods {
            // A pod adopted a moment ago has our finalizer, though the cache does not show it yet.
            if !meta::is_controlled_by(&pod.metadata, &job.metadata) && !plan::has_finalizer(pod) {
                Arc::make_mut(pod).metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
            }
        }
        pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(Some(pods))
    }

    async fn reconcile(&self, key: Key) -> Result<Requeue, Error> {
        let Some(job) = self.jobs.get(&key.namespace, &key.name) else {
            self.forget(&key);
            return Ok(Requeue::Done);
        };
        if plan::is_managed_elsewhere(&job) {
            return Ok(Requeue::Done);
        }
        if plan::is_finished(&job) {
            self.forget(&key);
            return Ok(Requeue::Done);
        }
        let mode = job.spec.as_ref().and_then(|spec| spec.completion_mode.as_deref()).unwrap_or("NonIndexed");
        if !matches!(mode, "NonIndexed" | "Indexed") {
            let message = "Skipped Job sync because completion mode is unknown";
            self.applier.record(&meta::warning::<Job>(&job.metadata, "UnknownCompletionMode", message));
            return Ok(Requeue::Done);
        }
        let (backoff, finished) = self.with_memory(&key, |memory| (memory.backoff, memory.finished.clone()));
        if finished.is_some() && finished == job.metadata.uid {
            return Ok(Requeue::Done);
        }
        let trusted = self.expectations.satisfied(&key, engine::now());
        let Some(pods) = self.claimed_pods(&job).await? else { return Ok(Requeue::Done) };
        let finalizers_going = self.with_memory(&key, |memory| memory.finalizers_going.clone());
        let mut pass = Pass::new(Snapshot { job, pods, finalizers_going, backoff, now: engine::now() });
        let (changed, failure) = self.act(&key, &mut pass, trusted).await;
        let old = pass.job.status.clone().unwrap_or_default();
        let counters = pass.active != old.active.unwrap_or(0)
            || Some(pass.ready) != old.ready
            || Some(pass.terminating) != old.terminating;
        pass.status.active = meta::omit_zero(pass.active);
        pass.status.ready = Some(pass.ready);
        pass.status.terminating = Some(pass.terminating);
        for event in std::mem::take(&mut pass.events) {
            self.applier.record(&event);
        }
        self.track(&key, &mut pass, changed || counters).await?;
        match failure {
            Some(error) => Err(error),
            None => Ok(pass.requeue_after.map_or(Requeue::Done, Requeue::After)),
        }
    }

    /// Creates and deletes pods; returns whether conditions changed, and the first failure.
    async fn act(&self, key: &Key, pass: &mut Pass, trusted: bool) -> (bool, Option<Error>) {
        if pass.finished.is_some() {
            let active = pass.active_pods.clone();
            let all = active.len();
            let (deleted, failure) = self.delete_active(pass, active).await;
            if deleted != all || !trusted {
                // The end waits until every pod is known to go.
                pass.finished = None;
            }
            return (false, failure);
        }
        let managed = trusted && !meta::is_deleting(&pass.job.metadata);
        let mut failure = None;
        if managed {
            match pass.manage() {
                Manage::Nothing => {}
                Manage::Wait(duration) => pass.requeue_after(duration),
                Manage::Delete(pods) => failure = self.delete(key, pass, pods).await,
                Manage::Create(writes) => failure = self.create(key, pass, &writes).await,
            }
        }
        (pass.conclude(managed), failure)
    }

    async fn create(&self, key: &Key, pass: &mut Pass, writes: &[Write]) -> Option<Error> {
        self.expectations.expect_creations(key, writes.len(), engine::now());
        let outcome = self.applier.slow_start(writes).await;
        for _ in outcome.succeeded..writes.len() {
            self.expectations.creation_observed(key);
        }
        pass.active += i32::try_from(outcome.succeeded).unwrap_or(i32::MAX);
        outcome.error
    }

    /// Deletes pods of a job that goes on; they are not to be counted, so their finalizer goes first.
    async fn delete(&self, key: &Key, pass: &mut Pass, pods: Vec<Arc<Pod>>) -> Option<Error> {
        self.expectations.expect_deletions(
            key,
            pods.iter().map(|pod| meta::uid(&pod.metadata).to_owned()),
            engine::now(),
        );
        let job = &pass.job;
        let deletions = pods.iter().map(|pod| async move {
            let freed = if plan::has_finalizer(pod) {
                self.applier.write(&remove_finalizer(pod)).await.map(drop)
            } else {
                Ok(())
            };
            let result = match freed {
                Ok(()) => self.applier.write(&deletion(job, pod)).await.map(drop),
                failed => failed,
            };
            if result.is_err() {
                self.expectations.deletion_observed(key, meta::uid(&pod.metadata));
            }
            result
        });
        let results = join_all(deletions).await;
        note_deleted(pass, &pods, results).1
    }

    async fn delete_active(&self, pass: &mut Pass, pods: Vec<Arc<Pod>>) -> (usize, Option<Error>) {
        let job = &pass.job;
        let deletions = pods.iter().map(|pod| async move { self.applier.write(&deletion(job, pod)).await.map(drop) });
        let results = join_all(deletions).await;
        note_deleted(pass, &pods, results)
    }

    /// Writes the status in the order exact counting needs.
    async fn track(&self, key: &Key, pass: &mut Pass, changed: bool) -> Result<(), Error> {
        let mut flush = pass.prepare(changed);
        let mut dirty = flush.needed;
        if dirty {
            self.write_status(pass).await?;
            let backoff = pass.backoff;
            self.with_memory(key, |memory| memory.backoff = backoff);
            dirty = false;
        }
        let pods = std::mem::take(&mut flush.pods);
        let (removed, failure) = self.remove_finalizers(key, &pods).await;
        dirty |= pass.finalizers_removed(&mut flush, &removed);
        if let Some(error) = failure {
            if dirty {
                self.write_status(pass).await?;
            }
            return Err(error);
        }
        let finished = !flush.full && pass.enact_finished();
        if dirty || finished {
            self.write_status(pass).await?;
        }
        if finished {
            for event in pass.finish_events() {
                self.applier.record(&event);
            }
            let uid = pass.job.metadata.uid.clone();
            self.with_memory(key, |memory| memory.finished = uid);
        }
        Ok(())
    }

    async fn write_status(&self, pass: &mut Pass) -> Result<(), Error> {
        let answer = self.applier.write(&pass.status_write()).await?;
        pass.job.metadata.resource_version = answer["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        Ok(())
    }

    async fn remove_finalizers(&self, key: &Key, pods: &[Arc<Pod>]) -> (HashSet<String>, Option<Error>) {
        let uid = |pod: &Pod| meta::uid(&pod.metadata).to_owned();
        self.with_memory(key, |memory| memory.finalizers_going.extend(pods.iter().map(|pod| uid(pod))));
        let results =
            join_all(pods.iter().map(|pod| async move { self.applier.write(&remove_finalizer(pod)).await })).await;
        let (mut removed, mut failure) = (HashSet::new(), None);
        for (pod, result) in pods.iter().zip(results) {
            match result {
                Ok(_) => drop(removed.insert(uid(pod))),
                Err(error) => {
                    self.with_memory(key, |memory| memory.finalizers_going.remove(&uid(pod)));
                    if error.is_not_found() {
                        removed.insert(uid(pod));
                    } else {
                        failure = failure.or(Some(error));
                    }
                }
            }
        }
        (removed, failure)
    }
}

fn remove_finalizer(pod: &Pod) -> Write {
    let body = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
    Write::patch::<Pod>(&pod.metadata, PatchKind::Strategic, body)
}

fn deletion(job: &Job, pod: &Pod) -> Write {
    Write::delete::<Pod>(&pod.metadata)
        .announce_success(meta::normal::<Job>(
            &job.metadata,
            "SuccessfulDelete",
            format!("Deleted pod: {}", meta::name(&pod.metadata)),
        ))
        .announce_failure(meta::warning::<Job>(&job.metadata, "FailedDelete", "Error deleting: {error}"))
}

/// Takes deleted pods out of the counts; a pod that was gone already counts as deleted.
fn note_deleted(pass: &mut Pass, pods: &[Arc<Pod>], results: Vec<Result<(), Error>>) -> (usize, Option<Error>) {
    let (mut deleted, mut failure) = (0, None);
    for (pod, result) in pods.iter().zip(results) {
        match result {
            Err(error) if !error.is_not_found() => failure = failure.or(Some(error)),
            _ => {
                deleted += 1;
                pass.active -= 1;
                pass.terminating += 1;
                pass.ready -= i32::from(pods::is_ready(pod));
            }
        }
    }
    (deleted, failure)
}
