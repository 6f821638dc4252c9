//! Tags, varints and lengths.

use bytes::BufMut;

use super::Error;

/// How many bytes a varint takes.
pub fn varint_length(value: usize) -> usize {
    (value.checked_ilog2().unwrap_or_default() as usize) / 7 + 1
}

/// Appends a varint.
pub fn put_varint(out: &mut impl BufMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// A field's content as it lies on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(#[allow(dead_code, reason = "no type served has such a field; it is skipped by name")] u32),
}

impl<'a> Payload<'a> {
    /// The payload of a field that is a number; the field's name is for the error.
    pub(super) fn varint(self, field: &str) -> Result<u64, Error> {
        match self {
            Payload::Varint(value) => Ok(value),
            other => Err(other.wrong(field)),
        }
    }

    /// Of a field that is a message or bytes.
    pub(super) fn bytes(self, field: &str) -> Result<&'a [u8], Error> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            other => Err(other.wrong(field)),
        }
    }

    /// Of a field that is text.
    pub(super) fn text(self, field: &str) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| Error::Content(field.to_owned()))
    }

    /// Another wire type than the field's.
    pub(super) fn wrong(self, field: &str) -> Error {
        let wire_type = match self {
            Payload::Varint(_) => 0,
            Payload::Fixed64(_) => 1,
            Payload::Bytes(_) => 2,
            Payload::Fixed32(_) => 5,
        };
        Error::WireType { wire_type, field: field.to_owned() }
    }
}

/// Reads the fields of a message in order. Never copies, never reads beyond its bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// The next field; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Payload<'a>)>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(Error::Illegal)?;
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Error::Truncated)?;
                Payload::Bytes(self.take(length)?)
            }
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Error::Illegal),
        };
        Ok(Some((number, payload)))
    }

    /// The next number of a packed list; None at the end.
    pub(super) fn packed(&mut self, fixed: bool) -> Result<Option<Payload<'a>>, Error> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let payload =
            if fixed { Payload::Fixed64(u64::from_le_bytes(self.array()?)) } else { Payload::Varint(self.varint()?) };
        Ok(Some(payload))
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut value = 0u64;
        for (index, byte) in self.rest.iter().enumerate() {
            if index == 10 || (index == 9 && *byte > 1) {
                return Err(Error::Overflow);
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        Err(Error::Truncated)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}
