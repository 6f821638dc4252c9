//! NamespaceExists: nothing is written in a namespace that is not there. Upstream: plugin/pkg/admission/namespace/exists.

use api::meta::GroupResource;
use api::status::Status;
use json::Value;

use super::{Attributes, Operation, Validating};

#[derive(Debug)]
pub(super) struct NamespaceExists;

impl Validating for NamespaceExists {
    fn handles(&self, operation: Operation) -> bool {
        operation != Operation::Connect
    }

    fn validate(&self, attributes: Attributes<'_>, _: &Value) -> Result<(), Status> {
        let name = &attributes.ctx.target.namespace;
        let is_missing = !name.is_empty()
            && attributes.kind != "Namespace"
            && attributes.ctx.objects.get("", "namespaces", "", name).is_none();
        if is_missing { Err(Status::not_found(&GroupResource::new("", "namespaces"), name)) } else { Ok(()) }
    }
}
