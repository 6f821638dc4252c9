//! The group autoscaling: HorizontalPodAutoscalers, as v2 stores them. Upstream: ValidateHorizontalPodAutoscaler.

use api::field::ErrorList;
use api::names;
use serde_json::Value;

use super::fields::At;
use super::strategy::Strategy;
use super::validation::{named, nonnegative, one_of, required_text, selector};
use crate::context::RequestContext;

/// The semantics of horizontal autoscalers.
#[derive(Debug, Clone, Copy)]
pub struct HorizontalPodAutoscaler;

/// A type of metric and where it is described.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];

impl Strategy for HorizontalPodAutoscaler {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let (least, most) = (spec.field("minReplicas"), spec.field("maxReplicas"));
        if least.is_set() && most.int() < least.int() {
            errors.push(most.invalid_int("must be greater than or equal to `minReplicas`"));
        }
        reference(&spec.field("scaleTargetRef"), &mut errors);
        spec.field("metrics").items().for_each(|own| metric(&own, &mut errors));
        // What upstream's tags say of the type comes after what its code says.
        if least.is_set() && least.int() < 1 {
            let lowest = i64::from(
                !spec.field("metrics").items().any(|metric| matches!(metric.text("type"), "Object" | "External")),
            );
            if least.int() < 0 || least.int() < lowest && lowest == 1 {
                errors.push(
                    least.invalid_int(format!(
                        "must be greater than or equal to {}",
                        if least.int() < 0 { 0 } else { 1 }
                    )),
                );
            }
        }
        if most.int() == 0 {
            errors.push(most.required(""));
        } else if most.int() < 1 {
            errors.push(most.invalid_int("must be greater than or equal to 1"));
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, _old: &Value) -> ErrorList {
        self.validate(ctx, new)
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        for count in ["currentReplicas", "desiredReplicas"] {
            nonnegative(&At::root(new).field("status").field(count), &mut errors);
        }
        errors
    }
}

fn reference(at: &At<'_>, errors: &mut ErrorList) {
    for field in ["kind", "name"] {
        let own = at.field(field);
        if required_text(&own, errors) {
            named(&own, names::name_is_path_segment(own.str(), false), errors);
        }
    }
    let version = at.field("apiVersion");
    if version.str().is_empty() {
        errors.push(version.invalid_str("apiVersion must specify API group"));
    }
}

fn metric(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.field("type");
    if !required_text(&kind, errors) {
        return;
    }
    let Some((_, own)) = SOURCES.iter().find(|(known, _)| *known == kind.str()) else {
        one_of(&kind, &SOURCES.map(|(known, _)| known), errors);
        return;
    };
    for (_, other) in SOURCES.iter().filter(|(_, other)| other != own && at.has(other)) {
        errors.push(at.field(other).forbidden("must populate the given metric source only"));
    }
    let source = at.field(own);
    if !source.is_set() {
        errors.push(source.required("must populate information for the given metric source"));
        return;
    }
    match *own {
        "resource" | "containerResource" => {
            required_text(&source.field("name"), errors);
            if *own == "containerResource" {
                required_text(&source.field("container"), errors);
            }
        }
        _ => {
            required_text(&source.field("metric").field("name"), errors);
            selector::label_selector(&source.field("metric").field("selector"), errors);
        }
    }
    if *own == "object" {
        reference(&source.field("describedObject"), errors);
    }
    target(&source.field("target"), own, errors);
}

fn target(at: &At<'_>, source: &str, errors: &mut ErrorList) {
    required_text(&at.field("type"), errors);
    let [value, average, utilization] = ["value", "averageValue", "averageUtilization"].map(|field| at.field(field));
    if utilization.is_set() && utilization.int() < 1 {
        errors.push(utilization.invalid_int("must be greater than 0"));
    }
    match source {
        "resource" | "containerResource" => match (average.is_set(), utilization.is_set()) {
            (false, false) => {
                errors.push(utilization.required("must set either a target raw value or a target utilization"))
            }
            (true, true) => {
                errors.push(average.forbidden("may not set both a target raw value and a target utilization"))
            }
            _ => {}
        },
        "pods" if !average.is_set() => errors.push(average.required("must specify a positive target averageValue")),
        "object" | "external" if !average.is_set() && !value.is_set() => {
            errors.push(average.required("must set either a target value or averageValue"));
        }
        _ => {}
    }
}
