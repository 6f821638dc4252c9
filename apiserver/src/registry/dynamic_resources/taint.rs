//! Taints of devices, tolerations, and DeviceTaintRules, which taint from outside. Upstream: ValidateDeviceTaintRule.

use api::field::{Error, ErrorList};
use api::names;
use json::{Value, json};

use super::super::fields::{At, at, object_mut, set, text};
use super::super::strategy::Strategy;
use super::super::validation::conditions::conditions;
use super::super::validation::{dns_label, named, one_of, qualified_name, required_one_of, volume};
use super::names::pool;
use crate::context::RequestContext;

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const OPERATORS: [&str; 2] = ["Equal", "Exists"];
const MAX_CONDITIONS: usize = 8;

/// The semantics of rules that taint devices.
#[derive(Debug, Clone, Copy)]
pub struct DeviceTaintRule;

impl Strategy for DeviceTaintRule {
    fn prepare_for_create(&self, _ctx: &RequestContext, new: &mut Value) {
        set(new, "status", json!({}));
    }

    /// Another effect begins now.
    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, old: &Value) {
        let before = at(old, &["spec", "taint"]);
        let taint = object_mut(object_mut(new, "spec"), "taint");
        if text(taint, "effect") != text(before, "effect") && taint["timeAdded"] == before["timeAdded"] {
            set(taint, "timeAdded", ctx.timestamp());
        }
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let selected = spec.field("deviceSelector");
        if selected.has("driver") {
            volume::driver_name(&selected.field("driver"), &mut errors);
        }
        if selected.has("pool") {
            pool(&selected.field("pool"), &mut errors);
        }
        if selected.has("device") {
            dns_label(&selected.field("device"), &mut errors);
        }
        taint(&spec.field("taint"), &mut errors);
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        limited_conditions(&At::root(new).field("status").field("conditions"), &mut errors);
        errors
    }
}

/// Conditions, of which there are few.
pub(super) fn limited_conditions(list: &At<'_>, errors: &mut ErrorList) {
    conditions(list, errors);
    if list.slice().len() > MAX_CONDITIONS {
        errors.push(Error::too_many(&list.path, Some(list.slice().len()), MAX_CONDITIONS));
    }
}

/// Upstream: validateDeviceTaint.
pub(super) fn taint(at: &At<'_>, errors: &mut ErrorList) {
    qualified_name(&at.field("key"), errors);
    label_value(&at.field("value"), errors);
    required_one_of(&at.field("effect"), &EFFECTS, errors);
}

/// Upstream: validateDeviceToleration.
pub(super) fn tolerations(list: &At<'_>, errors: &mut ErrorList) {
    for toleration in list.items() {
        let (key, value) = (toleration.field("key"), toleration.field("value"));
        if !key.str().is_empty() {
            qualified_name(&key, errors);
        }
        let operator = toleration.field("operator");
        match operator.str() {
            "Exists" if !value.str().is_empty() => {
                errors.push(value.invalid_str("must be empty for operator `Exists`"));
            }
            "Equal" => label_value(&value, errors),
            _ => required_one_of(&operator, &OPERATORS, errors),
        }
        let effect = toleration.field("effect");
        if !effect.str().is_empty() {
            one_of(&effect, &EFFECTS, errors);
        }
    }
}

fn label_value(at: &At<'_>, errors: &mut ErrorList) {
    named(at, names::is_valid_label_value(at.str()), errors);
}
