//! ReplicaSets. Upstream: ValidateReplicaSetSpec, pkg/registry/apps/replicaset/strategy.go.

use api::field::ErrorList;
use serde_json::{Value, json};

use super::super::core::pod_warnings;
use super::super::fields::{At, at, set};
use super::super::strategy::Strategy;
use super::super::validation::{immutable, nonnegative};
use super::template;
use crate::context::RequestContext;

/// The semantics of replica sets.
#[derive(Debug, Clone, Copy)]
pub struct ReplicaSet;

impl Strategy for ReplicaSet {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({"replicas": 0}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        nonnegative(&spec.field("replicas"), &mut errors);
        nonnegative(&spec.field("minReadySeconds"), &mut errors);
        // "deployment" is what upstream says here.
        template::required_selector(&spec, "deployment", &mut errors);
        template::for_selector(&spec.field("template"), &spec.field("selector"), &mut errors);
        template::runs_for_ever(&spec.field("template"), "ReplicaSet", &mut errors);
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
        _old: &Value,
    ) -> ErrorList {
        let mut errors = ErrorList::new();
        let counts = [
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ];
        template::replica_counts(new, &counts, &mut errors);
        errors
    }
}
