//! The group coordination.k8s.io: Leases. Upstream: pkg/apis/coordination/validation.

use api::field::ErrorList;
use json::Value;

use super::fields::At;
use super::strategy::Strategy;
use super::validation::{nonnegative, one_of, positive};
use crate::context::RequestContext;

/// The semantics of leases.
#[derive(Debug, Clone, Copy)]
pub struct Lease;

/// Fields of the feature CoordinatedLeaderElection, which is off.
fn drop_coordination(lease: &mut Value) {
    if let Some(spec) = lease.get_mut("spec").and_then(Value::as_object_mut) {
        spec.shift_remove("strategy");
        spec.shift_remove("preferredHolder");
    }
}

impl Strategy for Lease {
    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        drop_coordination(new);
    }

    fn prepare_for_update(&self, _ctx: &RequestContext, new: &mut Value, _old: &Value) {
        drop_coordination(new);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        if spec.has("leaseDurationSeconds") {
            positive(&spec.field("leaseDurationSeconds"), &mut errors);
        }
        nonnegative(&spec.field("leaseTransitions"), &mut errors);
        let strategy = spec.field("strategy");
        if strategy.is_set() {
            one_of(&strategy, &["OldestEmulationVersion"], &mut errors);
        }
        if !spec.text("preferredHolder").is_empty() && strategy.str().is_empty() {
            errors.push(spec.field("preferredHolder").forbidden("may only be specified if `strategy` is defined"));
        }
        errors
    }
}
