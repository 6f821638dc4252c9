//! Between the versions of a custom resource.
//!
//! Without a webhook versions differ in name only. A webhook is asked for all objects at once.
//! Upstream: apiextensions-apiserver/pkg/apiserver/conversion.

use api::meta;
use api::status::Status;
use api::structural;
use json::Value;

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
    let wanted = definition.api_version(version);
    if objects.iter().all(|object| meta::api_version(object) == wanted) {
        return Ok(objects);
    }
    let mut objects = ask(definition, objects, version, services, as_list).await?;
    objects.iter_mut().for_each(|object| coerce(definition, object, version));
    Ok(objects)
}

/// The same for objects that are not pruned.
///
/// # Errors
/// As [`convert`].
pub(super) async fn ask(
    definition: &Definition,
    mut objects: Vec<Value>,
    version: usize,
    services: &dyn Objects,
    as_list: bool,
) -> Result<Vec<Value>, Status> {
    if rename(definition, &mut objects, version).is_some() {
        return Ok(objects);
    }
    let Conversion::Webhook(webhook) = &definition.conversion else { return Ok(objects) };
    let converted = webhook.convert(services, objects, &definition.api_version(version), as_list).await;
    converted.map_err(|error| Status::unknown(500, error.to_string()))
}

/// Brings metadata into form and takes out what the schema of a version does not know, whoever made or converted the object.
/// What cannot be brought into form stays: it was stored past validation. Upstream: unstructuredSchemaCoercer.apply.
pub(super) fn coerce(definition: &Definition, object: &mut Value, version: usize) {
    let node = definition.compiled(version).node.as_ref();
    if let Some(metadata) = object.get_mut("metadata") {
        drop(structural::coerce_metadata(metadata, ""));
    }
    structural::prune(object, node, true, false);
    structural::drop_nulls(object, node);
    drop(structural::coerce(object, node));
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
            fields.insert("apiVersion", wanted.as_str().into());
        }
    }
    Some(())
}
