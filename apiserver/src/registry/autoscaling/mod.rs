//! The group autoscaling: HorizontalPodAutoscalers, as v2 stores them. Upstream: ValidateHorizontalPodAutoscaler.

mod behavior;
mod metric;

use api::field::ErrorList;
use json::Value;

use self::behavior::behavior;
use self::metric::metric;
use super::fields::At;
use super::strategy::Strategy;
use super::validation::{nonnegative, path_segment, required_text};
use crate::context::RequestContext;

/// The semantics of horizontal autoscalers.
#[derive(Debug, Clone, Copy)]
pub struct HorizontalPodAutoscaler;

impl Strategy for HorizontalPodAutoscaler {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let (least, most) = (spec.field("minReplicas"), spec.field("maxReplicas"));
        if least.is_set() && most.int() < least.int() {
            errors.push(most.invalid_int("must be greater than or equal to `minReplicas`"));
        }
        let target = spec.field("scaleTargetRef");
        reference(&target, &mut errors);
        let version = target.field("apiVersion");
        if version.str().is_empty() {
            errors.push(version.invalid_str("apiVersion must specify API group"));
        }
        let metrics = spec.field("metrics");
        metrics.items().for_each(|own| metric(&own, &mut errors));
        behavior(&spec.field("behavior"), &mut errors);
        let counts_elsewhere = |metric: At<'_>| matches!(metric.text("type"), "Object" | "External");
        if least.is_set() && least.int() == 0 && !metrics.items().any(counts_elsewhere) {
            let detail = "must specify at least one Object or External metric to support scaling to zero replicas";
            errors.push(metrics.forbidden(detail));
        }
        nonnegative(&least, &mut errors);
        if most.int() == 0 {
            errors.push(most.required(""));
        } else if most.int() < 1 {
            errors.push(most.invalid_int("must be greater than or equal to 1"));
        }
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for count in ["currentReplicas", "desiredReplicas"] {
            nonnegative(&At::root(new).field("status").field(count), &mut errors);
        }
        errors
    }
}

/// Kind and name of some object. Upstream: ValidateCrossVersionObjectReference.
fn reference(at: &At<'_>, errors: &mut ErrorList) {
    for field in ["kind", "name"] {
        let own = at.field(field);
        if required_text(&own, errors) {
            path_segment(&own, errors);
        }
    }
}
