//! Taints and the tolerations that match them.
//!
//! Upstream: core/v1 Toleration.ToleratesTaint.

use k8s_openapi::api::core::v1::{Taint, Toleration};

/// True if `toleration` matches `taint`.
pub(crate) fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
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

/// True if some taint with one of these effects is not tolerated.
pub(crate) fn has_untolerated(taints: &[Taint], tolerations: &[Toleration], effects: &[&str]) -> bool {
    let relevant = taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
    relevant.into_iter().any(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}
