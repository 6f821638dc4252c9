//! One pass over a job: count, judge whether it is finished, decide which pods to create or delete.
//!
//! [`Pass`] is a private copy of the job's status with what was counted beside it. Steps are called in order by the
//! controller, which does the writes in between: [`Pass::new`], [`Pass::manage`], [`Pass::conclude`], then [`super::track`].
//!
//! Upstream: job.syncJob, job.manageJob.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, ObjectFieldSelector, Pod, PodTemplateSpec};

use super::backoff::{self, Backoff};
use super::indexes::Intervals;
use super::policy;
use crate::engine::{Event, Write};
use crate::{meta, pods};

pub(super) const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const INDEX_FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
const INDEX_IGNORED_FAILURES: &str = "batch.kubernetes.io/job-index-ignored-failure-count";
const MAX_PER_SYNC: usize = 500;

/// Everything one pass is based on.
pub(super) struct Snapshot {
    pub job: Arc<Job>,
    /// Claimed pods.
    pub pods: Vec<Arc<Pod>>,
    /// Pods whose finalizer we removed without having seen it gone.
    pub finalizers_going: HashSet<String>,
    pub backoff: Backoff,
    pub now: Timestamp,
}

/// What to do about the number of pods.
#[derive(Debug, PartialEq)]
pub(super) enum Manage {
    Nothing,
    Delete(Vec<Arc<Pod>>),
    Create(Vec<Write>),
    /// Back-off after failures.
    Wait(Duration),
}

#[derive(Debug)]
pub(super) struct Pass {
    pub job: Job,
    pub spec: JobSpec,
    pub status: JobStatus,
    pub pods: Vec<Arc<Pod>>,
    pub active_pods: Vec<Arc<Pod>>,
    pub finalizers_going: HashSet<String>,
    pub active: i32,
    pub ready: i32,
    pub terminating: i32,
    pub succeeded: i32,
    pub failed: i32,
    /// Why the job is over, once it is.
    pub finished: Option<JobCondition>,
    pub previously_succeeded: Intervals,
    pub succeeded_indexes: Intervals,
    pub failed_indexes: Option<Intervals>,
    /// Per index the failed pod that keeps its finalizer until it is replaced.
    pub delayed: BTreeMap<i32, Arc<Pod>>,
    pub backoff: Backoff,
    pub requeue_after: Option<Duration>,
    pub events: Vec<Event>,
    pub now: Timestamp,
}

pub(super) fn condition<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == kind)
}

fn is_true(status: &JobStatus, kind: &str) -> bool {
    condition(status, kind).is_some_and(|condition| condition.status == "True")
}

/// Complete or failed for good.
pub(super) fn is_finished(job: &Job) -> bool {
    job.status.as_ref().is_some_and(|status| is_true(status, "Complete") || is_true(status, "Failed"))
}

/// True if another controller looks after the job.
pub(super) fn is_managed_elsewhere(job: &Job) -> bool {
    let manager = job.spec.as_ref().and_then(|spec| spec.managed_by.as_deref());
    manager.is_some_and(|manager| manager != "kubernetes.io/job-controller")
}

pub(super) fn has_finalizer(pod: &Pod) -> bool {
    meta::has_finalizer(&pod.metadata, FINALIZER)
}

/// The pod's completion index.
pub(super) fn index_of(pod: &Pod) -> Option<i32> {
    meta::annotation(&pod.metadata, INDEX)?.parse().ok().filter(|index| *index >= 0)
}

fn number(pod: &Pod, annotation: &str) -> i32 {
    meta::annotation(&pod.metadata, annotation)
        .and_then(|text| text.parse().ok())
        .filter(|number| *number >= 0)
        .unwrap_or(0)
}

fn index_failures(pod: &Pod) -> i32 {
    number(pod, INDEX_FAILURES).saturating_add(number(pod, INDEX_IGNORED_FAILURES))
}

fn as_count(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

impl Pass {
    /// Counts, and judges whether the job is finished.
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let job = (*snapshot.job).clone();
        let spec = job.spec.clone().unwrap_or_default();
        let mut status = job.status.clone().unwrap_or_default();
        status.uncounted_terminated_pods.get_or_insert_default();
        let active_pods: Vec<Arc<Pod>> = snapshot.pods.iter().filter(|pod| pods::is_active(pod)).cloned().collect();
        let mut pass = Self {
            active: as_count(active_pods.len()),
            ready: as_count(active_pods.iter().filter(|pod| pods::is_ready(pod)).count()),
            terminating: as_count(snapshot.pods.iter().filter(|pod| pods::is_terminating(pod)).count()),
            succeeded: 0,
            failed: 0,
            active_pods,
            pods: snapshot.pods,
            finalizers_going: snapshot.finalizers_going,
            finished: None,
            previously_succeeded: Intervals::default(),
            succeeded_indexes: Intervals::default(),
            failed_indexes: None,
            delayed: BTreeMap::new(),
            backoff: snapshot.backoff,
            requeue_after: None,
            events: Vec::new(),
            now: snapshot.now,
            job,
            spec,
            status,
        };
        pass.count();
        if pass.status.start_time.is_none() && !pass.is_suspended() {
            pass.status.start_time = Some(meta::time(pass.now));
        }
        pass.judge();
        if pass.is_indexed() {
            pass.judge_indexes();
        }
        pass
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.spec.completion_mode.as_deref() == Some("Indexed")
    }

    pub(super) fn completions(&self) -> i32 {
        self.spec.completions.unwrap_or(0)
    }

    fn is_suspended(&self) -> bool {
        self.spec.suspend == Some(true)
    }

    fn replaces_only_failed(&self) -> bool {
        self.spec.pod_replacement_policy.as_deref() == Some("Failed")
    }

    pub(super) fn uncounted(&self) -> UncountedTerminatedPods {
        self.status.uncounted_terminated_pods.clone().unwrap_or_default()
    }

    /// Failed, or on its way out where such pods count as failed at once.
    pub(super) fn is_failed(&self, pod: &Pod) -> bool {
        if pods::phase(pod) == "Failed" {
            return true;
        }
        if self.replaces_only_failed() {
            return false;
        }
        meta::is_deleting(&pod.metadata) && pods::phase(pod) != "Succeeded"
    }

    pub(super) fn condition(&self, kind: &str, reason: &str, message: &str) -> JobCondition {
        JobCondition {
            type_: kind.to_owned(),
            status: "True".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_probe_time: Some(meta::time(self.now)),
            last_transition_time: Some(meta::time(self.now)),
        }
    }

    /// True if the pod has an index of this job, or the job has no indexes.
    pub(super) fn is_valid(&self, pod: &Pod) -> bool {
        !self.is_indexed() || index_of(pod).is_some_and(|index| index < self.completions())
    }

    /// Pods with our finalizer that are in none of these lists yet.
    fn not_yet_counted(&self, uncounted: Option<&Vec<String>>, wanted: impl Fn(&Pod) -> bool) -> Vec<Arc<Pod>> {
        let fresh = |pod: &&Arc<Pod>| {
            let uid = meta::uid(&pod.metadata);
            let known = uncounted.is_some_and(|list| list.iter().any(|known| known == uid))
                || self.finalizers_going.contains(uid);
            has_finalizer(pod) && !known && self.is_valid(pod) && wanted(pod)
        };
        self.pods.iter().filter(fresh).cloned().collect()
    }

    fn count(&mut self) {
        let uncounted = self.uncounted();
        let succeeded = self.not_yet_counted(uncounted.succeeded.as_ref(), |pod| pods::phase(pod) == "Succeeded");
        let failed = self.not_yet_counted(uncounted.failed.as_ref(), |pod| self.is_failed(pod));
        let listed = |list: &Option<Vec<String>>| as_count(list.as_ref().map_or(0, Vec::len));
        let counting = failed.iter().filter(|pod| !policy::judge(&self.spec, pod).ignored).count();
        self.succeeded = self.status.succeeded.unwrap_or(0) + as_count(succeeded.len()) + listed(&uncounted.succeeded);
        self.failed = self.status.failed.unwrap_or(0) + as_count(counting) + listed(&uncounted.failed);
        self.backoff = self.backoff.after(&succeeded, &failed);
    }

    fn judge(&mut self) {
        if let Some(met) = condition(&self.status, "SuccessCriteriaMet").filter(|met| met.status == "True") {
            self.finished = Some(met.clone());
            return;
        }
        if let Some(target) = condition(&self.status, "FailureTarget").filter(|target| target.status == "True") {
            let (reason, message) =
                (target.reason.clone().unwrap_or_default(), target.message.clone().unwrap_or_default());
            self.finished = Some(self.condition("Failed", &reason, &message));
            return;
        }
        let failed = || self.pods.iter().filter(|pod| self.is_failed(pod));
        let by_policy = self
            .spec
            .pod_failure_policy
            .as_ref()
            .and_then(|_| failed().find_map(|pod| policy::judge(&self.spec, pod).fail_job));
        if let Some(message) = by_policy {
            self.finished = Some(self.condition("FailureTarget", "PodFailurePolicy", &message));
            return;
        }
        let limit = self.spec.backoff_limit.unwrap_or(6);
        if self.failed > limit || self.is_past_limit_by_restarts(limit) {
            let message = "Job has reached the specified backoff limit";
            self.finished = Some(self.condition("FailureTarget", "BackoffLimitExceeded", message));
            return;
        }
        if let (Some(seconds), Some(start), false) =
            (self.spec.active_deadline_seconds, &self.status.start_time, self.is_suspended())
        {
            match meta::until(meta::after(start.0, seconds), self.now) {
                None => {
                    let message = "Job was active longer than specified deadline";
                    self.finished = Some(self.condition("FailureTarget", "DeadlineExceeded", message));
                }
                Some(left) => self.requeue_after(left),
            }
        }
    }

    fn is_past_limit_by_restarts(&self, limit: i32) -> bool {
        if self.spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()) != Some("OnFailure") {
            return false;
        }
        let running = self.pods.iter().filter(|pod| matches!(pods::phase(pod), "Running" | "Pending"));
        let statuses = running.filter_map(|pod| pod.status.as_ref());
        let restarts: i32 = statuses
            .flat_map(|status| {
                status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
            })
            .map(|container| container.restart_count)
            .sum();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    }

    fn judge_indexes(&mut self) {
        let completions = self.completions();
        let indexed = |wanted: &dyn Fn(&Pod) -> bool| -> Vec<i32> {
            let pods = self.pods.iter().filter(|pod| has_finalizer(pod) && wanted(pod));
            pods.filter_map(|pod| index_of(pod)).filter(|index| *index < completions).collect()
        };
        self.previously_succeeded =
            Intervals::parse(self.status.completed_indexes.as_deref().unwrap_or_default(), completions);
        self.succeeded_indexes = self.previously_succeeded.with(indexed(&|pod| pods::phase(pod) == "Succeeded"));
        self.succeeded = self.succeeded_indexes.total();
        if let Some(limit) = self.spec.backoff_limit_per_index {
            let before = Intervals::parse(self.status.failed_indexes.as_deref().unwrap_or_default(), completions);
            let failed = before.with(indexed(&|pod| self.is_index_failed(pod, limit)));
            if self.finished.is_none() {
                let total = failed.total();
                if self.spec.max_failed_indexes.is_some_and(|max| total > max) {
                    let message = "Job has exceeded the specified maximal number of failed indexes";
                    self.finished = Some(self.condition("FailureTarget", "MaxFailedIndexesExceeded", message));
                } else if total > 0 && total + self.succeeded_indexes.total() >= completions {
                    self.finished = Some(self.condition("FailureTarget", "FailedIndexes", "Job has failed indexes"));
                }
            }
            self.failed_indexes = Some(failed);
            self.delayed = self.delayed_pods();
        }
        if self.finished.is_none()
            && let Some(message) = policy::success(&self.spec, &self.succeeded_indexes)
        {
            self.finished = Some(self.condition("SuccessCriteriaMet", "SuccessPolicy", &message));
        }
    }

    fn is_index_failed(&self, pod: &Pod, limit: i32) -> bool {
        if !self.is_failed(pod) {
            return false;
        }
        let verdict = policy::judge(&self.spec, pod);
        verdict.fail_index || (!verdict.ignored && number(pod, INDEX_FAILURES) >= limit)
    }

    fn delayed_pods(&self) -> BTreeMap<i32, Arc<Pod>> {
        let active: HashSet<i32> = self.active_pods.iter().filter_map(|pod| index_of(pod)).collect();
        let settled = |index: i32| {
            self.succeeded_indexes.has(index)
                || active.contains(&index)
                || self.failed_indexes.as_ref().is_some_and(|failed| failed.has(index))
        };
        let mut delayed: BTreeMap<i32, Arc<Pod>> = BTreeMap::new();
        for pod in self.not_yet_counted(None, |pod| self.is_failed(pod)) {
            let Some(index) = index_of(&pod).filter(|index| !settled(*index)) else { continue };
            let newer = delayed.get(&index).is_none_or(|known| {
                index_failures(known) <= index_failures(&pod)
                    && backoff::finished_at(&pod) >= backoff::finished_at(known)
            });
            if newer {
                delayed.insert(index, pod);
            }
        }
        delayed
    }

    pub(super) fn requeue_after(&mut self, duration: Duration) {
        self.requeue_after = Some(self.requeue_after.map_or(duration, |earlier| earlier.min(duration)));
    }

    /// Which pods to create or delete while the job goes on.
    pub(super) fn manage(&self) -> Manage {
        if self.is_suspended() {
            return if self.active_pods.is_empty() {
                Manage::Nothing
            } else {
                Manage::Delete(self.for_removal(self.active_pods.len()))
            };
        }
        let parallelism = self.spec.parallelism.unwrap_or(1);
        let wanted = match self.spec.completions {
            None if self.succeeded > 0 => self.active,
            None => parallelism,
            Some(completions) => (completions - self.succeeded).min(parallelism).max(0),
        };
        let surplus = usize::try_from(self.active - wanted).unwrap_or(0);
        let mut remove = self.for_removal(surplus);
        remove.truncate(MAX_PER_SYNC);
        if !remove.is_empty() {
            return Manage::Delete(remove);
        }
        let terminating = if self.replaces_only_failed() { self.terminating } else { 0 };
        let missing = usize::try_from(wanted - terminating - self.active).unwrap_or(0);
        if missing == 0 { Manage::Nothing } else { self.create(missing.min(MAX_PER_SYNC)) }
    }

    fn create(&self, missing: usize) -> Manage {
        let per_index = self.spec.backoff_limit_per_index.is_some();
        if !per_index {
            let wait = self.backoff.remaining(self.now);
            if !wait.is_zero() {
                return Manage::Wait(wait);
            }
        }
        if !self.is_indexed() {
            let pod = self.pod(&self.spec.template, None);
            return Manage::Create(vec![pod; missing]);
        }
        let mut indexes = self.pending_indexes(missing);
        if per_index {
            let wait = |index: &i32| {
                let last = self.delayed.get(index);
                last.map_or(Duration::ZERO, |pod| {
                    let failures = u32::try_from(index_failures(pod) + 1).unwrap_or(0);
                    backoff::remaining(failures, backoff::finished_at(pod), self.now)
                })
            };
            let shortest = indexes.iter().map(wait).min().unwrap_or(Duration::ZERO);
            if !shortest.is_zero() {
                return Manage::Wait(shortest);
            }
            indexes.retain(|index| wait(index).is_zero());
        }
        if indexes.is_empty() {
            return Manage::Nothing;
        }
        Manage::Create(indexes.into_iter().map(|index| self.pod(&self.spec.template, Some(index))).collect())
    }

    fn pending_indexes(&self, count: usize) -> Vec<i32> {
        let mut taken = self.succeeded_indexes.with(self.active_pods.iter().filter_map(|pod| index_of(pod)));
        if self.replaces_only_failed() {
            taken =
                taken.with(self.pods.iter().filter(|pod| pods::is_terminating(pod)).filter_map(|pod| index_of(pod)));
        }
        if let Some(failed) = &self.failed_indexes {
            taken = taken.merge(failed);
        }
        taken.first_missing(count, self.completions())
    }

    fn pod(&self, template: &PodTemplateSpec, index: Option<i32>) -> Write {
        let metadata = &self.job.metadata;
        let mut pod = pods::from_template(template, meta::namespace(metadata), meta::controller_ref::<Job>(metadata));
        let finalizers = pod.metadata.finalizers.get_or_insert_default();
        if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
            finalizers.push(FINALIZER.to_owned());
        }
        if let Some(index) = index {
            let text = index.to_string();
            pod.metadata.generate_name = Some(index_generate_name(meta::name(metadata), index));
            pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), text.clone());
            let annotations = pod.metadata.annotations.get_or_insert_default();
            annotations.insert(INDEX.to_owned(), text);
            if self.spec.backoff_limit_per_index.is_some() {
                let (counted, ignored) = self.delayed.get(&index).map_or((0, 0), |replaced| {
                    let skip = policy::judge(&self.spec, replaced).ignored;
                    let (counted, ignored) =
                        (number(replaced, INDEX_FAILURES), number(replaced, INDEX_IGNORED_FAILURES));
                    if skip { (counted, ignored + 1) } else { (counted + 1, ignored) }
                });
                annotations.insert(INDEX_FAILURES.to_owned(), counted.to_string());
                if ignored > 0 {
                    annotations.insert(INDEX_IGNORED_FAILURES.to_owned(), ignored.to_string());
                }
            }
            if let Some(spec) = &mut pod.spec {
                spec.hostname = Some(format!("{}-{index}", meta::name(metadata)));
                for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
                    add_index_variable(container);
                }
            }
        }
        Write::create(&pod)
            .announce_success(meta::normal::<Job>(metadata, "SuccessfulCreate", "Created pod: {name}"))
            .announce_failure(meta::warning::<Job>(metadata, "FailedCreate", "Error creating: {error}"))
    }

    /// At least `count` active pods to delete: superfluous ones of an index first.
    fn for_removal(&self, count: usize) -> Vec<Arc<Pod>> {
        let order = |a: &Arc<Pod>, b: &Arc<Pod>| pods::deletion_order(a, b, |_| 0, self.now);
        let mut left = self.active_pods.clone();
        let mut remove = Vec::new();
        if self.is_indexed() {
            let mut by_index: BTreeMap<i32, Vec<Arc<Pod>>> = BTreeMap::new();
            for pod in left.drain(..) {
                match index_of(&pod).filter(|index| *index < self.completions()) {
                    Some(index) => by_index.entry(index).or_default().push(pod),
                    None => remove.push(pod),
                }
            }
            for mut same in by_index.into_values() {
                same.sort_by(order);
                left.extend(same.pop());
                remove.append(&mut same);
            }
        }
        let more = count.saturating_sub(remove.len()).min(left.len());
        if more > 0 {
            left.sort_by(order);
            remove.extend(left.drain(..more));
        }
        remove
    }

    /// After pods were created and deleted: is the job complete, suspended, resumed? Says whether the status changed
    /// beyond its counters.
    pub(super) fn conclude(&mut self, managed: bool) -> bool {
        let complete = match self.spec.completions {
            None => self.succeeded > 0 && self.active == 0,
            Some(completions) => self.succeeded >= completions && self.active == 0,
        };
        if complete {
            self.finished = Some(self.condition(
                "SuccessCriteriaMet",
                "CompletionsReached",
                "Reached expected number of succeeded pods",
            ));
            return false;
        }
        if !managed {
            return false;
        }
        let suspended = self.is_suspended();
        let (status, reason, message, event) = if suspended {
            ("True", "JobSuspended", "Job suspended", "Suspended")
        } else {
            ("False", "JobResumed", "Job resumed", "Resumed")
        };
        if !self.ensure_condition("Suspended", status, reason, message) {
            return false;
        }
        self.events.push(meta::normal::<Job>(&self.job.metadata, event, message));
        self.status.start_time = if suspended { None } else { Some(meta::time(self.now)) };
        true
    }

    /// Upstream: ensureJobConditionStatus. A condition that would be false is not added.
    pub(super) fn ensure_condition(&mut self, kind: &str, status: &str, reason: &str, message: &str) -> bool {
        let new = JobCondition { status: status.to_owned(), ..self.condition(kind, reason, message) };
        let conditions = self.status.conditions.get_or_insert_default();
        match conditions.iter_mut().find(|condition| condition.type_ == kind) {
            Some(old) if old.status == new.status && old.reason == new.reason && old.message == new.message => false,
            Some(old) => {
                *old = new;
                true
            }
            None if status == "False" => false,
            None => {
                conditions.push(new);
                true
            }
        }
    }
}

fn add_index_variable(container: &mut Container) {
    const NAME: &str = "JOB_COMPLETION_INDEX";
    let variables = container.env.get_or_insert_default();
    if variables.iter().all(|variable| variable.name != NAME) {
        variables.push(EnvVar {
            name: NAME.to_owned(),
            value_from: Some(EnvVarSource {
                field_ref: Some(ObjectFieldSelector {
                    field_path: format!("metadata.labels['{INDEX}']"),
                    api_version: None,
                }),
                ..EnvVarSource::default()
            }),
            ..EnvVar::default()
        });
    }
}

fn index_generate_name(job: &str, index: i32) -> String {
    const LONGEST: usize = 58;
    let suffix = format!("-{index}-");
    let stem = LONGEST.saturating_sub(suffix.len());
    let cut: String = job.chars().take(stem).collect();
    if job.len() + suffix.len() > LONGEST { format!("{cut}{suffix}") } else { format!("{job}{suffix}") }
}
