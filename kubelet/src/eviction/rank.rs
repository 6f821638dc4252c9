//! Who goes first: pure. Upstream: `eviction.rankMemoryPressure`.

use k8s_openapi::api::core::v1::Pod;

use crate::pod::PodExt;
use crate::resources::{Side, of_pod};

/// A pod that may have to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) uid: String,
    pub(crate) priority: i32,
    /// Bytes used beyond what was requested; negative within.
    pub(crate) over: i64,
}

impl Candidate {
    /// From the pod and the memory it uses.
    pub(crate) fn of(pod: &Pod, used: u64) -> Self {
        let requested = of_pod(pod, Side::Requests).get("memory").copied().unwrap_or(0);
        Self {
            uid: pod.uid().to_owned(),
            priority: pod.spec().priority.unwrap_or(0),
            over: i64::try_from(used).unwrap_or(i64::MAX) - requested,
        }
    }
}

/// Pods the node needs itself are never taken.
pub(crate) fn is_critical(pod: &Pod) -> bool {
    pod.spec().priority.is_some_and(|priority| priority >= 2_000_000_000)
}

/// Those that use more than they asked for come first, then the lower priority, then who uses most beyond.
pub(crate) fn first(mut candidates: Vec<Candidate>) -> Option<String> {
    candidates.sort_by_key(|candidate| (candidate.over <= 0, candidate.priority, std::cmp::Reverse(candidate.over)));
    candidates.into_iter().next().map(|candidate| candidate.uid)
}
