//! Bodies of requests: read within a limit, decoded by schema.

use api::decode::{self, Expected, FieldValidation};
use api::status::Status;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use json::Value;

use super::negotiation::Input;
use crate::context::RequestContext;
use crate::server::body::RequestBody;

/// Upstream: MaxRequestBodyBytes.
pub(crate) const LIMIT: usize = 3 * 1024 * 1024;

/// All of a body, or 413 as soon as it is too much.
pub(crate) async fn read(mut body: RequestBody) -> Result<Bytes, Status> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::bad_request(format!("error reading the request body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        let length = all.as_ref().map_or(first.len(), BytesMut::len);
        if length + data.len() > LIMIT {
            return Err(Status::request_entity_too_large(&format!("limit is {LIMIT}")));
        }
        match &mut all {
            Some(all) => all.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity(first.len() + data.len());
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                all = Some(joined);
            }
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}

/// Decodes an object and passes its warnings on.
pub(crate) fn decode<'a>(
    ctx: &RequestContext,
    bytes: &[u8],
    input: Input,
    target: impl Into<Expected<'a>>,
    validation: FieldValidation,
) -> Result<Value, Status> {
    let target = target.into();
    let decoded = match input {
        Input::Text(syntax) => decode::decode(bytes, syntax, target, validation),
        Input::Protobuf => decode::decode_protobuf(bytes, target, validation),
        Input::Cbor => decode::decode_cbor(bytes, target, validation),
    };
    let decoded = decoded.map_err(|error| Status::bad_request(error.to_string()))?;
    ctx.note_sent(&decoded);
    for warning in decoded.warnings {
        ctx.warn(warning);
    }
    ctx.audited(&decoded.object);
    Ok(decoded.object)
}
