//! ControllerRevisions. Upstream: ValidateControllerRevision.

use api::field::{Error, ErrorList, Path};
use json::Value;

use super::super::fields::{At, at};
use super::super::strategy::Strategy;
use super::super::validation::{immutable, nonnegative};
use crate::context::RequestContext;

/// The semantics of controller revisions.
#[derive(Debug, Clone, Copy)]
pub struct ControllerRevision;

impl Strategy for ControllerRevision {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        if at(new, &["data"]).is_null() {
            errors.push(Error::required(&Path::new("data"), "data is mandatory"));
        }
        nonnegative(&At::root(new).field("revision"), &mut errors);
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        immutable(&At::root(new).field("data"), at(old, &["data"]), &mut errors);
        errors
    }
}
