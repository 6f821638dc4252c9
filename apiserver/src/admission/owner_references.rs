//! OwnerReferencesPermissionEnforcement: who makes an object go with another could have deleted it; who makes another wait for
//! it may say when that one goes. Upstream: plugin/pkg/admission/gc.

use std::collections::HashMap;

use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::authorization;
use crate::registry::fields::{items, text};
use crate::registry::validation::same;

#[derive(Debug)]
pub(super) struct OwnerReferencesPermissionEnforcement;

impl Validating for OwnerReferencesPermissionEnforcement {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        // A status changes no owners.
        let skipped = attributes.is_subresource("", "pods", "status");
        let answer = if skipped { Ok(()) } else { check(attributes, object) };
        answer.map_err(|why| forbidden(attributes, object, why))
    }
}

fn owners(object: &Value) -> &[Value] {
    items(&object["metadata"], "ownerReferences")
}

fn check(attributes: Attributes<'_>, object: &Value) -> Result<(), String> {
    let ctx = attributes.ctx;
    let old = attributes.old.map(owners).unwrap_or_default();
    let own = owners(object);
    if own.len() == old.len() && own.iter().zip(old).all(|(new, old)| same(new, old)) {
        return Ok(());
    }
    if attributes.operation != Operation::Create {
        let mut delete = ctx.question("delete", &ctx.target.group, &ctx.target.resource);
        delete.api_version.clone_from(&ctx.target.version);
        delete.subresource.clone_from(&ctx.target.subresource);
        delete.namespace.clone_from(&ctx.target.namespace);
        delete.name.clone_from(&ctx.target.name);
        allowed(attributes, &delete, "cannot set an ownerRef on a resource you can't delete")?;
    }
    let was_blocking: HashMap<&str, bool> = old.iter().map(|own| (text(own, "uid"), blocks(own))).collect();
    let blocking = own.iter().filter(|own| blocks(own) && was_blocking.get(text(own, "uid")) != Some(&true));
    let blocking: Vec<&Value> = blocking.collect();
    let anything = authorization::Attributes {
        subresource: "finalizers".to_owned(),
        name: "*".to_owned(),
        ..ctx.question("update", "*", "*")
    };
    if blocking.is_empty() || ctx.may(&anything) {
        return Ok(());
    }
    blocking.into_iter().try_for_each(|owner| may_finalize(attributes, owner))
}

fn blocks(owner: &Value) -> bool {
    owner["blockOwnerDeletion"] == true
}

fn may_finalize(attributes: Attributes<'_>, owner: &Value) -> Result<(), String> {
    let ctx = attributes.ctx;
    let (api_version, kind) = (text(owner, "apiVersion"), text(owner, "kind"));
    let resources = ctx.objects.resources_of(api_version, kind);
    if resources.is_empty() {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        return Err(format!(
            "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {api_version} Kind {kind}: \
             no matches for kind \"{kind}\" in version \"{}{version}\"",
            if group.is_empty() { String::new() } else { format!("{group}/") }
        ));
    }
    for resource in resources {
        let mut question = ctx.question("update", &resource.info.group, &resource.info.plural);
        question.api_version = resource.info.version.to_string();
        "finalizers".clone_into(&mut question.subresource);
        text(owner, "name").clone_into(&mut question.name);
        if resource.info.namespaced {
            // Owners are in the namespace of what they own.
            question.namespace.clone_from(&ctx.target.namespace);
        }
        let what =
            "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on";
        allowed(attributes, &question, what)?;
    }
    Ok(())
}

/// Upstream prints its error, too, also where there is none.
fn allowed(attributes: Attributes<'_>, question: &authorization::Attributes, what: &str) -> Result<(), String> {
    let decision = attributes.ctx.authorize(question);
    match decision.is_allowed() {
        true => Ok(()),
        false => Err(format!("{what}: {}, {}", decision.reason, decision.error.as_deref().unwrap_or("<nil>"))),
    }
}
