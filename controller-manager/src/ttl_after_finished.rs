//! ttl-after-finished-controller: removes finished jobs when their time to live is over.
//!
//! Upstream: pkg/controller/ttlafterfinished.

use std::sync::Arc;
use std::time::Duration;

use client::Informer;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::engine::{self, Applier, Context, Controller, DeleteOptions, Error, Key, Requeue, Resource, Write, apply};
use crate::meta;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let jobs: Informer<Job> = context.informers.of();
    let applier = Arc::new(context.applier(name));
    let read = jobs.clone();
    Controller::new(name, &context)
        .watch(&jobs, |change, queue| {
            let job = change.object();
            if matches!(due(job, engine::now()), Due::Now | Due::In(_)) {
                queue.add(Key::of(&**job));
            }
        })
        .run(context.config.concurrent_job_syncs, move |key: Key| {
            let job = read.get(&key.namespace, &key.name);
            let applier = applier.clone();
            async move { reconcile(&applier, job.as_deref()).await }
        })
        .await;
}

async fn reconcile(applier: &Applier, job: Option<&Job>) -> Result<Requeue, Error> {
    let Some(job) = job else { return Ok(Requeue::Done) };
    match due(job, engine::now()) {
        Due::Never => return Ok(Requeue::Done),
        Due::In(wait) => return Ok(Requeue::After(wait)),
        Due::Now => {}
    }
    // The time to live may have been raised a moment ago.
    let path = Resource::of::<Job>().path(meta::namespace(&job.metadata), meta::name(&job.metadata), "");
    let fresh: Job = match apply::get(applier.client(), &path).await {
        Err(error) if error.is_not_found() => return Ok(Requeue::Done),
        other => other?,
    };
    match due(&fresh, engine::now()) {
        Due::Never => Ok(Requeue::Done),
        Due::In(wait) => Ok(Requeue::After(wait)),
        Due::Now => {
            let options = DeleteOptions {
                uid: fresh.metadata.uid.clone(),
                propagation: Some("Foreground"),
                ..DeleteOptions::default()
            };
            applier.apply(Write::delete_with::<Job>(&fresh.metadata, options).into()).await?;
            Ok(Requeue::Done)
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Due {
    Never,
    In(Duration),
    Now,
}

fn due(job: &Job, now: Timestamp) -> Due {
    let ttl = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished);
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let finished = conditions
        .filter(|condition| matches!(condition.type_.as_str(), "Complete" | "Failed") && condition.status == "True")
        .find_map(|condition| condition.last_transition_time.as_ref());
    match (ttl, finished) {
        (Some(ttl), Some(finished)) if !meta::is_deleting(&job.metadata) => {
            meta::until(meta::after(finished.0, i64::from(ttl)), now).map_or(Due::Now, Due::In)
        }
        _ => Due::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{at, object};

    #[test]
    fn a_finished_job_is_due_after_its_time_to_live() {
        let job: Job = object(
            "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {ttlSecondsAfterFinished: 60, template: {}},
              status: {conditions: [{type: Complete, status: 'True', lastTransitionTime: '2026-01-01T10:00:00Z'}]}}",
        );
        assert_eq!(due(&job, at("10:00:30")), Due::In(Duration::from_secs(30)));
        assert_eq!(due(&job, at("10:01:00")), Due::Now);
    }

    #[test]
    fn an_unfinished_job_and_one_without_time_to_live_stay() {
        let running: Job = object(
            "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {ttlSecondsAfterFinished: 0, template: {}}}",
        );
        assert_eq!(due(&running, at("10:00:00")), Due::Never);
        let kept: Job = object(
            "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {}},
              status: {conditions: [{type: Failed, status: 'True', lastTransitionTime: '2026-01-01T10:00:00Z'}]}}",
        );
        assert_eq!(due(&kept, at("10:00:00")), Due::Never);
    }
}
