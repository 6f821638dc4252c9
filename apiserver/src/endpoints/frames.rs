//! The events of a watch, each as its encoding cuts them: lines of JSON, messages of protobuf behind their length, items of
//! CBOR one after the other.
//!
//! Upstream: metav1.WatchEvent, runtime/serializer/{json,protobuf,cbor} Framer.

use api::protobuf;
use api::status::Status;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::negotiation::Format;
use super::respond;

/// Appends an event with a computed object.
pub(super) fn put_value(frames: &mut BytesMut, format: Format, kind: &str, object: &Value) -> Result<(), Status> {
    match format {
        Format::Json | Format::Yaml => put_json(frames, kind, &json::to_vec(object).unwrap_or_default()),
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

/// The events of a chunk, each a message of a WebSocket.
pub(super) fn messages(format: Format, chunk: Bytes) -> impl Iterator<Item = Message> {
    let is_text = matches!(format, Format::Json | Format::Yaml);
    cut(format, chunk).into_iter().map(move |event| match Utf8Bytes::try_from(event.clone()) {
        Ok(text) if is_text => Message::Text(text),
        _ => Message::Binary(event),
    })
}

/// A line of each event, or its bytes without a length in front.
fn cut(format: Format, mut chunk: Bytes) -> Vec<Bytes> {
    let mut events = Vec::new();
    while !chunk.is_empty() {
        let length = match format {
            Format::Json | Format::Yaml => chunk.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            Format::Protobuf => chunk.try_get_u32().ok().and_then(|length| usize::try_from(length).ok()),
            Format::Cbor => api::cbor::decode_first(&chunk).ok().map(|(_, length)| length),
        };
        events.push(chunk.split_to(length.unwrap_or(chunk.len()).min(chunk.len())));
    }
    events
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

    #[test]
    fn what_was_put_together_is_cut_into_its_events() {
        let objects = [json!({"kind": "A", "apiVersion": "v1", "s": "a\nb"}), json!({"kind": "B", "apiVersion": "v1"})];
        for format in [Format::Json, Format::Cbor] {
            let mut chunk = BytesMut::new();
            let mut events = Vec::new();
            for object in &objects {
                let before = chunk.len();
                put_value(&mut chunk, format, "ADDED", object).unwrap();
                events.push(Bytes::copy_from_slice(&chunk[before..]));
            }
            assert_eq!(cut(format, chunk.freeze()), events, "{format:?}");
        }
        let mut chunk = BytesMut::new();
        put_protobuf(&mut chunk, "ADDED", &[b"xy"]);
        put_protobuf(&mut chunk, "DELETED", &[b"z"]);
        let events = cut(Format::Protobuf, chunk.freeze());
        assert_eq!(events, [&b"\x0a\x05ADDED\x12\x04\x0a\x02xy"[..], &b"\x0a\x07DELETED\x12\x03\x0a\x01z"[..]]);
        assert_eq!(cut(Format::Protobuf, Bytes::new()), [] as [Bytes; 0]);
    }
}
