//! AlwaysDeny: nothing is written. (AlwaysAdmit does nothing, and is nothing.) Upstream: plugin/pkg/admission/deny.

use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation};

#[derive(Debug)]
pub(super) struct AlwaysDeny;

impl Mutating for AlwaysDeny {
    fn name(&self) -> &'static str {
        "AlwaysDeny"
    }

    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, object: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
        let refusal = forbidden(attributes, object, "admission control is denying all modifications");
        Box::pin(ready(Err(refusal)))
    }
}
