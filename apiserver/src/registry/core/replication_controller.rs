//! ReplicationControllers. Upstream: ValidateReplicationControllerSpec.

use api::field::ErrorList;
use serde_json::{Value, json};

use super::super::apps::template;
use super::super::fields::{At, set};
use super::super::strategy::Strategy;
use super::super::validation::{nonnegative, required_nonnegative};
use crate::context::RequestContext;

/// The semantics of replication controllers.
#[derive(Debug, Clone, Copy)]
pub struct ReplicationController;

impl Strategy for ReplicationController {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({"replicas": 0}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        nonnegative(&spec.field("minReadySeconds"), &mut errors);
        if spec.field("selector").is_empty() {
            errors.push(spec.field("selector").required(""));
        }
        required_nonnegative(&spec.field("replicas"), &mut errors);
        let own = spec.field("template");
        if !own.is_set() {
            errors.push(own.required(""));
            return errors;
        }
        let selector = json!({"matchLabels": spec.get("selector")});
        template::for_selector(&own, &At::root(&selector), &mut errors);
        template::runs_for_ever(&own, "ReplicationController", &mut errors);
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
        let counts = ["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"];
        template::replica_counts(new, &counts, &mut errors);
        errors
    }
}
