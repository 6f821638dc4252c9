//! Counting finished pods exactly once.
//!
//! A finished pod keeps the finalizer `batch.kubernetes.io/job-tracking` until it is counted: first its uid goes into
//! `status.uncountedTerminatedPods`, then the finalizer is removed, then the uid is turned into a count. A crash between
//! any two steps leaves enough to go on without counting twice or not at all. Indexed jobs need no list for successes:
//! their indexes are the count.
//!
//! Upstream: job.trackJobStatusAndRemoveFinalizers.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::batch::v1::{Job, JobCondition};
use k8s_openapi::api::core::v1::Pod;

use super::plan::{Pass, has_finalizer, index_of};
use super::policy;
use crate::engine::{Event, Write};
use crate::{meta, pods};

const MAX_UNCOUNTED: usize = 500;

/// What the first status write must be followed by.
#[derive(Debug)]
pub(super) struct Flush {
    /// Pods to take the finalizer from, after the status is written.
    pub pods: Vec<Arc<Pod>>,
    /// Whether the status must be written first.
    pub needed: bool,
    /// More pods wait than fit in one write; the job cannot finish in this pass.
    pub full: bool,
    uids: HashSet<String>,
}

fn to_option<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

impl Pass {
    /// The write of the present status.
    pub(super) fn status_write(&self) -> Write {
        Write::update_status(&Job { status: Some(self.status.clone()), ..self.job.clone() })
    }

    /// Turns uids of pods that lost their finalizer into counts.
    fn settle(&mut self, with_finalizer: &HashSet<String>) -> bool {
        let uncounted = self.status.uncounted_terminated_pods.get_or_insert_default();
        let settle = |list: &mut Option<Vec<String>>, count: &mut Option<i32>| {
            let before = list.take().unwrap_or_default();
            let total = before.len();
            let kept: Vec<String> = before.into_iter().filter(|uid| with_finalizer.contains(uid)).collect();
            let gone = i32::try_from(total - kept.len()).unwrap_or(i32::MAX);
            *list = to_option(kept);
            *count = meta::omit_zero(count.unwrap_or(0) + gone);
            gone > 0
        };
        let succeeded = settle(&mut uncounted.succeeded, &mut self.status.succeeded);
        let failed = settle(&mut uncounted.failed, &mut self.status.failed);
        succeeded || failed
    }

    fn may_lose_finalizer(&self, pod: &Pod, failed: bool) -> bool {
        if meta::is_deleting(&self.job.metadata) || self.finished.is_some() || pods::phase(pod) == "Succeeded" {
            return true;
        }
        let delayed = index_of(pod)
            .and_then(|index| self.delayed.get(&index))
            .is_some_and(|kept| kept.metadata.uid == pod.metadata.uid);
        failed && !(self.spec.backoff_limit_per_index.is_some() && delayed)
    }

    /// Enters newly finished pods into the status.
    pub(super) fn prepare(&mut self, mut needed: bool) -> Flush {
        let initial = self.uncounted();
        let contains = |list: &Option<Vec<String>>, uid: &str| list.iter().flatten().any(|known| known == uid);
        let mut pods = self.pods.clone();
        if self.is_indexed() {
            pods.sort_by_key(|pod| index_of(pod).unwrap_or(-1));
        }
        pods.retain(|pod| has_finalizer(pod) && !self.finalizers_going.contains(meta::uid(&pod.metadata)));
        let uids: HashSet<String> = pods.iter().map(|pod| meta::uid(&pod.metadata).to_owned()).collect();
        needed |= self.settle(&uids);
        let mut flush = Flush { pods: Vec::new(), needed, full: false, uids };
        let mut new_indexes = Vec::new();
        let ends_in_success = self.finished.as_ref().is_some_and(|finished| finished.type_ == "SuccessCriteriaMet");
        for pod in pods {
            let failed = self.is_failed(&pod);
            if !self.may_lose_finalizer(&pod, failed) {
                continue;
            }
            let uid = meta::uid(&pod.metadata).to_owned();
            let valid = self.is_valid(&pod);
            flush.pods.push(pod.clone());
            let uncounted = self.status.uncounted_terminated_pods.get_or_insert_default();
            if pods::phase(&pod) == "Succeeded" && !contains(&initial.failed, &uid) {
                if self.spec.completion_mode.as_deref() == Some("Indexed") {
                    if let Some(index) = index_of(&pod).filter(|index| valid && !self.previously_succeeded.has(*index))
                    {
                        new_indexes.push(index);
                        flush.needed = true;
                    }
                } else if !contains(&initial.succeeded, &uid) {
                    uncounted.succeeded.get_or_insert_default().push(uid);
                    flush.needed = true;
                }
            } else if (failed || (self.finished.is_some() && !ends_in_success))
                && !contains(&initial.failed, &uid)
                && valid
                && !policy::judge(&self.spec, &pod).ignored
            {
                uncounted.failed.get_or_insert_default().push(uid);
                flush.needed = true;
            }
            let length = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
            if new_indexes.len() + length(&uncounted.succeeded) + length(&uncounted.failed) >= MAX_UNCOUNTED {
                flush.full = true;
                break;
            }
        }
        if self.is_indexed() {
            flush.needed |= self.write_indexes(new_indexes);
        }
        flush.needed |= self.write_target();
        flush
    }

    fn write_indexes(&mut self, new: Vec<i32>) -> bool {
        // What fits into this write: a full batch leaves the other successes to the next pass.
        self.succeeded_indexes = self.previously_succeeded.with(new);
        let completed = Some(self.succeeded_indexes.to_string()).filter(|text| !text.is_empty());
        let failed = self.failed_indexes.as_ref().map(ToString::to_string);
        let changed = completed != self.status.completed_indexes || failed != self.status.failed_indexes;
        self.status.succeeded = meta::omit_zero(self.succeeded_indexes.total());
        self.status.completed_indexes = completed;
        self.status.failed_indexes = failed;
        changed
    }

    /// The first of the two conditions that end a job: what it will be once its pods are gone.
    fn write_target(&mut self) -> bool {
        let Some(finished) = self.finished.clone() else { return false };
        let (reason, message) =
            (finished.reason.clone().unwrap_or_default(), finished.message.clone().unwrap_or_default());
        match finished.type_.as_str() {
            "FailureTarget" => {
                self.status.conditions.get_or_insert_default().push(finished);
                self.finished = Some(self.condition("Failed", &reason, &message));
                true
            }
            "SuccessCriteriaMet" => {
                let known =
                    super::plan::condition(&self.status, "SuccessCriteriaMet").is_some_and(|met| met.status == "True");
                if !known {
                    self.status.conditions.get_or_insert_default().push(finished);
                }
                self.finished = Some(self.condition("Complete", &reason, &message));
                !known
            }
            _ => false,
        }
    }

    /// These pods lost their finalizer; says whether the status changed.
    pub(super) fn finalizers_removed(&mut self, flush: &mut Flush, uids: &HashSet<String>) -> bool {
        flush.uids.retain(|uid| !uids.contains(uid));
        self.settle(&flush.uids.clone())
    }

    /// Sets the final condition once nothing is uncounted or still terminating.
    pub(super) fn enact_finished(&mut self) -> bool {
        let uncounted = self.uncounted();
        let open = uncounted.succeeded.is_some_and(|list| !list.is_empty())
            || uncounted.failed.is_some_and(|list| !list.is_empty());
        let Some(finished) = self.finished.clone().filter(|_| !open && self.terminating <= 0) else { return false };
        let (reason, message) =
            (finished.reason.clone().unwrap_or_default(), finished.message.clone().unwrap_or_default());
        self.ensure_condition(&finished.type_, "True", &reason, &message);
        if finished.type_ == "Complete" {
            self.status.completion_time = finished.last_transition_time;
        }
        true
    }

    /// The events that end the job.
    pub(super) fn finish_events(&self) -> Vec<Event> {
        let metadata = &self.job.metadata;
        let Some(finished) = &self.finished else { return Vec::new() };
        if finished.type_ != "Complete" {
            let reason = failure_reason(finished);
            return vec![meta::warning::<Job>(metadata, reason, finished.message.clone().unwrap_or_default())];
        }
        let mut events = Vec::new();
        if self.spec.completions.is_some_and(|wanted| self.status.succeeded.unwrap_or(0) > wanted) {
            let message = "Too many succeeded pods running after completion count reached";
            events.push(meta::warning::<Job>(metadata, "TooManySucceededPods", message));
        }
        events.push(meta::normal::<Job>(metadata, "Completed", "Job completed"));
        events
    }
}

/// The condition's reason, which is one of these.
fn failure_reason(finished: &JobCondition) -> &'static str {
    const REASONS: [&str; 5] =
        ["BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "MaxFailedIndexesExceeded", "FailedIndexes"];
    let reason = finished.reason.as_deref().unwrap_or_default();
    REASONS.into_iter().find(|known| *known == reason).unwrap_or("Failed")
}
