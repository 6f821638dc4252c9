//! Answers: objects and errors into HTTP responses. Every error a client sees is rendered here.
//! Upstream: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters.

use std::io::Write;

use api::meta;
use api::protobuf;
use api::scheme::Scheme;
use api::status::Status;
use bytes::{Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{Stream, StreamExt, stream};
use http::{HeaderValue, Response, StatusCode, header};
use json::Value;

use super::negotiation::{Format, Output};
use crate::registry::protobuf::not_marshalable;
use crate::server::body::{Body, BoxError};

/// Bodies larger than this are gzipped where the client asks for it. Upstream: defaultGzipThresholdBytes.
pub(crate) const GZIP_THRESHOLD: usize = 128 * 1024;

/// An error, as the client sees it.
pub(crate) fn status(status: &Status, output: &Output) -> Response<Body> {
    let mut response = if output.pretty || output.format != Format::Json {
        value(status.code, &status.to_value(), &Output { gzip: false, ..*output })
    } else {
        bytes_with_type(status.code, status.to_json(), output.format.media_type(), false)
    };
    if let Some(seconds) = status.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// What a filter refuses.
pub(crate) fn refusal(status: &Status, output: &Output) -> Response<Body> {
    let mut response = self::status(status, output);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What a filter could not decide. Upstream: responsewriters.InternalError.
pub(crate) fn internal_error(uri: &str, why: &str) -> Response<Body> {
    let text = format!("Internal Server Error: {}: {why}\n", api::go_text::quote(uri));
    self::text(500, without_markup(&text))
}

/// Nothing in it that a browser would take for HTML. Upstream: responsewriters.sanitizer.
pub(crate) fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A computed object.
pub(crate) fn value(code: u16, object: &Value, output: &Output) -> Response<Body> {
    value_as(code, object, output, output.format.media_type())
}

/// A computed object whose media type says more than how it is encoded.
pub(crate) fn value_as(code: u16, object: &Value, output: &Output, media_type: &'static str) -> Response<Body> {
    match encode(object, output) {
        Ok(bytes) => bytes_with_type(code, bytes, media_type, output.gzip),
        // A status has every form there is.
        Err(refusal) => status(&refusal, output),
    }
}

/// JSON bytes as the store holds them: sent as they are, or re-rendered when the client wants them otherwise.
pub(crate) fn object_bytes(code: u16, json: Bytes, output: &Output) -> Response<Body> {
    if output.format == Format::Json && !output.pretty {
        // Stored objects have no end of line, JSON on its own has one.
        let mut line = BytesMut::with_capacity(json.len() + 1);
        line.extend_from_slice(&json);
        line.extend_from_slice(b"\n");
        return bytes_with_type(code, line.freeze(), output.format.media_type(), output.gzip);
    }
    match json::from_slice::<Value>(&json) {
        Ok(object) => value(code, &object, output),
        Err(error) => self::status(&Status::internal_error(&error), &Output { format: Format::Json, ..*output }),
    }
}

/// A stored object's message in its envelope.
pub(crate) fn protobuf_message(
    code: u16,
    api_version: &str,
    kind: &str,
    message: &[u8],
    output: &Output,
) -> Response<Body> {
    let mut body = protobuf::envelope_start(api_version, kind, message.len());
    body.reserve_exact(message.len() + protobuf::ENVELOPE_END.len());
    body.extend_from_slice(message);
    body.extend_from_slice(protobuf::ENVELOPE_END);
    bytes_with_type(code, body.into(), output.format.media_type(), output.gzip)
}

fn encode(object: &Value, output: &Output) -> Result<Bytes, Status> {
    Ok(match output.format {
        Format::Json if output.pretty => json::to_vec_pretty(object).unwrap_or_default().into(),
        Format::Json => {
            let mut bytes = json::to_vec(object).unwrap_or_default();
            bytes.push(b'\n');
            bytes.into()
        }
        Format::Yaml => serde_saphyr::to_string(object).unwrap_or_default().into(),
        Format::Protobuf => protobuf_body(object)?.into(),
        Format::Cbor => api::cbor::encode(object).into(),
    })
}

/// An object of a built-in kind as a protobuf body.
pub(crate) fn protobuf_body(object: &Value) -> Result<Vec<u8>, Status> {
    // Discovery leaves the version away.
    let (group, version) = meta::api_version(object).split_once('/').unwrap_or(("", "v1"));
    let schema = Scheme::builtin().kind(group, version, meta::kind(object));
    let schema = schema.ok_or_else(|| not_marshalable(meta::kind(object)))?;
    protobuf::encode(object, schema).map_err(|error| Status::internal_error(&error))
}

/// A response of known bytes.
pub(crate) fn bytes_with_type(code: u16, bytes: Bytes, media_type: &'static str, gzip: bool) -> Response<Body> {
    let (bytes, zipped) =
        if gzip && bytes.len() > GZIP_THRESHOLD { (self::gzip(&bytes), true) } else { (bytes, false) };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if zipped {
        mark_gzipped(&mut response);
    }
    response
}

/// A body gzipped piece by piece as it is sent, so that no request holds a thread for a whole large list.
pub(crate) fn gzipped(pieces: impl Stream<Item = Bytes> + Send + 'static, media_type: &'static str) -> Response<Body> {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let state = (Box::pin(pieces), Some(encoder));
    let zipped = stream::unfold(state, |(mut pieces, encoder)| async move {
        let mut encoder = encoder?;
        while let Some(piece) = pieces.next().await {
            if let Err(error) = encoder.write_all(&piece) {
                return Some((Err(error.into()), (pieces, None)));
            }
            if !encoder.get_ref().is_empty() {
                let out = std::mem::take(encoder.get_mut());
                return Some((Ok(Bytes::from(out)), (pieces, Some(encoder))));
            }
        }
        let last = encoder.finish().map(Bytes::from).map_err(BoxError::from);
        Some((last, (pieces, None)))
    });
    let mut response = Response::new(Body::stream(zipped));
    mark_gzipped(&mut response);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// A piece of a long answer as a gzip stream of its own, as upstream cuts them: nothing is kept for who waits for the next
/// one. It is flushed before it ends, so that Go's reader, which looks for the next one at the end, has given it away before.
pub(crate) fn gzip_piece(piece: &Bytes) -> Result<Bytes, BoxError> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(piece.len() / 4 + 64), Compression::fast());
    encoder.write_all(piece)?;
    encoder.flush()?;
    Ok(encoder.finish()?.into())
}

/// Says that a body is gzipped.
pub(crate) fn mark_gzipped(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Gzips at the lowest level, as upstream does.
fn gzip(bytes: &Bytes) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 6), Compression::fast());
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(zipped) => zipped.into(),
        Err(_) => bytes.clone(),
    }
}

/// Plain text.
pub(crate) fn plain(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    bytes_with_type(code, text.into(), "text/plain; charset=utf-8", false)
}

/// Plain text of Go's http.Error, which browsers are told not to take for anything else.
pub(crate) fn text(code: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = plain(code, text);
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// What Go's router says to unknown paths.
pub(crate) fn page_not_found() -> Response<Body> {
    text(404, "404 page not found\n")
}

/// The API's 404 for a path that is no resource.
pub(crate) fn no_such_resource() -> Status {
    Status::generic(404, "", &Default::default(), "", "")
}

/// The API's 405.
pub(crate) fn method_not_allowed() -> Status {
    Status::generic(405, "", &Default::default(), "", "")
}
