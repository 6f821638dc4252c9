//! Deployments. Upstream: ValidateDeploymentSpec, pkg/registry/apps/deployment/strategy.go.

use api::field::ErrorList;
use api::meta;
use json::Value;

use super::super::fields::{At, at};
use super::super::validation::{at_most_hundred_percent, int_or_percent, nonnegative, same};
use super::template;
use super::workload::Workload;

/// The semantics of deployments.
pub(crate) const DEPLOYMENT: Workload = Workload {
    names_pods: true,
    prepare: count_annotations,
    ..Workload::new(
        spec,
        &[
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ],
    )
};

/// Annotations are copied to ReplicaSets: a change of them is one the controller has to see.
fn count_annotations(new: &mut Value, old: Option<&Value>) {
    let path = ["metadata", "annotations"];
    if let Some(old) = old
        && !same(at(new, &path), at(old, &path))
    {
        meta::set_generation(new, meta::generation(old) + 1);
    }
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    nonnegative(&spec.field("replicas"), errors);
    template::required_selector(spec, "deployment", errors);
    template::for_selector(&spec.field("template"), &spec.field("selector"), errors);
    template::runs_for_ever(&spec.field("template"), "ReplicaSet", errors);
    rollout(&spec.field("strategy"), errors);
    nonnegative(&spec.field("minReadySeconds"), errors);
    nonnegative(&spec.field("revisionHistoryLimit"), errors);
    let deadline = spec.field("progressDeadlineSeconds");
    if deadline.is_set() {
        nonnegative(&deadline, errors);
        if deadline.int() <= spec.field("minReadySeconds").int() {
            errors.push(deadline.invalid_int("must be greater than minReadySeconds"));
        }
    }
}

fn rollout(strategy: &At<'_>, errors: &mut ErrorList) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.text("type") {
        "Recreate" if rolling.is_set() => {
            errors.push(rolling.forbidden("may not be specified when strategy `type` is 'Recreate'"));
        }
        "Recreate" => {}
        "RollingUpdate" if !rolling.is_set() => {
            errors.push(rolling.required("this should be defaulted and never be nil"))
        }
        "RollingUpdate" => {
            let (unavailable, surge) = (rolling.field("maxUnavailable"), rolling.field("maxSurge"));
            int_or_percent(&unavailable, errors);
            int_or_percent(&surge, errors);
            if template::amount(unavailable.value) == 0 && template::amount(surge.value) == 0 {
                errors.push(unavailable.invalid("may not be 0 when `maxSurge` is 0"));
            }
            at_most_hundred_percent(&unavailable, errors);
        }
        _ => errors.push(api::field::Error::not_supported(
            &strategy.path,
            shown(strategy),
            ["Recreate", "RollingUpdate"],
        )),
    }
}

/// A strategy as upstream shows it: its own type without field tags.
pub(super) fn shown(strategy: &At<'_>) -> json::Value {
    let rolling = strategy.get("rollingUpdate");
    json::json!({
        "Type": strategy.text("type"),
        "RollingUpdate": if rolling.is_null() { Value::Null } else {
            json::json!({"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")})
        },
    })
}
