//! Which pods to remove, and why.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};

use crate::disruption_marks::Disruption;
use crate::{meta, pods};

const OUT_OF_SERVICE: &str = "node.kubernetes.io/out-of-service";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Bound to a node that is not there.
    Orphaned,
    /// Being deleted without ever having had a node.
    Unscheduled,
    /// Being deleted on a node that will not come back.
    OutOfService,
    /// Finished, and there are too many of those.
    Terminated,
}

impl Verdict {
    pub(super) fn disruption(self) -> Option<Disruption> {
        (self == Self::Orphaned)
            .then_some(Disruption { reason: "DeletionByPodGC", message: "PodGC: node no longer exists" })
    }
}

/// The verdict on a pod whose node, if it has one, is `node` in the cache.
pub(super) fn judge(pod: &Pod, node: Option<&Node>) -> Verdict {
    let deleting = meta::is_deleting(&pod.metadata);
    // Deleted by force already; what holds it now is somebody's finalizer.
    if deleting && pod.metadata.deletion_grace_period_seconds == Some(0) && pods::is_terminal(pod) {
        return Verdict::Keep;
    }
    match (pods::node_name(pod), node) {
        (None, _) if deleting => Verdict::Unscheduled,
        (None, _) => Verdict::Keep,
        (Some(_), None) => Verdict::Orphaned,
        (Some(_), Some(node)) if deleting && is_out_of_service(node) => Verdict::OutOfService,
        _ => Verdict::Keep,
    }
}

fn is_out_of_service(node: &Node) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let ready = conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    !ready && taints.into_iter().any(|taint| taint.key == OUT_OF_SERVICE)
}

/// The finished pods beyond `threshold`: evicted ones first, then the oldest.
pub(super) fn superfluous(mut pods: Vec<Arc<Pod>>, threshold: usize) -> Vec<Arc<Pod>> {
    pods.retain(|pod| pods::is_terminal(pod) && !meta::is_deleting(&pod.metadata));
    let surplus = pods.len().saturating_sub(threshold);
    let evicted = |pod: &Pod| {
        let reason = pod.status.as_ref().and_then(|status| status.reason.as_deref());
        pods::phase(pod) == "Failed" && reason == Some("Evicted")
    };
    pods.sort_by_key(|pod| (!evicted(pod), meta::created(&pod.metadata), meta::name(&pod.metadata).to_owned()));
    pods.truncate(surplus);
    pods
}
