//! The events of a watch, each as its encoding cuts them: lines of JSON, messages of protobuf behind their length, items of
//! CBOR one after the other.
//!
//! Small objects are copied one behind the other into a piece. A large one is a piece of its own, the bytes that lie in the store: it is
//! there once, however many watchers have not read it yet.
//!
//! Upstream: metav1.WatchEvent, runtime/serializer/{json,protobuf,cbor} Framer.

use std::collections::VecDeque;

use api::protobuf;
use api::status::Status;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use json::{Value, json};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::negotiation::Format;
use super::respond;

/// Objects from this size on are not copied.
const LARGE: usize = 64 << 10;

/// Events on their way to a watcher.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Pieces that are complete, in their order.
    pieces: VecDeque<Bytes>,
    /// What comes behind them.
    open: BytesMut,
    /// Bytes that were put.
    put: usize,
    /// All events up to the next [`Frames::take`] are one piece, for those who cut it.
    whole: bool,
}

impl Frames {
    /// Frames whose pieces hold whole events.
    pub(super) fn of_whole_events() -> Frames {
        Frames { whole: true, ..Frames::default() }
    }

    /// How many bytes were ever put.
    pub(super) fn put(&self) -> usize {
        self.put
    }

    /// How many bytes wait to be taken.
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.pieces.iter().map(Bytes::len).sum::<usize>()
    }

    /// The first piece.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let open = || (!self.open.is_empty()).then(|| std::mem::take(&mut self.open).freeze());
        self.pieces.pop_front().or_else(open)
    }

    /// Appends an event with a computed object.
    pub(super) fn put_value(&mut self, format: Format, kind: &str, object: &Value) -> Result<(), Status> {
        match format {
            Format::Json | Format::Yaml => self.put_json(kind, &json::to_vec(object).unwrap_or_default().into()),
            Format::Protobuf => self.put_protobuf(kind, &[], &respond::protobuf_body(object)?.into(), &[]),
            Format::Cbor => {
                let event = api::cbor::encode(&json!({"type": kind, "object": object}));
                self.put += event.len();
                self.open.put_slice(&event);
            }
        }
        Ok(())
    }

    /// Appends an event with an object that is JSON already.
    pub(super) fn put_json(&mut self, kind: &str, object: &Bytes) {
        const AROUND: [&[u8]; 3] = [b"{\"type\":\"", b"\",\"object\":", b"}\n"];
        let around = AROUND.iter().map(|part| part.len()).sum::<usize>() + kind.len();
        self.put += around + object.len();
        self.reserve(around, object);
        self.open.put_slice(AROUND[0]);
        self.open.put_slice(kind.as_bytes());
        self.open.put_slice(AROUND[1]);
        self.put_object(object);
        self.open.put_slice(AROUND[2]);
    }

    /// Appends an event with an object that is a message between two parts of its envelope.
    pub(super) fn put_protobuf(&mut self, kind: &str, start: &[u8], message: &Bytes, end: &[u8]) {
        const KIND: u8 = 0x0a;
        const OBJECT: u8 = 0x12;
        const RAW: u8 = 0x0a;
        let raw = start.len() + message.len() + end.len();
        let object = 1 + protobuf::varint_length(raw) + raw;
        let event = 1 + protobuf::varint_length(kind.len()) + kind.len() + 1 + protobuf::varint_length(object) + object;
        self.put += 4 + event;
        self.reserve(4 + event - message.len(), message);
        // A length of four bytes cannot say more; nothing that is stored comes near it.
        self.open.put_u32(u32::try_from(event).unwrap_or(u32::MAX));
        self.open.put_u8(KIND);
        protobuf::put_varint(&mut self.open, kind.len());
        self.open.put_slice(kind.as_bytes());
        self.open.put_u8(OBJECT);
        protobuf::put_varint(&mut self.open, object);
        self.open.put_u8(RAW);
        protobuf::put_varint(&mut self.open, raw);
        self.open.put_slice(start);
        self.put_object(message);
        self.open.put_slice(end);
    }

    /// Room for an event, once.
    fn reserve(&mut self, around: usize, object: &Bytes) {
        let copied = if self.is_shared(object) { 0 } else { object.len() };
        self.open.reserve(around + copied);
    }

    fn put_object(&mut self, object: &Bytes) {
        if self.is_shared(object) {
            self.pieces.push_back(std::mem::take(&mut self.open).freeze());
            self.pieces.push_back(object.clone());
        } else {
            self.open.put_slice(object);
        }
    }

    fn is_shared(&self, object: &Bytes) -> bool {
        !self.whole && object.len() >= LARGE
    }
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

    fn all(mut frames: Frames) -> Vec<Bytes> {
        std::iter::from_fn(|| frames.take()).collect()
    }

    #[test]
    fn a_protobuf_event_is_its_length_and_the_object_in_its_envelope() {
        let mut frames = Frames::default();
        frames.put_protobuf("ADDED", b"k8s\0", &Bytes::from_static(b"x"), b"y");
        assert_eq!(frames.put(), 21);
        assert_eq!(all(frames), [&b"\0\0\0\x11\x0a\x05ADDED\x12\x08\x0a\x06k8s\0xy"[..]]);
    }

    #[test]
    fn a_large_object_is_sent_as_it_lies_in_the_store_and_small_ones_go_together() {
        let (small, large) = (Bytes::from_static(b"1"), Bytes::from(vec![b'2'; LARGE]));
        let put = |mut frames: Frames| {
            for object in [&small, &small, &large, &small] {
                frames.put_json("ADDED", object);
            }
            assert_eq!(frames.len(), frames.put());
            frames
        };
        let pieces = all(put(Frames::default()));
        let line = |object: &[u8]| [b"{\"type\":\"ADDED\",\"object\":", object, b"}\n"].concat();
        let whole = [line(&small), line(&small), line(&large), line(&small)].concat();
        assert_eq!(pieces.len(), 3);
        assert_eq!(pieces[1].as_ptr(), large.as_ptr(), "it was copied");
        assert_eq!(pieces.concat(), whole);
        assert_eq!(all(put(Frames::of_whole_events())), [Bytes::from(whole)]);
    }

    #[test]
    fn a_large_message_is_not_copied_either() {
        let large = Bytes::from(vec![b'2'; LARGE]);
        let put = |mut frames: Frames| {
            frames.put_protobuf("ADDED", b"start", &large, b"end");
            all(frames)
        };
        let pieces = put(Frames::default());
        assert_eq!(pieces[1].as_ptr(), large.as_ptr(), "it was copied");
        assert_eq!(pieces.concat(), put(Frames::of_whole_events()).concat());
    }

    #[test]
    fn what_was_put_together_is_cut_into_its_events() {
        let objects = [json!({"kind": "A", "apiVersion": "v1", "s": "a\nb"}), json!({"kind": "B", "apiVersion": "v1"})];
        for format in [Format::Json, Format::Cbor] {
            let mut chunk = Frames::of_whole_events();
            let mut events = Vec::new();
            for object in &objects {
                chunk.put_value(format, "ADDED", object).unwrap();
                let mut alone = Frames::of_whole_events();
                alone.put_value(format, "ADDED", object).unwrap();
                events.extend(alone.take());
            }
            assert_eq!(cut(format, chunk.take().unwrap()), events, "{format:?}");
        }
        let mut chunk = Frames::of_whole_events();
        chunk.put_protobuf("ADDED", b"", &Bytes::from_static(b"xy"), b"");
        chunk.put_protobuf("DELETED", b"", &Bytes::from_static(b"z"), b"");
        let events = cut(Format::Protobuf, chunk.take().unwrap());
        assert_eq!(events, [&b"\x0a\x05ADDED\x12\x04\x0a\x02xy"[..], &b"\x0a\x07DELETED\x12\x03\x0a\x01z"[..]]);
        assert_eq!(cut(Format::Protobuf, Bytes::new()), [] as [Bytes; 0]);
    }
}
