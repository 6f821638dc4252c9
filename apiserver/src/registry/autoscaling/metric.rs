//! What an autoscaler looks at: one source for each metric, and the value it is to have. Upstream: validateMetricSpec.

use api::field::{Error, ErrorList};

use super::super::fields::At;
use super::super::validation::resources::quantity;
use super::super::validation::{dns_label, one_of, path_segment};
use super::reference;

/// A type of metric and where it is described.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// Of several sources, the first of these is looked at.
const ORDER: [&str; 5] = ["object", "external", "pods", "resource", "containerResource"];
const RAW_OR_UTILIZATION: &str = "must set either a target raw value or a target utilization";

/// One metric.
pub(super) fn metric(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.field("type");
    if kind.str().is_empty() {
        errors.push(kind.required("must specify a metric source type"));
    }
    one_of(&kind, &SOURCES.map(|(known, _)| known), errors);
    let given: Vec<&'static str> = ORDER.into_iter().filter(|source| at.has(source)).collect();
    if let Some(first) = given.first() {
        source(first, &at.field(first), errors);
    }
    let expected = SOURCES.iter().find(|(known, _)| *known == kind.str()).map(|(_, source)| *source);
    if let Some(expected) = expected.filter(|expected| !at.has(expected)) {
        errors.push(at.field(expected).required("must populate information for the given metric source"));
    }
    if given.len() != 1 {
        for other in given.into_iter().filter(|source| Some(*source) != expected) {
            errors.push(at.field(other).forbidden("must populate the given metric source only"));
        }
    }
}

fn source(kind: &str, at: &At<'_>, errors: &mut ErrorList) {
    let wanted = at.field("target");
    let [value, average, utilization] =
        ["value", "averageValue", "averageUtilization"].map(|field| wanted.field(field));
    match kind {
        "resource" | "containerResource" => {
            needs(&at.field("name"), "must specify a resource name", errors);
            if kind == "containerResource" && needs(&at.field("container"), "must specify a container", errors) {
                dns_label(&at.field("container"), errors);
            }
        }
        _ => {
            let name = at.field("metric").field("name");
            if needs(&name, "must specify a metric name", errors) {
                path_segment(&name, errors);
            }
        }
    }
    target(&wanted, errors);
    match (kind, value.is_set(), average.is_set(), utilization.is_set()) {
        ("resource" | "containerResource", _, false, false) => errors.push(utilization.required(RAW_OR_UTILIZATION)),
        ("resource" | "containerResource", _, true, true) => {
            errors.push(average.forbidden("may not set both a target raw value and a target utilization"));
        }
        ("pods", _, false, _) => errors.push(average.required("must specify a positive target averageValue")),
        ("object", false, false, _) => {
            errors.push(average.required("must set either a target value or averageValue"));
        }
        ("external", false, false, _) => {
            errors.push(average.required("must set either a target value for metric or a per-pod target"));
        }
        ("external", true, true, _) => {
            errors.push(value.forbidden("may not set both a target value for metric and a per-pod target"));
        }
        _ => {}
    }
    if kind == "object" {
        reference(&at.field("describedObject"), errors);
    }
}

/// `Required value`, told in these words, if there is no text. Tells whether there is.
fn needs(at: &At<'_>, detail: &str, errors: &mut ErrorList) -> bool {
    let given = !at.str().is_empty();
    if !given {
        errors.push(at.required(detail));
    }
    given
}

/// Upstream: validateMetricTarget.
fn target(at: &At<'_>, errors: &mut ErrorList) {
    let kind = at.field("type");
    needs(&kind, "must specify a metric target type", errors);
    if !matches!(kind.str(), "Utilization" | "Value" | "AverageValue") {
        errors.push(kind.invalid_str("must be either Utilization, Value, or AverageValue"));
    }
    for amount in ["value", "averageValue"].map(|field| at.field(field)) {
        if amount.is_set() && quantity(&amount).sign() != 1 {
            errors.push(Error::invalid(&amount.path, quantity(&amount).to_string(), "must be positive"));
        }
    }
    let utilization = at.field("averageUtilization");
    if utilization.is_set() && utilization.int() < 1 {
        errors.push(utilization.invalid_int("must be greater than 0"));
    }
}
