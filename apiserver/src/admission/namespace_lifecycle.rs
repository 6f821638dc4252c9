//! NamespaceLifecycle: nothing is created in a namespace that is not there or is going; three namespaces never go.
//! Upstream: apiserver pkg/admission/plugin/namespace/lifecycle.

use api::meta::GroupResource;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

#[derive(Debug)]
pub(super) struct NamespaceLifecycle;

impl Mutating for NamespaceLifecycle {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Delete)
    }

    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        check(attributes, object)
    }
}

fn check(attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
    let target = &attributes.ctx.target;
    let resource = GroupResource::new(&target.group, &target.resource);
    if target.group.is_empty() && target.resource == "namespaces" {
        let kept = attributes.operation == Operation::Delete && IMMORTAL.contains(&target.name.as_str());
        return if kept {
            Err(Status::forbidden(&resource, &target.name, &"this namespace may not be deleted"))
        } else {
            Ok(())
        };
    }
    let review = target.group == "authorization.k8s.io" && target.resource == "localsubjectaccessreviews";
    if target.namespace.is_empty() || attributes.operation != Operation::Create || review {
        return Ok(());
    }
    let Some(namespace) = attributes.ctx.objects.get("", "namespaces", "", &target.namespace) else {
        return Err(Status::not_found(&GroupResource::new("", "namespaces"), &target.namespace));
    };
    if namespace["status"]["phase"] != "Terminating" {
        return Ok(());
    }
    let name = &target.namespace;
    let why = format!("unable to create new content in namespace {name} because it is being terminated");
    let cause = format!("namespace {name} is being terminated");
    Err(forbidden(attributes, object, why).with_cause("NamespaceTerminating", cause, "metadata.namespace"))
}
