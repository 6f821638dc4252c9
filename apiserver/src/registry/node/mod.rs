//! The group node.k8s.io: RuntimeClasses. Upstream: ValidateRuntimeClass.

use api::field::{Error, ErrorList};
use serde_json::Value;

use super::fields::{At, at};
use super::strategy::Strategy;
use super::validation::{FIELD_IMMUTABLE, dns_label, required_text, resources, same, selector};
use crate::context::RequestContext;

/// The semantics of runtime classes.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClass;

impl Strategy for RuntimeClass {
    fn allow_create_on_update(&self) -> bool {
        true
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let handler = At::root(new).field("handler");
        if required_text(&handler, &mut errors) {
            dns_label(&handler, &mut errors);
        }
        for (name, amount) in At::root(new).field("overhead").field("podFixed").entries() {
            resources::resource_name(name, &amount, &mut errors);
            resources::quantity_value(name, &amount, &mut errors);
        }
        selector::labels(&At::root(new).field("scheduling").field("nodeSelector"), &mut errors);
        errors
    }

    fn validate_update(&self, _ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let handler = At::root(new).field("handler");
        if !same(handler.value, at(old, &["handler"])) {
            errors.push(Error::invalid(&handler.path, Value::Null, FIELD_IMMUTABLE));
        }
        errors
    }
}
