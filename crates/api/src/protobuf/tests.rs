#[cfg(feature = "upstream-fixtures")]
mod wire;

use super::*;
use crate::scheme::Scheme;
use serde_json::json;

/// A field of bytes.
fn bytes_field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(content.len()).expect("short")];
    out.extend_from_slice(content);
    out
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.concat()
}

#[test]
fn the_envelope_names_the_object() {
    let type_meta = joined(&[bytes_field(1, b"v1"), bytes_field(2, b"Pod")]);
    let body = joined(&[MAGIC.to_vec(), bytes_field(1, &type_meta), bytes_field(2, b"xyz"), bytes_field(3, b"")]);
    assert_eq!(Envelope::read(&body), Ok(Envelope { api_version: "v1", kind: "Pod", raw: b"xyz" }));
    assert_eq!(Envelope::read(b"{}"), Err(Error::Magic));
}

#[test]
fn inlined_messages_maps_and_wrapped_values_are_found() {
    let schema = Scheme::builtin().kind("", "v1", "Pod").expect("pods are served");
    let host_path = bytes_field(1, b"/x");
    let source = bytes_field(1, &host_path);
    let volume = joined(&[bytes_field(1, b"v"), bytes_field(2, &source)]);
    let label = joined(&[bytes_field(1, b"a"), bytes_field(2, b"b")]);
    let seconds = vec![1 << 3, 60];
    let metadata = joined(&[bytes_field(1, b"p"), bytes_field(8, &seconds), bytes_field(11, &label)]);
    let raw = joined(&[bytes_field(1, &metadata), bytes_field(2, &bytes_field(1, &volume))]);
    let expect = json!({
        "metadata": {"name": "p", "creationTimestamp": "1970-01-01T00:01:00Z", "labels": {"a": "b"}},
        "spec": {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
    });
    assert_eq!(decode(&raw, schema), Ok(expect));
}

#[test]
fn varints_are_as_long_as_they_are_said_to_be() {
    for value in [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, u32::MAX as usize, usize::MAX] {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        assert_eq!(out.len(), varint_length(value), "{value}");
    }
}

#[test]
fn broken_bytes_are_refused() {
    let schema = Scheme::builtin().kind("", "v1", "Pod").expect("pods are served");
    for (bytes, expect) in [
        (&b"\x0a\xff"[..], Error::Truncated),
        (b"\x0a\x7f\x00", Error::Truncated),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", Error::Overflow),
        (b"\x03", Error::Illegal),
        (b"\x00\x00", Error::Illegal),
        (b"\x08\x01", Error::WireType { wire_type: 0, field: "metadata".to_owned() }),
    ] {
        assert_eq!(decode(bytes, schema), Err(expect), "{bytes:?}");
    }
}

#[test]
fn any_bytes_are_decoded_or_refused_without_a_panic() {
    let schema = Scheme::builtin().kind("", "v1", "Pod").expect("pods are served");
    let mut state = 0x2545_f491_4f6c_dd1du64;
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..64)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 32) as u8 & 0x1f
            })
            .collect();
        let _ = decode(&bytes, schema);
    }
}
