//! How long a pod may stay on a node with these taints.
//!
//! Upstream: tainteviction.processPodOnNode, v1helper.GetMatchingTolerations.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

use crate::tolerations::tolerates;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// For ever.
    Stay,
    /// For so many seconds from the first sight of the taint.
    GoAfter(i64),
    /// Not at all.
    Go,
}

/// The node's NoExecute taints, without the time they were added.
pub(super) fn no_execute(node: &Node) -> Vec<Taint> {
    let taints = node.spec.iter().flat_map(|spec| spec.taints.iter().flatten());
    taints
        .filter(|taint| taint.effect == "NoExecute")
        .map(|taint| Taint { time_added: None, ..taint.clone() })
        .collect()
}

pub(super) fn judge(taints: &[Taint], tolerations: &[Toleration]) -> Verdict {
    if taints.is_empty() {
        return Verdict::Stay;
    }
    let mut shortest: Option<i64> = None;
    for taint in taints {
        let Some(used) = tolerations.iter().find(|toleration| tolerates(toleration, taint)) else { return Verdict::Go };
        if let Some(seconds) = used.toleration_seconds {
            shortest = Some(shortest.map_or(seconds, |known| known.min(seconds)));
        }
    }
    match shortest {
        None => Verdict::Stay,
        Some(..=0) => Verdict::Go,
        Some(seconds) => Verdict::GoAfter(seconds),
    }
}
