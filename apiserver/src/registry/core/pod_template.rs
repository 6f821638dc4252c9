//! PodTemplates. Upstream: ValidatePodTemplate.

use api::field::ErrorList;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::pod_spec;
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

    fn allow_create_on_update(&self) -> bool {
        true
    }
}
