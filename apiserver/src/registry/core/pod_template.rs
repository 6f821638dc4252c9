//! PodTemplates. Upstream: ValidatePodTemplate.

use api::field::ErrorList;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::{pod_spec, same};
use super::pod_warnings;
use crate::context::RequestContext;

/// The semantics of pod templates kept on their own.
#[derive(Debug, Clone, Copy)]
pub struct PodTemplate;

impl Strategy for PodTemplate {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        pod_spec::template(&At::root(new).field("template"), &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        pod_warnings::of_template(new, &["template"])
    }

    /// Only somebody who changes the template is told about it. Upstream compares generations.
    fn warnings_on_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        if same(&new["template"], &old["template"]) { Vec::new() } else { self.warnings_on_create(ctx, new) }
    }

    fn allow_create_on_update(&self) -> bool {
        true
    }
}
