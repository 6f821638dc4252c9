//! The group scheduling.k8s.io: PriorityClasses. Upstream: ValidatePriorityClass.

use api::field::{Error, ErrorList, Path};
use api::meta;
use json::Value;

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{immutable, optional_one_of};
use crate::context::RequestContext;

const HIGHEST_USER_PRIORITY: i64 = 1_000_000_000;
/// Names under the reserved prefix, with their values.
pub(crate) const SYSTEM: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// The semantics of priority classes.
#[derive(Debug, Clone, Copy)]
pub struct PriorityClass;

impl Strategy for PriorityClass {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        // Never counted further.
        meta::set_generation(new, 1);
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        let (name, value) = (meta::name(new), root.field("value"));
        if name.starts_with("system-") {
            if let Err(reason) = known(name, value.int(), root.field("globalDefault").bool()) {
                let detail = format!(
                    "priority class names with 'system-' prefix are reserved for system use only. error: {reason}"
                );
                errors.push(Error::forbidden(&Path::new("metadata").child("name"), detail));
            }
        } else if value.int() > HIGHEST_USER_PRIORITY {
            errors.push(
                value.forbidden(format!("maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}")),
            );
        }
        optional_one_of(&root.field("preemptionPolicy"), &["PreemptLowerPriority", "Never"], &mut errors);
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        if root.field("value").int() != at(old, &["value"]).as_i64().unwrap_or(0) {
            errors.push(root.field("value").forbidden("may not be changed in an update."));
        }
        immutable(&root.field("preemptionPolicy"), at(old, &["preemptionPolicy"]), &mut errors);
        errors
    }

    fn allow_create_on_update(&self) -> bool {
        false
    }
}

/// Upstream: IsKnownSystemPriorityClass.
fn known(name: &str, value: i64, default: bool) -> Result<(), String> {
    let Some((_, own)) = SYSTEM.iter().find(|(own, _)| *own == name) else {
        return Err(format!("{name} is not a known system priority class"));
    };
    if *own != value {
        return Err(format!("value of {name} PriorityClass must be {own}"));
    }
    if default {
        return Err(format!("globalDefault of {name} PriorityClass must be false"));
    }
    Ok(())
}
