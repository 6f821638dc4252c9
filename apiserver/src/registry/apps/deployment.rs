//! Deployments. Upstream: ValidateDeploymentSpec, pkg/registry/apps/deployment/strategy.go.

use api::field::ErrorList;
use serde_json::Value;

use super::super::core::pod_warnings;
use super::super::fields::{At, at};
use super::super::strategy::Strategy;
use super::super::validation::{at_most_hundred_percent, immutable, int_or_percent, nonnegative};
use super::template;
use crate::context::RequestContext;

/// The semantics of deployments.
#[derive(Debug, Clone, Copy)]
pub struct Deployment;

impl Strategy for Deployment {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        nonnegative(&spec.field("replicas"), &mut errors);
        template::required_selector(&spec, "deployment", &mut errors);
        template::for_selector(&spec.field("template"), &spec.field("selector"), &mut errors);
        template::runs_for_ever(&spec.field("template"), "ReplicaSet", &mut errors);
        rollout(&spec.field("strategy"), &mut errors);
        nonnegative(&spec.field("minReadySeconds"), &mut errors);
        nonnegative(&spec.field("revisionHistoryLimit"), &mut errors);
        let deadline = spec.field("progressDeadlineSeconds");
        if deadline.is_set() {
            nonnegative(&deadline, &mut errors);
            if deadline.int() <= spec.field("minReadySeconds").int() {
                errors.push(deadline.invalid_int("must be greater than minReadySeconds"));
            }
        }
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        pod_warnings::of_spec(at(new, &["spec", "template", "spec"]), "spec.template.spec")
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        immutable(&At::root(new).field("spec").field("selector"), at(old, &["spec", "selector"]), &mut errors);
        errors
    }

    fn validate_subresource_update(
        &self,
        _ctx: &RequestContext,
        _subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let mut errors = ErrorList::new();
        let counts = [
            "observedGeneration",
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
            "collisionCount",
        ];
        template::replica_counts(new, &counts, &mut errors);
        template::collision_count(new, old, &mut errors);
        errors
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
pub(super) fn shown(strategy: &At<'_>) -> serde_json::Value {
    let rolling = strategy.get("rollingUpdate");
    serde_json::json!({
        "Type": strategy.text("type"),
        "RollingUpdate": if rolling.is_null() { Value::Null } else {
            serde_json::json!({"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")})
        },
    })
}
