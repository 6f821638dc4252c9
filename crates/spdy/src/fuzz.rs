//! The fuzz target of this crate: frames and header blocks of a session, spoilt.

use bytes::BytesMut;

use crate::Headers;
use crate::frame::Frame;
use crate::headers::{Decoder, Encoder};

#[path = "../../api/tests/fuzz/mutate.rs"]
mod mutate;

/// What one side of a session says: three streams with headers, and some data.
fn session() -> Vec<u8> {
    let mut encoder = Encoder::new().expect("zlib is there");
    let mut wire = BytesMut::new();
    for (id, kind) in [(1, "error"), (3, "stdin"), (5, "stdout")] {
        let headers: Headers = vec![("streamType".to_owned(), kind.to_owned()), ("port".to_owned(), "80".to_owned())];
        let block = encoder.encode(&headers).expect("headers are short").into();
        Frame::SynStream { id, fin: id == 1, block }.put(&mut wire);
        Frame::Data { id, fin: false, data: kind.as_bytes().to_vec().into() }.put(&mut wire);
    }
    Frame::Ping { id: 9 }.put(&mut wire);
    Frame::Reset { id: 3, status: 5 }.put(&mut wire);
    Frame::GoAway { last: 5 }.put(&mut wire);
    wire.to_vec()
}

#[test]
fn spdy_frames() {
    let mut mutator = mutate::Mutator::new([session()]);
    for _ in 0..mutate::rounds() {
        let mut wire = BytesMut::from(mutator.input().as_slice());
        let mut decoder = Decoder::new();
        while let Ok(Some(frame)) = Frame::parse(&mut wire) {
            match frame {
                // After the first fault a session ends.
                Frame::SynStream { block, .. } | Frame::SynReply { block, .. } | Frame::Headers { block, .. }
                    if decoder.decode(&block).is_err() =>
                {
                    break;
                }
                _ => {}
            }
        }
    }
}
