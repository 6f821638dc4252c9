//! Which job is due, what has become of the active ones, and which finished ones to remove.
//!
//! Upstream: cronjob.syncCronJob, mostRecentScheduleTime, cleanupFinishedJobs.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use k8s_openapi::api::batch::v1::{CronJob, CronJobStatus, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::schedule::Schedule;
use crate::engine::{DeleteOptions, Event, Write};
use crate::meta;

const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Added to waits, so that a job is not looked for a moment too early.
const MARGIN: Duration = Duration::from_millis(100);

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub cron_job: CronJob,
    pub jobs: Vec<Arc<Job>>,
    /// Uids of active jobs the server does not have.
    pub missing: HashSet<String>,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub events: Vec<Event>,
    /// Running jobs that a new one replaces; they must go before it starts.
    pub replaced: Vec<Write>,
    /// The job that is due, and the time it was due.
    pub create: Option<(Job, Timestamp)>,
    /// Finished jobs beyond the history limits.
    pub superfluous: Vec<Write>,
    pub status: CronJobStatus,
    pub requeue_after: Option<Duration>,
}

/// `Complete` or `Failed`.
pub(super) fn finished(job: &Job) -> Option<&'static str> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut ended = conditions.filter(|condition| condition.status == "True").map(|condition| condition.type_.as_str());
    ended.find_map(|kind| match kind {
        "Complete" => Some("Complete"),
        "Failed" => Some("Failed"),
        _ => None,
    })
}

pub(super) fn reference(job: &Job) -> ObjectReference {
    ObjectReference { resource_version: job.metadata.resource_version.clone(), ..meta::reference::<Job>(&job.metadata) }
}

/// True if the uid is in the status's list.
pub(super) fn is_active(cron_job: &CronJob, uid: Option<&String>) -> bool {
    cron_job.status.iter().flat_map(|status| status.active.iter().flatten()).any(|active| active.uid.as_ref() == uid)
}

/// When the schedule last came due, and how often it did since it was last acted on.
fn most_recent(
    cron_job: &CronJob,
    schedule: &Schedule,
    now: Timestamp,
    with_deadline: bool,
) -> (Timestamp, Option<Timestamp>, i64) {
    let last = cron_job.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
    let mut earliest = last.map_or_else(|| meta::created(&cron_job.metadata), |time| time.0);
    if let Some(deadline) = cron_job.spec.starting_deadline_seconds.filter(|_| with_deadline) {
        earliest = earliest.max(meta::after(now, -deadline));
    }
    let Some(first) = schedule.next(earliest).filter(|first| *first <= now) else { return (earliest, None, 0) };
    let Some(second) = schedule.next(first).filter(|second| *second <= now) else { return (earliest, Some(first), 1) };
    let period = second.duration_since(first).as_secs().max(1);
    let missed = now.duration_since(first).as_secs() / period + 1;
    // Jumps close to now, then walks: schedules need not be regular.
    let mut recent = Some(first);
    let mut at = meta::after(first, (missed - 2).max(0) * period);
    while let Some(next) = schedule.next(at).filter(|next| *next <= now) {
        recent = Some(next);
        at = next;
    }
    (earliest, recent, missed)
}

fn until_next(cron_job: &CronJob, schedule: &Schedule, now: Timestamp) -> Option<Duration> {
    let (earliest, recent, missed) = most_recent(cron_job, schedule, now, false);
    let from = recent.unwrap_or(if missed == 0 { earliest } else { now });
    let next = schedule.next(from)?;
    Some(meta::until(next, now).unwrap_or_default() + MARGIN)
}

pub(super) fn plan(snapshot: &Snapshot) -> Outcome {
    let cron_job = &snapshot.cron_job;
    let mut outcome = Outcome { status: cron_job.status.clone().unwrap_or_default(), ..Outcome::default() };
    note_jobs(snapshot, &mut outcome);
    clean_up(snapshot, &mut outcome);
    if !meta::is_deleting(&cron_job.metadata) && cron_job.spec.suspend != Some(true) {
        start(snapshot, &mut outcome);
    }
    if outcome.status.active.as_ref().is_some_and(Vec::is_empty) {
        outcome.status.active = None;
    }
    outcome
}

/// Follows the jobs of the past.
fn note_jobs(snapshot: &Snapshot, outcome: &mut Outcome) {
    let about = &snapshot.cron_job.metadata;
    for job in &snapshot.jobs {
        let name = meta::name(&job.metadata);
        let active = is_active(&snapshot.cron_job, job.metadata.uid.as_ref());
        match finished(job) {
            None if !active => {
                let message = format!("Saw a job that the controller did not create or forgot: {name}");
                outcome.events.push(meta::warning::<CronJob>(about, "UnexpectedJob", message));
            }
            None => {}
            Some(condition) => {
                if active {
                    drop_active(&mut outcome.status, job.metadata.uid.as_deref());
                    let message = format!("Saw completed job: {name}, condition: {condition}");
                    outcome.events.push(meta::normal::<CronJob>(about, "SawCompletedJob", message));
                }
                let completed = job.status.as_ref().and_then(|status| status.completion_time.clone());
                if condition == "Complete" && completed > outcome.status.last_successful_time {
                    outcome.status.last_successful_time = completed;
                }
            }
        }
    }
    let gone: Vec<ObjectReference> = outcome
        .status
        .active
        .iter()
        .flatten()
        .filter(|active| active.uid.as_ref().is_some_and(|uid| snapshot.missing.contains(uid)))
        .cloned()
        .collect();
    for active in gone {
        let message = format!("Active job went missing: {}", active.name.clone().unwrap_or_default());
        outcome.events.push(meta::normal::<CronJob>(about, "MissingJob", message));
        drop_active(&mut outcome.status, active.uid.as_deref());
    }
}

fn drop_active(status: &mut CronJobStatus, uid: Option<&str>) {
    if let Some(active) = &mut status.active {
        active.retain(|one| one.uid.as_deref() != uid);
    }
}

fn deletion(cron_job: &CronJob, job: &Job) -> Write {
    let options =
        DeleteOptions { uid: job.metadata.uid.clone(), propagation: Some("Background"), ..DeleteOptions::default() };
    let message = format!("Deleted job {}", meta::name(&job.metadata));
    Write::delete_with::<Job>(&job.metadata, options)
        .announce_success(meta::normal::<CronJob>(&cron_job.metadata, "SuccessfulDelete", message))
        .announce_failure(meta::warning::<CronJob>(&cron_job.metadata, "FailedDelete", "Deleted job: {error}"))
}

/// Removes the oldest finished jobs beyond the history limits.
fn clean_up(snapshot: &Snapshot, outcome: &mut Outcome) {
    let spec = &snapshot.cron_job.spec;
    for (condition, limit) in
        [("Complete", spec.successful_jobs_history_limit), ("Failed", spec.failed_jobs_history_limit)]
    {
        let Some(limit) = limit else { continue };
        let mut jobs: Vec<&Arc<Job>> = snapshot.jobs.iter().filter(|job| finished(job) == Some(condition)).collect();
        jobs.sort_by_key(|job| {
            let started = job.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
            (Reverse(started.is_some()), started, meta::name(&job.metadata).to_owned())
        });
        let surplus = jobs.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        for job in jobs.into_iter().take(surplus).filter(|job| !meta::is_deleting(&job.metadata)) {
            drop_active(&mut outcome.status, job.metadata.uid.as_deref());
            outcome.superfluous.push(deletion(&snapshot.cron_job, job));
        }
    }
}

/// Starts the job that is due, if the policies let it.
fn start(snapshot: &Snapshot, outcome: &mut Outcome) {
    let (cron_job, now) = (&snapshot.cron_job, snapshot.now);
    let (about, spec) = (&cron_job.metadata, &cron_job.spec);
    let schedule = match Schedule::parse(&spec.schedule, spec.time_zone.as_deref()) {
        Ok(schedule) => schedule,
        Err(error) => {
            let (reason, message) = if Schedule::parse("* * * * *", spec.time_zone.as_deref()).is_err() {
                (
                    "UnknownTimeZone",
                    format!("invalid timeZone: \"{}\": {error}", spec.time_zone.as_deref().unwrap_or_default()),
                )
            } else {
                ("UnparseableSchedule", format!("unparseable schedule: \"{}\" : {error}", spec.schedule))
            };
            outcome.events.push(meta::warning::<CronJob>(about, reason, message));
            return;
        }
    };
    if schedule.next(now).is_none() {
        // A day that no month has: upstream finds it twice at the same time.
        let why = "time difference between two schedules is less than 1 second";
        let message = format!("invalid schedule: {} : {why}", spec.schedule);
        outcome.events.push(meta::warning::<CronJob>(about, "InvalidSchedule", message));
        return;
    }
    outcome.requeue_after = until_next(cron_job, &schedule, now);
    let (_, due, missed) = most_recent(cron_job, &schedule, now, true);
    let Some(due) = due else { return };
    if missed > 100 {
        let message = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew";
        outcome.events.push(meta::warning::<CronJob>(about, "TooManyMissedTimes", message));
    }
    if spec.starting_deadline_seconds.is_some_and(|deadline| meta::after(due, deadline) < now) {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = DateTimePrinter::new().print_timestamp(&due, &mut text);
        let message = format!("Missed scheduled time to start a job: {}", text.replace("-0000", "+0000"));
        outcome.events.push(meta::warning::<CronJob>(about, "MissSchedule", message));
        return;
    }
    let name = format!("{}-{}", meta::name(about), due.as_second() / 60);
    let active: Vec<ObjectReference> = outcome.status.active.clone().unwrap_or_default();
    let done = outcome.status.last_schedule_time.as_ref().is_some_and(|last| last.0 == due);
    if done || active.iter().any(|one| one.name.as_deref() == Some(&name)) {
        return;
    }
    match spec.concurrency_policy.as_deref() {
        Some("Forbid") if !active.is_empty() => {
            let message = "Not starting job because prior execution is running and concurrency policy is Forbid";
            outcome.events.push(meta::normal::<CronJob>(about, "JobAlreadyActive", message));
            return;
        }
        Some("Replace") => {
            let uids: Vec<_> = active.iter().map(|one| one.uid.clone()).collect();
            let running = snapshot.jobs.iter().filter(|job| uids.contains(&job.metadata.uid));
            outcome.replaced.extend(running.map(|job| deletion(cron_job, job)));
            outcome.status.active = None;
        }
        _ => {}
    }
    outcome.create = Some((job(cron_job, &schedule, name, due), due));
}

fn job(cron_job: &CronJob, schedule: &Schedule, name: String, due: Timestamp) -> Job {
    let template = &cron_job.spec.job_template;
    let metadata = template.metadata.clone().unwrap_or_default();
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_AT.to_owned(), local_time(due, schedule));
    Job {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: cron_job.metadata.namespace.clone(),
            labels: metadata.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![meta::controller_ref::<CronJob>(&cron_job.metadata)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// RFC 3339 with the zone's offset, `Z` for UTC.
fn local_time(time: Timestamp, schedule: &Schedule) -> String {
    let offset = schedule.zone().to_offset(time);
    if offset.is_zero() { time.to_string() } else { time.display_with_offset(offset).to_string() }
}
