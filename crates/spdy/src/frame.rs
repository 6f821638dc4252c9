//! Frames on the wire. Pure: bytes in, frames out and back, with every length checked.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::Error;

/// The largest frame taken; peers send 32 KiB at most.
const MAX_FRAME: usize = 1 << 20;
const VERSION: u16 = 3;
/// The flag of a stream's last frame.
const FIN: u8 = 0x01;

/// A frame; header blocks are still compressed.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    SynStream {
        id: u32,
        fin: bool,
        block: Bytes,
    },
    SynReply {
        id: u32,
        fin: bool,
        block: Bytes,
    },
    Reset {
        id: u32,
        status: u32,
    },
    Ping {
        id: u32,
    },
    GoAway {
        last: u32,
    },
    Headers {
        id: u32,
        fin: bool,
        block: Bytes,
    },
    Data {
        id: u32,
        fin: bool,
        data: Bytes,
    },
    /// Settings, window updates and types of later versions.
    Other,
}

const SYN_STREAM: u16 = 1;
const SYN_REPLY: u16 = 2;
const RST_STREAM: u16 = 3;
const PING: u16 = 6;
const GOAWAY: u16 = 7;
const HEADERS: u16 = 8;

impl Frame {
    /// Takes a frame off the front of `buffer`; none while it is incomplete.
    pub(crate) fn parse(buffer: &mut BytesMut) -> Result<Option<Self>, Error> {
        let Some(head) = buffer.first_chunk::<8>() else { return Ok(None) };
        let word = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let flags = head[4];
        let length = usize::from(head[5]) << 16 | usize::from(head[6]) << 8 | usize::from(head[7]);
        if length > MAX_FRAME {
            return Err(Error::Protocol("frame is too large"));
        }
        if buffer.len() < 8 + length {
            return Ok(None);
        }
        buffer.advance(8);
        let body = buffer.split_to(length).freeze();
        let fin = flags & FIN != 0;
        if word & 0x8000_0000 == 0 {
            return Ok(Some(Self::Data { id: word, fin, data: body }));
        }
        if (word >> 16) & 0x7fff != u32::from(VERSION) {
            return Err(Error::Protocol("not SPDY version 3"));
        }
        Self::control(word & 0xffff, fin, body).map(Some)
    }

    fn control(kind: u32, fin: bool, mut body: Bytes) -> Result<Self, Error> {
        let mut number = || {
            if body.len() < 4 {
                return Err(Error::Protocol("frame is cut off"));
            }
            Ok(body.get_u32() & 0x7fff_ffff)
        };
        Ok(match u16::try_from(kind).unwrap_or(0) {
            SYN_STREAM => {
                let id = number()?;
                number()?;
                // Priority and slot, two bytes.
                if body.len() < 2 {
                    return Err(Error::Protocol("frame is cut off"));
                }
                Self::SynStream { id, fin, block: body.slice(2..) }
            }
            SYN_REPLY => Self::SynReply { id: number()?, fin, block: body },
            HEADERS => Self::Headers { id: number()?, fin, block: body },
            RST_STREAM => Self::Reset { id: number()?, status: number()? },
            PING => Self::Ping { id: number()? },
            GOAWAY => Self::GoAway { last: number()? },
            _ => Self::Other,
        })
    }

    /// Appends the frame to `buffer`.
    pub(crate) fn put(&self, buffer: &mut BytesMut) {
        match self {
            Self::SynStream { id, fin, block } => {
                put_control(buffer, SYN_STREAM, *fin, 10 + block.len());
                buffer.put_u32(*id);
                buffer.put_u32(0);
                buffer.put_u16(0);
                buffer.put_slice(block);
            }
            Self::SynReply { id, fin, block } => put_block(buffer, SYN_REPLY, *id, *fin, block),
            Self::Headers { id, fin, block } => put_block(buffer, HEADERS, *id, *fin, block),
            Self::Reset { id, status } => {
                put_control(buffer, RST_STREAM, false, 8);
                buffer.put_u32(*id);
                buffer.put_u32(*status);
            }
            Self::Ping { id } => {
                put_control(buffer, PING, false, 4);
                buffer.put_u32(*id);
            }
            Self::GoAway { last } => {
                put_control(buffer, GOAWAY, false, 8);
                buffer.put_u32(*last);
                buffer.put_u32(0);
            }
            Self::Data { id, fin, data } => {
                buffer.put_u32(*id);
                put_length(buffer, *fin, data.len());
                buffer.put_slice(data);
            }
            Self::Other => {}
        }
    }
}

fn put_block(buffer: &mut BytesMut, kind: u16, id: u32, fin: bool, block: &[u8]) {
    put_control(buffer, kind, fin, 4 + block.len());
    buffer.put_u32(id);
    buffer.put_slice(block);
}

fn put_control(buffer: &mut BytesMut, kind: u16, fin: bool, length: usize) {
    buffer.put_u16(0x8000 | VERSION);
    buffer.put_u16(kind);
    put_length(buffer, fin, length);
}

/// Flags and a length of 24 bits. Senders split what is longer.
fn put_length(buffer: &mut BytesMut, fin: bool, length: usize) {
    buffer.put_u8(if fin { FIN } else { 0 });
    buffer.put_uint(length as u64, 3);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_the_way_there_and_back_in_any_pieces() {
        let block = Bytes::from_static(b"block");
        let frames = [
            Frame::SynStream { id: 1, fin: false, block: block.clone() },
            Frame::SynReply { id: 1, fin: true, block: block.clone() },
            Frame::Reset { id: 3, status: 5 },
            Frame::Ping { id: 9 },
            Frame::GoAway { last: 7 },
            Frame::Headers { id: 1, fin: false, block: block.clone() },
            Frame::Data { id: 1, fin: true, data: block },
        ];
        let mut wire = BytesMut::new();
        frames.iter().for_each(|frame| frame.put(&mut wire));
        let mut buffer = BytesMut::new();
        let mut parsed = Vec::new();
        for byte in wire {
            buffer.put_u8(byte);
            parsed.extend(Frame::parse(&mut buffer).unwrap());
        }
        assert_eq!(parsed, frames);
    }

    #[test]
    fn wrong_versions_sizes_and_cut_bodies_are_refused() {
        let parse = |bytes: &[u8]| Frame::parse(&mut BytesMut::from(bytes));
        assert!(parse(&[0x80, 2, 0, 1, 0, 0, 0, 0]).is_err());
        assert!(parse(&[0, 0, 0, 1, 0, 0xff, 0xff, 0xff]).is_err());
        assert!(parse(&[0x80, 3, 0, 1, 0, 0, 0, 3, 0, 0, 0]).is_err());
        assert_eq!(parse(&[0x80, 3, 0, 9, 0, 0, 0, 0]).unwrap(), Some(Frame::Other));
    }
}
