//! Between the versions of a custom resource.
//!
//! Without a webhook versions differ in name only. A webhook is asked for all objects at once.
//! Upstream: apiextensions-apiserver/pkg/apiserver/conversion.

use api::meta;
use api::status::Status;
use api::structural;
use serde_json::Value;

use super::definition::{Conversion, Definition};
use crate::context::Objects;

/// Brings objects of any version to one version. `services` finds the webhook; `as_list` only matters to the words of errors.
///
/// # Errors
/// What the webhook, or what is wrong with it, says.
pub(super) async fn convert(
    definition: &Definition,
    objects: Vec<Value>,
    version: usize,
    services: &dyn Objects,
    as_list: bool,
) -> Result<Vec<Value>, Status> {
    let mut objects = objects;
    if rename(definition, &mut objects, version).is_some() {
        return Ok(objects);
    }
    let Conversion::Webhook(webhook) = &definition.conversion else { return Ok(objects) };
    let wanted = definition.api_version(version);
    let mut converted = webhook
        .convert(services, objects, &wanted, as_list)
        .await
        .map_err(|error| Status::unknown(500, error.to_string()))?;
    // A webhook's word is not taken for what the schema says.
    let node = definition.compiled(version).node.as_ref();
    for object in &mut converted {
        structural::prune(object, node, true, false);
        structural::drop_nulls(object, node);
    }
    Ok(converted)
}

/// The same where nobody has to be asked; None where a webhook would have to be.
pub(super) fn rename(definition: &Definition, objects: &mut [Value], version: usize) -> Option<()> {
    let wanted = definition.api_version(version);
    let differ = objects.iter().any(|object| meta::api_version(object) != wanted);
    if differ && matches!(definition.conversion, Conversion::Webhook(_)) {
        return None;
    }
    for object in objects.iter_mut().filter(|_| differ) {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), wanted.as_str().into());
        }
    }
    Some(())
}
