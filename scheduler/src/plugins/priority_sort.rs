//! PrioritySort: higher priority first, then who waited longer.

use std::cmp::Reverse;

use tokio::time::Instant;

use crate::framework::Plugin;
use crate::objects::Pod;

/// Where a pod stands in the active queue; the number keeps equal ones in order of arrival.
pub(crate) type QueueKey = (Reverse<i32>, Instant, u64);

/// The key of a pod that entered the queue at a time.
pub(crate) fn queue_key(pod: &Pod, since: Instant, number: u64) -> QueueKey {
    (Reverse(pod.priority), since, number)
}

/// Upstream: `plugins/queuesort`.
#[derive(Debug)]
pub(super) struct PrioritySort;

impl Plugin for PrioritySort {
    fn name(&self) -> &'static str {
        "PrioritySort"
    }
}
