//! The group policy: PodDisruptionBudgets. Upstream: ValidatePodDisruptionBudgetSpec.

use api::field::ErrorList;
use json::Value;

use super::fields::At;
use super::strategy::Strategy;
use super::validation::conditions::conditions;
use super::validation::{at_most_hundred_percent, int_or_percent, nonnegative, optional_one_of, selector};
use crate::context::RequestContext;

/// The semantics of disruption budgets.
#[derive(Debug, Clone, Copy)]
pub struct PodDisruptionBudget;

impl Strategy for PodDisruptionBudget {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let amounts = ["minAvailable", "maxUnavailable"].map(|name| spec.field(name));
        if amounts.iter().all(At::is_set) {
            errors.push(spec.invalid("minAvailable and maxUnavailable cannot be both set"));
        }
        for amount in amounts.iter().filter(|amount| amount.is_set()) {
            int_or_percent(amount, &mut errors);
            at_most_hundred_percent(amount, &mut errors);
        }
        selector::label_selector(&spec.field("selector"), &mut errors);
        optional_one_of(&spec.field("unhealthyPodEvictionPolicy"), &["AlwaysAllow", "IfHealthyBudget"], &mut errors);
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let status = At::root(new).field("status");
        conditions(&status.field("conditions"), &mut errors);
        for count in ["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"] {
            nonnegative(&status.field(count), &mut errors);
        }
        errors
    }
}
