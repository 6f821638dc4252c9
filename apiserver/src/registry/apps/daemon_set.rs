//! DaemonSets. Upstream: ValidateDaemonSetSpec, pkg/registry/apps/daemonset/strategy.go.

use api::field::{Error, ErrorList};
use api::meta;
use serde_json::{Value, json};

use super::super::core::pod_warnings;
use super::super::fields::{At, at, set};
use super::super::strategy::Strategy;
use super::super::validation::{at_most_hundred_percent, immutable, int_or_percent, nonnegative, same, selector};
use super::{deployment, template};
use crate::context::RequestContext;

/// Where apps/v1 keeps what was spec.templateGeneration.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// The semantics of daemon sets.
#[derive(Debug, Clone, Copy)]
pub struct DaemonSet;

impl Strategy for DaemonSet {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(
            new,
            "status",
            json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}),
        );
        let generation = generation(new).max(1);
        meta::set_annotation(new, TEMPLATE_GENERATION, &generation.to_string());
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, old: &Value) {
        let changed = !same(at(new, &["spec", "template"]), at(old, &["spec", "template"]));
        let generation = generation(old) + i64::from(changed);
        if generation > 0 {
            meta::set_annotation(new, TEMPLATE_GENERATION, &generation.to_string());
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let (own, pods) = (spec.field("selector"), spec.field("template"));
        selector::label_selector(&own, &mut errors);
        // No selector matches nothing.
        if !own.is_set() || !selector::is_empty(own.value) {
            let never = json!({"matchExpressions": [{"key": "", "operator": "In"}]});
            template::labels_match(&pods, if own.is_set() { own.value } else { &never }, &mut errors);
        }
        if own.is_set() && selector::is_empty(own.value) {
            errors.push(own.invalid("empty selector is invalid for daemonset"));
        }
        super::super::validation::pod_spec::template(&pods, &mut errors);
        template::runs_for_ever(&pods, "DaemonSet", &mut errors);
        nonnegative(&spec.field("minReadySeconds"), &mut errors);
        rollout(&spec.field("updateStrategy"), &mut errors);
        nonnegative(&spec.field("revisionHistoryLimit"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        pod_warnings::of_spec(at(new, &["spec", "template", "spec"]), "spec.template.spec")
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        immutable(&At::root(new).field("spec").field("selector"), at(old, &["spec", "selector"]), &mut errors);
        errors.extend(self.validate(ctx, new));
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
        let status = At::root(new).field("status");
        for field in [
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "observedGeneration",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
            "collisionCount",
        ] {
            nonnegative(&status.field(field), &mut errors);
        }
        template::collision_count(new, old, &mut errors);
        errors
    }
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
