//! Server-side apply: PATCH with `application/apply-patch+yaml`, or with CBOR where that is served. Upstream: handlers.applyPatcher.

use api::decode::{self, FieldValidation, Syntax};
use api::meta;
use api::status::Status;
use http::Response;
use json::Value;

use super::options::WriteOptions;
use super::update::{check_name, write};
use super::{Call, Request, body, created, respond, send};
use crate::context::RequestContext;
use crate::registry::resource::Resource;
use crate::registry::store::{Ownership, Present};
use crate::registry::{managed_fields, metadata};
use crate::server::body::Body;

/// Serves an apply to an object or to a subresource that shows the whole object.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let output = request.output()?;
    let options = WriteOptions::decode_apply(&request.query)?;
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    call.ctx.audited_text(&bytes);
    let configuration = Configuration::decode(&bytes)?;
    let (resource, engine) = (call.resource, call.engine().clone());
    let mut change = |ctx: &RequestContext, present: Present<'_>| {
        let (wanted, force) = (&configuration.object, options.force);
        let object = managed_fields::apply(&engine.resources, resource, ctx, force, present, wanted)?;
        configuration.check_repeats(ctx, options.field_validation)?;
        let mut object = typed(resource, ctx, object, wanted)?;
        if present.is_absent() && !meta::uid(&object).is_empty() {
            return Ok(object);
        }
        metadata::ensure_namespace(&mut object, &ctx.target.namespace)?;
        check_name(&object, &ctx.target.name)?;
        Ok(object)
    };
    let written = write(call, &request.info, &request.user, &options, Ownership::Applied, &mut change).await?;
    send(call, created(written.created), written.served, &output)
}

/// What a manager wants of an object.
pub(super) struct Configuration {
    pub(super) object: Value,
    /// Keys the text holds twice, as YAML's reader tells of them.
    repeats: Vec<String>,
}

impl Configuration {
    pub(super) fn decode(bytes: &[u8]) -> Result<Configuration, Status> {
        let bad = |why: String| Status::bad_request(format!("error decoding patch: {why}"));
        // Most clients send JSON, which is YAML too and sooner read.
        let decoded = match decode::decode_untyped(bytes, Syntax::Json, FieldValidation::Warn) {
            Ok(decoded) if decoded.object.is_object() && decoded.warnings.is_empty() => decoded,
            _ if bytes.starts_with(api::cbor::MAGIC) => {
                let object = api::cbor::decode(bytes).map_err(|why| bad(why.to_string()))?;
                decode::Decoded { object, warnings: Vec::new(), emptied: false }
            }
            _ => decode::decode_untyped(bytes, Syntax::Yaml, FieldValidation::Warn)
                .map_err(|why| bad(format!("error converting YAML to JSON: {why}")))?,
        };
        let found = match &decoded.object {
            Value::Object(_) | Value::Null => None,
            Value::Array(_) => Some("array"),
            Value::String(_) => Some("string"),
            Value::Number(_) => Some("number"),
            Value::Bool(_) => Some("bool"),
        };
        if let Some(found) = found {
            return Err(bad(format!(
                "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into Go value of type \
                 map[string]interface {{}}"
            )));
        }
        Ok(Configuration { object: decoded.object, repeats: decoded.warnings })
    }

    /// Repeated keys are told once the configuration could be applied.
    pub(super) fn check_repeats(&self, ctx: &RequestContext, validation: FieldValidation) -> Result<(), Status> {
        match validation {
            FieldValidation::Strict if !self.repeats.is_empty() => Err(Status::bad_request(format!(
                "error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
                self.repeats.join("\n  ")
            ))),
            FieldValidation::Warn => {
                self.repeats.iter().for_each(|repeat| ctx.warn(repeat.as_str()));
                Ok(())
            }
            FieldValidation::Strict | FieldValidation::Ignore => Ok(()),
        }
    }
}

/// The applied object in the form of a decoded one; a custom resource is as the configuration says it, nulls and all.
/// Upstream: the conversion at the end of structuredMergeManager.Apply.
fn typed(resource: &Resource, ctx: &RequestContext, object: Value, configuration: &Value) -> Result<Value, Status> {
    if resource.is_custom() {
        return Ok(object);
    }
    let target = resource.decode_target().ok_or_else(respond::no_such_resource)?;
    let decoded = decode::normalize(&object, target, FieldValidation::Ignore).map_err(|error| {
        let why = match &error {
            decode::Error::Malformed { reason, .. } | decode::Error::Unrecognized { reason, .. } => reason.clone(),
            decode::Error::WrongVersion { .. } => error.to_string(),
        };
        let (group, version) = target.group_version();
        let (namespace, name) = (meta::namespace(configuration), meta::name(configuration));
        let kind = format!("{}/{}, Kind={}", group, version, target.kind());
        Status::unknown(
            500,
            format!(
                "failed to convert new object ({namespace}/{name}; {kind}) to proper version: unable to convert unstructured \
                 object to {kind}: {why}"
            ),
        )
    })?;
    ctx.note_sent(&decoded);
    Ok(decoded.object)
}
