//! AlwaysDeny: nothing is written. (AlwaysAdmit does nothing, and is nothing.) Upstream: plugin/pkg/admission/deny.

use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation};

#[derive(Debug)]
pub(super) struct AlwaysDeny;

impl Mutating for AlwaysDeny {
    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let refusal = forbidden(attributes, object, "admission control is denying all modifications");
        Err(refusal)
    }
}
