//! The events of a watch, each as its encoding cuts them: lines of JSON, messages of protobuf behind their length, items of
//! CBOR one after the other.
//!
//! Upstream: metav1.WatchEvent, runtime/serializer/{json,protobuf,cbor} Framer.

use api::protobuf;
use api::status::Status;
use bytes::{BufMut, BytesMut};
use serde_json::{Value, json};

use super::negotiation::Format;
use super::respond;

/// Appends an event with a computed object.
pub(super) fn put_value(frames: &mut BytesMut, format: Format, kind: &str, object: &Value) -> Result<(), Status> {
    match format {
        Format::Json | Format::Yaml => put_json(frames, kind, &serde_json::to_vec(object).unwrap_or_default()),
        Format::Protobuf => put_protobuf(frames, kind, &[&respond::protobuf_body(object)?]),
        Format::Cbor => frames.put_slice(&api::cbor::encode(&json!({"type": kind, "object": object}))),
    }
    Ok(())
}

/// Appends an event with an object that is JSON already.
pub(super) fn put_json(frames: &mut BytesMut, kind: &str, object: &[u8]) {
    frames.reserve(object.len() + kind.len() + 24);
    frames.put_slice(b"{\"type\":\"");
    frames.put_slice(kind.as_bytes());
    frames.put_slice(b"\",\"object\":");
    frames.put_slice(object);
    frames.put_slice(b"}\n");
}

/// Appends an event with an object whose body lies in pieces.
pub(super) fn put_protobuf(frames: &mut BytesMut, kind: &str, body: &[&[u8]]) {
    const KIND: u8 = 0x0a;
    const OBJECT: u8 = 0x12;
    const RAW: u8 = 0x0a;
    let raw: usize = body.iter().map(|piece| piece.len()).sum();
    let object = 1 + protobuf::varint_length(raw) + raw;
    let event = 1 + protobuf::varint_length(kind.len()) + kind.len() + 1 + protobuf::varint_length(object) + object;
    frames.reserve(4 + event);
    // A length of four bytes cannot say more; nothing that is stored comes near it.
    frames.put_u32(u32::try_from(event).unwrap_or(u32::MAX));
    frames.put_u8(KIND);
    protobuf::put_varint(frames, kind.len());
    frames.put_slice(kind.as_bytes());
    frames.put_u8(OBJECT);
    protobuf::put_varint(frames, object);
    frames.put_u8(RAW);
    protobuf::put_varint(frames, raw);
    body.iter().for_each(|piece| frames.put_slice(piece));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protobuf_event_is_its_length_and_the_object_in_its_envelope() {
        let mut frames = BytesMut::new();
        put_protobuf(&mut frames, "ADDED", &[b"k8s\0", b"xy"]);
        assert_eq!(&frames[..], b"\0\0\0\x11\x0a\x05ADDED\x12\x08\x0a\x06k8s\0xy");
    }
}
