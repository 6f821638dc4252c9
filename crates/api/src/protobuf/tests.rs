#[cfg(feature = "upstream-fixtures")]
mod wire;

use super::*;
use crate::scheme::Scheme;
use json::json;

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
    assert_eq!(Envelope::read(&body), Ok(Envelope { api_version: "v1".into(), kind: "Pod".into(), raw: b"xyz" }));
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
fn broken_bytes_are_refused_in_upstreams_words() {
    let schema = Scheme::builtin().kind("", "v1", "Pod").expect("pods are served");
    for (bytes, expect) in [
        (&b"\x0a\xff"[..], "unexpected EOF"),
        (b"\x0a\x7f\x00", "unexpected EOF"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "proto: negative length found during unmarshaling"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "proto: integer overflow"),
        (b"\x03", "proto: Pod: illegal tag 0 (wire type 3)"),
        (b"\x00\x00", "proto: Pod: illegal tag 0 (wire type 0)"),
        (b"\x0c\x00", "proto: Pod: wiretype end group for non-group"),
        (b"\x7e\x00", "proto: illegal wireType 6"),
        (b"\x7b\x0b", "unexpected EOF"),
        (b"\x08\x01", "proto: wrong wireType = 0 for field ObjectMeta"),
        (b"\x0b\x01", "proto: wrong wireType = 3 for field ObjectMeta"),
        (b"\x0a\x02\x08\x01", "proto: wrong wireType = 0 for field Name"),
    ] {
        let refused = decode(bytes, schema).map_err(|error| error.to_string());
        assert_eq!(refused, Err(expect.to_owned()), "{}", bytes.escape_ascii());
    }
    for (body, expect) in [
        (&b""[..], "empty data"),
        (b"k8s\0", "empty body"),
        (b"k9s\0", "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"),
        (b"k8s\0\xff\xff", "unexpected EOF"),
    ] {
        assert_eq!(Envelope::read(body).map_err(|error| error.to_string()), Err(expect.to_owned()));
    }
}

#[test]
fn what_is_not_known_is_skipped_and_what_comes_in_pieces_is_one() {
    let schema = Scheme::builtin().kind("", "v1", "ConfigMap").expect("config maps are served");
    let metadata = |content: &[u8]| bytes_field(1, content);
    let raw = joined(&[
        metadata(&bytes_field(1, b"\xff")),
        b"\x7b\x08\x01\x7c".to_vec(),
        metadata(&bytes_field(3, b"default")),
    ]);
    assert_eq!(decode(&raw, schema), Ok(json!({"metadata": {"name": "\u{fffd}", "namespace": "default"}})));
}

#[test]
fn schemas_nest_no_deeper_than_json_can() {
    let id = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    let schema = Scheme::builtin().type_named(id).expect("definitions are served");
    let nested = |depth: usize| (0..depth).fold(json!({}), |inner, _| json!({"properties": {"a": inner}}));
    // Each schema is two levels of JSON.
    let fits = encode_message(&nested(MAX_DEPTH / 2 - 1), schema).expect("as deep as may be");
    assert!(decode(&fits, schema).is_ok());
    let deeper = encode_message(&nested(MAX_DEPTH / 2), schema).expect("its messages are not too deep");
    assert_eq!(decode(&deeper, schema), Err(Error::TooDeep));
    assert_eq!(encode_message(&nested(MAX_DEPTH + 1), schema), Err(Error::TooDeep));
    let raw = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    let default = encode_message(&json!({"default": json::from_str::<Value>(&raw).unwrap()}), schema).unwrap();
    assert_eq!(decode(&default, schema), Err(Error::TooDeep));
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

#[test]
fn the_next_version_of_an_object_takes_as_much_room_as_the_last() {
    let schema = Scheme::builtin().kind("", "v1", "ConfigMap").expect("config maps are served");
    let room = |length: usize| {
        let object = json!({"metadata": {"name": "a"}, "data": {"k": "v".repeat(length)}});
        let message = encode_message(&object, schema).expect("a config map");
        assert!(
            message.capacity() <= message.len() + message.len() / 4 + 1,
            "{} for {}",
            message.capacity(),
            message.len()
        );
        message.capacity()
    };
    assert_eq!(room(1100), room(1150));
    assert_ne!(room(1100), room(1400));
    for length in [0, 10, 100, 5000, 100_000] {
        room(length);
    }
}
