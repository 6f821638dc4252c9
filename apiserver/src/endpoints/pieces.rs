//! The body of a long list, out of items that are bytes already: small ones are copied together, large ones sent as they lie in the
//! store. Nothing is made before the client reads on.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use store::Entry;

use super::negotiation::Output;
use super::respond;
use crate::server::body::Body;

/// Bodies up to this size are one piece.
const ONE_PIECE: usize = 64 << 10;
/// Larger ones are copied together in pieces of this size as the client reads.
const PIECE: usize = 128 << 10;

/// What a body is made of.
pub(super) struct Pieces<T> {
    pub(super) head: BytesMut,
    pub(super) items: Vec<T>,
    /// Of all items as they are written, or a little more.
    pub(super) length: usize,
    pub(super) tail: &'static [u8],
}

/// What has the bytes of an item.
pub(super) trait Item: Send + 'static {
    fn bytes(&self) -> &Bytes;
}

impl Item for Arc<Entry> {
    fn bytes(&self) -> &Bytes {
        &self.value
    }
}

impl Item for Bytes {
    fn bytes(&self) -> &Bytes {
        self
    }
}

/// Puts the pieces one behind the other: at once when they are few bytes, otherwise as the client reads. `write` appends what stands
/// before an item (is it the first?) and returns what of the item follows; large ones are sent as they lie in the store, however many
/// clients do not read on.
pub(super) fn assemble<T: Item>(
    pieces: Pieces<T>,
    write: impl for<'a> Fn(&mut BytesMut, &'a [u8], bool) -> &'a [u8] + Send + 'static,
    output: &Output,
) -> Response<Body> {
    let Pieces { mut head, items, length, tail } = pieces;
    let total = head.len() + length + tail.len();
    let media_type = output.format.media_type();
    if total <= ONE_PIECE {
        head.reserve(length + tail.len());
        for (index, item) in items.iter().enumerate() {
            let rest = write(&mut head, item.bytes(), index == 0);
            head.extend_from_slice(rest);
        }
        head.extend_from_slice(tail);
        return respond::bytes_with_type(200, head.freeze(), media_type, false);
    }
    let mut begun = Some(head);
    let mut items = items.into_iter().enumerate();
    let mut large = None;
    let next = move || {
        if let Some(item) = large.take() {
            return Some(item);
        }
        let mut piece = begun.take()?;
        for (index, item) in items.by_ref() {
            let rest = write(&mut piece, item.bytes(), index == 0);
            if rest.len() >= PIECE {
                large = Some(item.bytes().slice_ref(rest));
            } else {
                // Once a piece, and not for one that only leads to a large item.
                piece.reserve(if piece.capacity() < PIECE { PIECE + (PIECE >> 3) } else { rest.len() });
                piece.extend_from_slice(rest);
            }
            if large.is_some() || piece.len() >= PIECE {
                begun = Some(BytesMut::new());
                return Some(piece.freeze());
            }
        }
        piece.extend_from_slice(tail);
        Some(piece.freeze())
    };
    let pieces = stream::iter(std::iter::from_fn(next));
    if output.gzip && total > respond::GZIP_THRESHOLD {
        return respond::gzipped(pieces, media_type);
    }
    let mut response = Response::new(Body::stream(pieces.map(Ok)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    /// The chunks of a list of items of these lengths, each a letter; and what they should be together.
    async fn assembled(lengths: &[usize]) -> (Vec<Bytes>, Vec<u8>) {
        let items: Vec<Bytes> =
            lengths.iter().zip((b'a'..=b'z').cycle()).map(|(length, byte)| vec![byte; *length].into()).collect();
        let whole = [b"[", items.join(&b","[..]).as_slice(), b"]"].concat();
        fn write<'a>(out: &mut BytesMut, item: &'a [u8], first: bool) -> &'a [u8] {
            out.extend_from_slice(if first { b"" } else { b"," });
            item
        }
        let length = lengths.iter().sum::<usize>() + lengths.len();
        let pieces = Pieces { head: BytesMut::from(&b"["[..]), items, length, tail: b"]" };
        let mut body = assemble(pieces, write, &Output::plain()).into_body();
        let mut chunks = Vec::new();
        while let Some(frame) = body.frame().await {
            chunks.push(frame.unwrap().into_data().unwrap());
        }
        (chunks, whole)
    }

    #[tokio::test]
    async fn a_list_is_the_same_in_however_many_pieces() {
        let lengths: [&[usize]; 6] =
            [&[], &[3, 0, 2], &[PIECE, PIECE], &[10, PIECE, 20], &[PIECE / 2; 7], &[PIECE - 1, 3 * PIECE, 1, 2]];
        for lengths in lengths {
            let (chunks, whole) = assembled(lengths).await;
            assert_eq!(chunks.concat(), whole, "{lengths:?}");
        }
    }

    #[tokio::test]
    async fn large_items_are_chunks_of_their_own_and_small_ones_go_together() {
        let (chunks, _) = assembled(&[1, PIECE, 1]).await;
        let lengths: Vec<usize> = chunks.iter().map(Bytes::len).collect();
        assert_eq!(lengths, ["[a,".len(), PIECE, ",c]".len()]);
        let (chunks, _) = assembled(&vec![100; 26 * 100]).await;
        assert!(chunks.iter().rev().skip(1).all(|chunk| (PIECE..PIECE + 101).contains(&chunk.len())));
    }
}
