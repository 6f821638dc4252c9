//! How long a pod may stay on a node with these taints.
//!
//! Upstream: tainteviction.processPodOnNode, v1helper.GetMatchingTolerations.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};

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

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (effect, key) = (text(&toleration.effect), text(&toleration.key));
    if (!effect.is_empty() && effect != taint.effect) || (!key.is_empty() && key != taint.key) {
        return false;
    }
    let taint_value = taint.value.as_deref().unwrap_or_default();
    let value = text(&toleration.value);
    match toleration.operator.as_deref().unwrap_or_default() {
        "" | "Equal" => value == taint_value,
        "Exists" => true,
        operator @ ("Lt" | "Gt") => match (taint_value.parse::<i64>(), value.parse::<i64>()) {
            (Ok(taint_value), Ok(value)) => {
                (operator == "Lt" && taint_value < value) || (operator == "Gt" && taint_value > value)
            }
            _ => false,
        },
        _ => false,
    }
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
