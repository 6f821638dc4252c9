//! How fast an autoscaler may go, up and down. Upstream: validateBehavior.

use api::field::ErrorList;

use super::super::fields::At;
use super::super::validation::resources::nonnegative_quantity;
use super::super::validation::{one_of, optional_one_of};

const LONGEST_WINDOW: i64 = 3600;
const LONGEST_PERIOD: i64 = 1800;

/// The rules of both directions, as far as they are given.
pub(super) fn behavior(at: &At<'_>, errors: &mut ErrorList) {
    for rules in ["scaleUp", "scaleDown"].map(|direction| at.field(direction)) {
        if rules.is_set() {
            self::rules(&rules, errors);
        }
    }
}

fn rules(at: &At<'_>, errors: &mut ErrorList) {
    let (window, policies) = (at.field("stabilizationWindowSeconds"), at.field("policies"));
    if window.int() < 0 {
        errors.push(window.invalid_int("must be greater than or equal to zero"));
    }
    at_most(&window, LONGEST_WINDOW, errors);
    optional_one_of(&at.field("selectPolicy"), &["Disabled", "Max", "Min"], errors);
    if policies.is_empty() {
        errors.push(policies.required("must specify at least one Policy"));
    }
    for policy in policies.items() {
        one_of(&policy.field("type"), &["Percent", "Pods"], errors);
        for amount in ["value", "periodSeconds"].map(|field| policy.field(field)) {
            if amount.int() <= 0 {
                errors.push(amount.invalid_int("must be greater than zero"));
            }
        }
        at_most(&policy.field("periodSeconds"), LONGEST_PERIOD, errors);
    }
    nonnegative_quantity(&at.field("tolerance"), errors);
}

fn at_most(at: &At<'_>, most: i64, errors: &mut ErrorList) {
    if at.int() > most {
        errors.push(at.invalid_int(format!("must be less than or equal to {most}")));
    }
}
