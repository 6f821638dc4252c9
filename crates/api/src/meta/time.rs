//! The API's timestamps: RFC 3339 in UTC, whole seconds for `Time`, microseconds for `MicroTime`.
//!
//! The caller passes the present in; nothing here reads a clock.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// Writes a `Time`: `2026-01-02T03:04:05Z`, the fraction dropped. Upstream: metav1.Time.MarshalJSON.
pub fn format(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes a `MicroTime`: `2026-01-02T03:04:05.000006Z`. Upstream: metav1.MicroTime.MarshalJSON.
pub fn format_micro(time: Timestamp) -> String {
    let options = TimestampRound::new().smallest(Unit::Microsecond).mode(RoundMode::Trunc);
    time.round(options).unwrap_or(time).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form, in any offset. None if it is no RFC 3339 time.
pub fn parse(text: &str) -> Option<Timestamp> {
    // jiff reads supersets of RFC 3339 (a space for the T, basic format): only what Go reads is let through.
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[16] == b':'
        && !text.contains('[')
        && (bytes[19] == b'.' || bytes[19] == b'Z' || bytes[19] == b'+' || bytes[19] == b'-');
    shape.then(|| text.parse().ok()).flatten()
}
