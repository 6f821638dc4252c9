//! DaemonSets. Upstream: ValidateDaemonSetSpec, pkg/registry/apps/daemonset/strategy.go.

use api::field::{Error, ErrorList};
use api::meta;
use json::{Value, json};

use super::super::fields::{At, at};
use super::super::validation::{at_most_hundred_percent, int_or_percent, nonnegative, pod_spec, same, selector};
use super::workload::Workload;
use super::{deployment, template};

/// Where apps/v1 keeps what was spec.templateGeneration.
pub(crate) const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The semantics of daemon sets.
pub(crate) const DAEMON_SET: Workload = Workload {
    first_counts: &["currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady"],
    immutable_first: true,
    default: write_count,
    prepare: count_templates,
    counter: generation,
    ..Workload::new(
        spec,
        &[
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ],
    )
};

/// The count is always written, 0 before the server has counted: whoever writes the object owns the field.
fn write_count(new: &mut Value) {
    if meta::annotation(new, TEMPLATE_GENERATION).is_none() {
        meta::set_annotation(new, TEMPLATE_GENERATION, "0");
    }
}

/// Each change of the template counts.
fn count_templates(new: &mut Value, old: Option<&Value>) {
    let count = match old {
        None => generation(new).max(1),
        Some(old) => generation(old) + i64::from(!same(at(new, &["spec", "template"]), at(old, &["spec", "template"]))),
    };
    if count > 0 {
        meta::set_annotation(new, TEMPLATE_GENERATION, &count.to_string());
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    let (own, pods) = (spec.field("selector"), spec.field("template"));
    selector::label_selector(&own, errors);
    // No selector matches nothing.
    if !own.is_set() || !selector::is_empty(own.value) {
        let never = json!({"matchExpressions": [{"key": "", "operator": "In"}]});
        template::labels_match(&pods, if own.is_set() { own.value } else { &never }, errors);
    }
    if own.is_set() && selector::is_empty(own.value) {
        errors.push(own.invalid("empty selector is invalid for daemonset"));
    }
    pod_spec::template(&pods, errors);
    template::runs_for_ever(&pods, "DaemonSet", errors);
    nonnegative(&spec.field("minReadySeconds"), errors);
    rollout(&spec.field("updateStrategy"), errors);
    nonnegative(&spec.field("revisionHistoryLimit"), errors);
}

fn generation(object: &Value) -> i64 {
    meta::annotation(object, TEMPLATE_GENERATION).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn rollout(strategy: &At<'_>, errors: &mut ErrorList) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_set() => errors.push(rolling.required("")),
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
            for at in [&unavailable, &surge] {
                int_or_percent(at, errors);
            }
            for at in [&unavailable, &surge] {
                at_most_hundred_percent(at, errors);
            }
            match (template::amount(unavailable.value) != 0, template::amount(surge.value) != 0) {
                (true, true) => errors.push(surge.invalid("may not be set when maxUnavailable is non-zero")),
                (false, false) => errors.push(unavailable.required("cannot be 0 when maxSurge is 0")),
                _ => {}
            }
        }
        _ => errors.push(Error::not_supported(
            &strategy.path,
            deployment::shown(strategy),
            ["RollingUpdate", "OnDelete"],
        )),
    }
}
