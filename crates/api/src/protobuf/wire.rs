//! Tags, varints and lengths.

use std::borrow::Cow;

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
    /// No type served has one.
    Group,
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

    /// Of a field that is text. What is no UTF-8 is replaced, as JSON shows it.
    pub(super) fn text(self, field: &str) -> Result<Cow<'a, str>, Error> {
        self.bytes(field).map(String::from_utf8_lossy)
    }

    /// Another wire type than the field's.
    pub(super) fn wrong(self, field: &str) -> Error {
        let wire_type = match self {
            Payload::Varint(_) => 0,
            Payload::Fixed64(_) => 1,
            Payload::Bytes(_) => 2,
            Payload::Group => 3,
            Payload::Fixed32(_) => 5,
        };
        Error::WireType { wire_type, field: go_name(field) }
    }
}

/// A field as Go names it, which its messages do.
fn go_name(field: &str) -> String {
    let mut letters = field.chars();
    match (field, letters.next()) {
        ("metadata", _) => "ObjectMeta".to_owned(),
        (_, Some(first)) => first.to_ascii_uppercase().to_string() + letters.as_str(),
        (_, None) => String::new(),
    }
}

/// Reads the fields of a message in order. Never copies, never reads beyond its bytes.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// Is `rest` within a group that was told of? It is skipped when somebody asks on.
    in_group: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes, in_group: false }
    }

    /// The next field; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Payload<'a>)>, Error> {
        if std::mem::take(&mut self.in_group) {
            self.skip_group()?;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = (tag >> 3) as u32;
        if number == 0 || number > i32::MAX.cast_unsigned() {
            return Err(Error::Tag { number: number.cast_signed(), wire_type: (tag & 7) as u8 });
        }
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                if length > i64::MAX.cast_unsigned() {
                    return Err(Error::NegativeLength);
                }
                Payload::Bytes(self.take(usize::try_from(length).map_err(|_| Error::Truncated)?)?)
            }
            3 => {
                self.in_group = true;
                Payload::Group
            }
            4 => return Err(Error::EndGroup),
            5 => Payload::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(Error::IllegalWireType(other as u8)),
        };
        Ok(Some((number, payload)))
    }

    /// Skips the rest of a group, those within it included.
    fn skip_group(&mut self) -> Result<(), Error> {
        let mut open = 1usize;
        while open > 0 {
            match self.varint()? & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => {
                    let length = usize::try_from(self.varint()?).map_err(|_| Error::NegativeLength)?;
                    self.take(length)?;
                }
                3 => open += 1,
                4 => open -= 1,
                5 => drop(self.array::<4>()?),
                other => return Err(Error::IllegalWireType(other as u8)),
            }
        }
        Ok(())
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
