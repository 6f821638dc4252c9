//! cronjob-controller: creates jobs on a schedule.
//!
//! A job's name is a function of the time it was due, so that it is created once however often one tries. A cron job is
//! queued for its next time; changes of it and of its jobs queue it too.
//!
//! Upstream: pkg/controller/cronjob.

mod plan;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::api::batch::v1::{CronJob, Job};

use crate::engine::{self, Applier, Context, Controller, Error, Key, Requeue, Resource, Write, apply};
use crate::meta;
use plan::Snapshot;

const WORKERS: usize = 5;
const BY_CRON_JOB: &str = "cronjob-uid";

struct State {
    cron_jobs: Informer<CronJob>,
    jobs: Informer<Job>,
    applier: Applier,
}

fn owner_index(job: &Job) -> Vec<String> {
    let owner = meta::controller_of(&job.metadata).filter(|owner| owner.kind == "CronJob");
    owner.map(|owner| vec![owner.uid.clone()]).unwrap_or_default()
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        cron_jobs: context.informers.of(),
        jobs: context.informers.of(),
        applier: context.applier(name),
    });
    state.jobs.add_index(BY_CRON_JOB, owner_index);
    let on_job = state.clone();
    Controller::new(name, &context)
        .watch(&state.cron_jobs, |change: &Change<CronJob>, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.jobs, move |change: &Change<Job>, queue| {
            let job = change.object();
            let namespace = meta::namespace(&job.metadata);
            if let Some(owner) = meta::controller_of(&job.metadata).filter(|owner| owner.kind == "CronJob")
                && on_job.cron_jobs.get(namespace, &owner.name).is_some()
            {
                queue.add(Key::new(namespace, &*owner.name));
            }
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(cached) = self.cron_jobs.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let mut cron_job = (*cached).clone();
        let jobs = self.jobs.by_index(BY_CRON_JOB, meta::uid(&cron_job.metadata));
        let unknown = jobs
            .iter()
            .any(|job| plan::finished(job).is_none() && !plan::is_active(&cron_job, job.metadata.uid.as_ref()));
        if unknown {
            // Most likely created a moment ago, and the cache does not show our status yet.
            let path = Resource::of::<CronJob>().path(&key.namespace, &key.name, "");
            cron_job = match apply::get(self.applier.client(), &path).await {
                Err(error) if error.is_not_found() => return Ok(Requeue::Done),
                other => other?,
            };
        }
        let missing = self.missing_jobs(&cron_job, &jobs).await?;
        let snapshot = Snapshot { cron_job, jobs, missing, now: engine::now() };
        let outcome = plan::plan(&snapshot);
        for event in &outcome.events {
            self.applier.record(event);
        }
        let mut status = outcome.status;
        let mut failure = None;
        for write in outcome.replaced.iter().chain(&outcome.superfluous) {
            self.applier.apply(write.clone().into()).await?;
        }
        if let Some((job, due)) = outcome.create {
            match self.create(&snapshot.cron_job, &job).await {
                Ok(Some(job)) => {
                    status.active.get_or_insert_default().push(plan::reference(&job));
                    status.last_schedule_time = Some(meta::time(due));
                }
                Ok(None) => {}
                Err(error) => failure = Some(error),
            }
        }
        if snapshot.cron_job.status.clone().unwrap_or_default() != status {
            let cron_job = CronJob { status: Some(status), ..snapshot.cron_job };
            self.applier.apply(Write::update_status(&cron_job).into()).await?;
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(outcome.requeue_after.map_or(Requeue::Done, Requeue::After)),
        }
    }

    async fn missing_jobs(&self, cron_job: &CronJob, jobs: &[Arc<Job>]) -> Result<HashSet<String>, Error> {
        let mut missing = HashSet::new();
        for active in cron_job.status.iter().flat_map(|status| status.active.iter().flatten()) {
            let (Some(uid), Some(name)) = (&active.uid, &active.name) else { continue };
            if jobs.iter().any(|job| job.metadata.uid.as_ref() == Some(uid)) {
                continue;
            }
            let path = Resource::of::<Job>().path(meta::namespace(&cron_job.metadata), name, "");
            match apply::get::<Job>(self.applier.client(), &path).await {
                Err(error) if error.is_not_found() => drop(missing.insert(uid.clone())),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
        }
        Ok(missing)
    }

    /// The created job; the present one if an earlier pass created it without noting it; `None` if it is not ours.
    async fn create(&self, cron_job: &CronJob, job: &Job) -> Result<Option<Job>, Error> {
        let about = &cron_job.metadata;
        let write = Write::create(job).announce_success(meta::normal::<CronJob>(
            about,
            "SuccessfulCreate",
            "Created job {name}",
        ));
        match self.applier.write(&write).await {
            Ok(answer) => {
                let path = write.name.clone();
                serde_json::from_value(answer).map(Some).map_err(|source| Error::Decode { path, source })
            }
            Err(error) if error.is_already_exists() => {
                let path = Resource::of::<Job>().path(&write.namespace, &write.name, "");
                let present: Job = apply::get(self.applier.client(), &path).await?;
                let known = plan::is_active(cron_job, present.metadata.uid.as_ref());
                Ok(Some(present).filter(|present| !known && meta::is_controlled_by(&present.metadata, about)))
            }
            Err(error) => {
                if !error.is_namespace_terminating() {
                    let message = format!("Error creating job: {}", error.api_message());
                    self.applier.record(&meta::warning::<CronJob>(about, "FailedCreate", message));
                }
                Err(error)
            }
        }
    }
}
