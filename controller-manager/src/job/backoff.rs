//! How long to wait before replacing failed pods: ten seconds, doubled per failure since the last success.
//!
//! Upstream: job.backoffRecord.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::{meta, pods};

const FIRST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// Failures of one job since its last success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    failures: u32,
    last_failure: Option<Timestamp>,
}

impl Backoff {
    /// The record after these pods finished.
    pub(super) fn after(self, succeeded: &[Arc<Pod>], failed: &[Arc<Pod>]) -> Self {
        let last_success = succeeded.iter().map(|pod| finished_at(pod)).max();
        let last_failure = failed.iter().map(|pod| finished_at(pod)).max();
        let count = |pods: usize| u32::try_from(pods).unwrap_or(u32::MAX);
        match (last_success, last_failure) {
            (None, None) => self,
            (None, Some(_)) => Self { failures: self.failures.saturating_add(count(failed.len())), last_failure },
            (Some(success), _) => {
                let later = failed.iter().filter(|pod| finished_at(pod) > success).count();
                Self { failures: count(later), last_failure: last_failure.filter(|_| later > 0) }
            }
        }
    }

    /// Time left to wait.
    pub(super) fn remaining(self, now: Timestamp) -> Duration {
        self.last_failure.map_or(Duration::ZERO, |last| remaining(self.failures, last, now))
    }
}

/// Time left to wait after the last of `failures` failures.
pub(super) fn remaining(failures: u32, last: Timestamp, now: Timestamp) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    let delay = FIRST.saturating_mul(2_u32.saturating_pow(failures - 1)).min(LONGEST);
    let elapsed = now.duration_since(last);
    if elapsed.is_negative() { delay } else { delay.saturating_sub(elapsed.unsigned_abs()) }
}

/// When the pod finished: by its containers, else by readiness, else by its deletion, else by its creation.
pub(super) fn finished_at(pod: &Pod) -> Timestamp {
    let metadata = &pod.metadata;
    let by_ready = || {
        pods::condition(pod, "Ready")
            .filter(|ready| ready.status == "False")
            .and_then(|ready| ready.last_transition_time.as_ref())
            .map(|time| time.0)
    };
    let by_deletion = || {
        let deadline = metadata.deletion_timestamp.as_ref()?.0;
        Some(meta::after(deadline, -metadata.deletion_grace_period_seconds.unwrap_or(0)))
    };
    by_containers(pod).or_else(by_ready).or_else(by_deletion).unwrap_or_else(|| meta::created(metadata))
}

fn by_containers(pod: &Pod) -> Option<Timestamp> {
    let status = pod.status.as_ref()?;
    let init = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let sidecars: Vec<&String> = init
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .map(|container| &container.name)
        .collect();
    let sidecar_statuses = status.init_container_statuses.iter().flatten().filter(|one| sidecars.contains(&&one.name));
    let mut latest = None;
    for container in status.container_statuses.iter().flatten().chain(sidecar_statuses) {
        latest = latest.max(Some(terminated_at(container)?));
    }
    latest
}

fn terminated_at(container: &ContainerStatus) -> Option<Timestamp> {
    container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref().map(|time| time.0)
}
