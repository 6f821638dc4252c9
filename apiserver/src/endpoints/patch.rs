//! PATCH: JSON patch, merge patch and strategic merge patch, applied to the object as served. Server-side apply is PATCH by
//! its media type only and has a file of its own.
//! Upstream: handlers.PatchResource.

use api::decode::{self, FieldValidation, Syntax};
use api::field::{Error as FieldError, ErrorList, Path};
use api::go_text::percent_v;
use api::meta::GroupKind;
use api::patch::{json as json_patch, merge, strategic};
use api::status::Status;
use http::{Response, header};
use json::Value;

use super::options::WriteOptions;
use super::update::{check_name, write};
use super::{Call, Request, apply, body, created, negotiation, respond, send};
use crate::context::RequestContext;
use crate::registry::metadata;
use crate::registry::resource::Resource;
use crate::registry::store::{Ownership, Present};
use crate::server::body::Body;

/// A decoded patch.
pub(super) enum Patch {
    Json(json_patch::Patch),
    /// With what it says twice, where that is to be refused.
    Merge(Value, Vec<String>),
    Strategic(Value),
}

/// Serves PATCH of an object or of a subresource that shows the whole object.
pub(super) async fn serve(call: &mut Call<'_>, request: Request) -> Result<Response<Body>, Status> {
    let media_type = media_type(&request)?;
    if media_type == MediaType::Apply {
        return apply::serve(call, request).await;
    }
    let output = request.output()?;
    let options = WriteOptions::decode(&request.query, "PatchOptions")?;
    call.apply(&options, &request);
    let bytes = body::read(request.body).await?;
    call.ctx.audited_text(&bytes);
    let patch = Patch::decode(media_type, &bytes, options.field_validation, &call.ctx)?;
    let resource = call.resource;
    let mut change = |ctx: &RequestContext, present: Present<'_>| {
        if present.is_absent() {
            return Err(Status::not_found(&resource.group_resource(), &ctx.target.name));
        }
        let patched = patch.apply(present.served(), resource, options.field_validation)?;
        let mut object = normalize(resource, ctx, &patch, patched, options.field_validation)?;
        metadata::ensure_namespace(&mut object, &ctx.target.namespace)?;
        check_name(&object, &ctx.target.name)?;
        Ok(object)
    };
    let written = write(call, &request.info, &request.user, &options, Ownership::Tracked, &mut change).await?;
    send(call, created(written.created), written.served, &output)
}

const MEDIA_TYPES: [(&str, MediaType); 4] = [
    ("application/json-patch+json", MediaType::Json),
    ("application/merge-patch+json", MediaType::Merge),
    ("application/strategic-merge-patch+json", MediaType::Strategic),
    ("application/apply-patch+yaml", MediaType::Apply),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    Merge,
    Strategic,
    /// Server-side apply.
    Apply,
}

/// Upstream's router refuses unknown media types before the handler, in its own words.
pub(super) fn media_type(request: &Request) -> Result<MediaType, Status> {
    let given =
        request.parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let given = negotiation::media_type(given);
    if request.formats.cbor && given == "application/apply-patch+cbor" {
        return Ok(MediaType::Apply);
    }
    if request.formats.custom {
        // How lists of custom resources are patched strategically nobody says.
        let offered = MEDIA_TYPES.iter().filter(|(_, kind)| *kind != MediaType::Strategic);
        let found = offered.clone().find(|(name, _)| *name == given);
        let names: Vec<&str> = offered.map(|(name, _)| *name).collect();
        return found.map(|(_, kind)| *kind).ok_or_else(|| Status::unsupported_media_type(&names));
    }
    MEDIA_TYPES
        .iter()
        .find(|(name, _)| *name == given)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| Status::generic(415, "", &Default::default(), "", "415: Unsupported Media Type"))
}

impl Patch {
    pub(super) fn decode(
        media_type: MediaType,
        bytes: &[u8],
        validation: FieldValidation,
        ctx: &RequestContext,
    ) -> Result<Patch, Status> {
        let strict = validation != FieldValidation::Ignore;
        if media_type == MediaType::Merge && validation == FieldValidation::Strict {
            let decoded = decode::decode_untyped(bytes, Syntax::Json, FieldValidation::Warn);
            let decoded = decoded.map_err(|_| Status::bad_request("invalid JSON patch"))?;
            return Ok(Patch::Merge(decoded.object, decoded.warnings));
        }
        let parsed = decode::decode_untyped(bytes, Syntax::Json, validation).map(|decoded| {
            for warning in decoded.warnings {
                ctx.warn(warning);
            }
            decoded.object
        });
        match media_type {
            MediaType::Json => {
                let value = parsed.map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
                let patch = json_patch::Patch::decode(value, strict)?;
                if validation == FieldValidation::Strict && !patch.unknown_fields.is_empty() {
                    return Err(invalid_patch(
                        "",
                        &format!("strict decoding error: {}", patch.unknown_fields.join(", ")),
                    ));
                }
                if validation == FieldValidation::Warn {
                    for field in &patch.unknown_fields {
                        ctx.warn(field.as_str());
                    }
                }
                Ok(Patch::Json(patch))
            }
            MediaType::Merge => parsed
                .map(|patch| Patch::Merge(patch, Vec::new()))
                .map_err(|_| Status::bad_request("invalid JSON patch")),
            MediaType::Strategic | MediaType::Apply => {
                parsed.map(Patch::Strategic).map_err(|error| Status::bad_request(error.to_string()))
            }
        }
    }

    fn duplicates(&self) -> &[String] {
        match self {
            Patch::Merge(_, duplicates) => duplicates,
            _ => &[],
        }
    }

    /// The 422 for what this patch made of an object.
    fn spoils(&self, patched: &Value, why: &str) -> Status {
        match self {
            Patch::Strategic(patch) => invalid_patch(&percent_v(patch), &as_restored(why)),
            _ => invalid_patch(&patched.to_string(), why),
        }
    }

    pub(super) fn apply(
        &self,
        present: Value,
        resource: &Resource,
        validation: FieldValidation,
    ) -> Result<Value, Status> {
        let strict = validation != FieldValidation::Ignore;
        Ok(match self {
            Patch::Json(patch) => patch.apply(present)?,
            Patch::Merge(patch, _) => merge::apply(present, patch.clone(), strict)?,
            Patch::Strategic(patch) => {
                let schema = resource.schema().ok_or_else(respond::no_such_resource)?;
                strategic::apply(present, patch.clone(), schema)?
            }
        })
    }
}

/// What a patch made is held to what a body is held to. Upstream: jsonPatcher.applyPatchToCurrentObject, strategicPatchObject.
fn normalize(
    resource: &Resource,
    ctx: &RequestContext,
    patch: &Patch,
    patched: Value,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let target = resource.decode_target().ok_or_else(respond::no_such_resource)?;
    let strict = validation == FieldValidation::Strict;
    match decode::normalize(&patched, target, if strict { FieldValidation::Warn } else { validation }) {
        Ok(decoded) if strict => {
            let complaints = [patch.duplicates(), &decoded.warnings].concat();
            if complaints.is_empty() {
                ctx.note_sent(&decoded);
                return Ok(decoded.object);
            }
            Err(patch.spoils(&patched, &format!("strict decoding error: {}", complaints.join(", "))))
        }
        Ok(decoded) => {
            ctx.note_sent(&decoded);
            for warning in decoded.warnings {
                ctx.warn(warning);
            }
            Ok(decoded.object)
        }
        Err(error) => {
            let why = match &error {
                decode::Error::Malformed { reason, .. } | decode::Error::Unrecognized { reason, .. } => reason.clone(),
                decode::Error::WrongVersion { .. } => return Err(Status::bad_request(error.to_string())),
            };
            Err(patch.spoils(&patched, &why))
        }
    }
}

/// A type that is wrong in the words of upstream's converter, which what a strategic patch made goes through in place of its
/// JSON decoder. Upstream: runtime.DefaultUnstructuredConverter.
fn as_restored(why: &str) -> String {
    let types = why
        .strip_prefix("json: cannot unmarshal ")
        .and_then(|rest| Some((rest.split_once(" into ")?.0, rest.rsplit_once(" of type ")?.1)));
    let Some((given, wanted)) = types else { return why.to_owned() };
    let (kind, go_type) = match given {
        "object" => ("map", "map[string]interface {}"),
        "array" => ("slice", "[]interface {}"),
        "number" => ("int64", "int64"),
        other => (other, other),
    };
    if wanted.starts_with("map[") {
        format!("cannot restore map from {kind}")
    } else if wanted.starts_with("[]") {
        format!("cannot restore slice from {kind}")
    } else if wanted.contains('.') {
        format!("cannot restore struct from: {kind}")
    } else {
        format!("cannot convert {go_type} to {wanted}")
    }
}

/// The 422 of upstream for what a patch made of an object. It names neither kind nor object.
fn invalid_patch(patched: &str, why: &str) -> Status {
    let mut errors = ErrorList::new();
    errors.push(FieldError::invalid(&Path::new("patch"), patched, why));
    Status::invalid(&GroupKind::new("", ""), "", &errors)
}
