//! The id a request is known by in logs and audit: the client's `Audit-ID` header, or a fresh one. Sent back.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Upstream: auditinternal.HeaderAuditID.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("audit-id");

/// Longest id taken from a client.
const MAX_LENGTH: usize = 64;

/// The id of a request with these headers.
pub(crate) fn of(headers: &HeaderMap) -> HeaderValue {
    if let Some(given) = headers.get(&HEADER).filter(|value| !value.is_empty() && value.len() <= MAX_LENGTH) {
        return given.clone();
    }
    let mut buffer = uuid::Uuid::encode_buffer();
    let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("unknown"))
}
