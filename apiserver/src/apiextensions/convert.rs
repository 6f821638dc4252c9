//! Between the versions of a custom resource.
//!
//! Without a webhook versions differ in name only. A webhook is asked for all objects at once.
//! Upstream: apiextensions-apiserver/pkg/apiserver/conversion.

use api::meta;
use api::status::Status;
use serde_json::Value;

use super::definition::{Conversion, Definition};

/// Brings objects of any version to one version.
///
/// # Errors
/// What the webhook, or what is wrong with it, says.
pub(super) async fn convert(definition: &Definition, objects: &mut [Value], version: usize) -> Result<(), Status> {
    if rename(definition, objects, version).is_some() {
        return Ok(());
    }
    let Conversion::Webhook(converter) = &definition.conversion else { return Ok(()) };
    let services =
        converter.services.upgrade().ok_or_else(|| Status::service_unavailable("the server is going away"))?;
    let (sent, as_list) = (objects.iter_mut().map(std::mem::take).collect(), objects.len() > 1);
    let wanted = definition.api_version(version);
    let converting = converter.webhook.convert(services.as_ref(), sent, &wanted, as_list);
    let converted = converting.await.map_err(|error| Status::unknown(500, error.to_string()))?;
    for (object, converted) in objects.iter_mut().zip(converted) {
        *object = converted;
    }
    Ok(())
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
