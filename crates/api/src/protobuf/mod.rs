//! `application/vnd.kubernetes.protobuf`: objects from and into bytes, by the field numbers of the schema.
//!
//! [`Envelope`] is the `k8s\0` frame, [`decode`] and [`encode_message`] are about the message in it, [`encode`] makes both;
//! that is what a store holds, too. What is decoded goes through [`crate::decode::normalize`] like any other body, so types,
//! zero values and order are decided there. Fields the schema does not know are skipped, as Go does; lengths, wire types
//! and nesting that cannot be are refused, and memory stays in proportion to the body.
//! Upstream: runtime/serializer/protobuf.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Cow;

use json::Value;

use crate::schema::Schema;
pub use decode::decode;
pub(crate) use encode::Layout;
use encode::{Backwards, Writer};
use wire::Reader;
pub use wire::{put_varint, varint_length};

/// First bytes of every body.
pub const MAGIC: &[u8] = b"k8s\0";
/// Messages in messages: what is deeper here is too deep in JSON as well.
const MAX_DEPTH: usize = crate::decode::MAX_DEPTH;

/// Why bytes are no object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No envelope.
    #[error("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")]
    Magic,
    /// The bytes end within a value.
    #[error("unexpected EOF")]
    Truncated,
    /// A varint of more than ten bytes.
    #[error("proto: integer overflow")]
    Overflow,
    /// Nothing but the first bytes.
    #[error("empty body")]
    EmptyBody,
    /// Nothing at all.
    #[error("empty data")]
    Empty,
    /// A field whose number cannot be; [`Error::in_type`] puts the message's name before it.
    #[error("illegal tag {number} (wire type {wire_type})")]
    Tag {
        /// The number.
        number: i32,
        /// The wire type.
        wire_type: u8,
    },
    /// A group ends that did not begin; as [`Error::Tag`].
    #[error("wiretype end group for non-group")]
    EndGroup,
    /// What is wrong with a tag, and the type it stands in.
    #[error("proto: {0}: {1}")]
    InType(String, Box<Error>),
    /// A wire type that does not exist.
    #[error("proto: illegal wireType {0}")]
    IllegalWireType(u8),
    /// A length of more than 63 bits.
    #[error("proto: negative length found during unmarshaling")]
    NegativeLength,
    /// A field encoded otherwise than its type is.
    #[error("proto: wrong wireType = {wire_type} for field {field}")]
    WireType {
        /// What was found.
        wire_type: u8,
        /// In which field.
        field: String,
    },
    /// Text that is no UTF-8, JSON that is no JSON.
    #[error("proto: field {0} cannot be read")]
    Content(String),
    /// Too deep.
    #[error("proto: nesting is too deep")]
    TooDeep,
}

impl Error {
    /// Names the Go type a bad tag stands in.
    fn in_type(self, name: &str) -> Error {
        match self {
            bad @ (Error::Tag { .. } | Error::EndGroup) => Error::InType(name.to_owned(), Box::new(bad)),
            other => other,
        }
    }
}

/// `runtime.Unknown`: what an object is, and its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `apiVersion`, possibly empty.
    pub api_version: Cow<'a, str>,
    /// `kind`, possibly empty.
    pub kind: Cow<'a, str>,
    /// The message.
    pub raw: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Reads the envelope of a body.
    pub fn read(body: &'a [u8]) -> Result<Envelope<'a>, Error> {
        let unknown = match body.strip_prefix(MAGIC) {
            None if body.is_empty() => return Err(Error::Empty),
            None => return Err(Error::Magic),
            Some([]) => return Err(Error::EmptyBody),
            Some(unknown) => unknown,
        };
        let mut envelope = Envelope::default();
        let in_unknown = |error: Error| error.in_type("Unknown");
        let mut reader = Reader::new(unknown);
        while let Some((number, payload)) = reader.next().map_err(in_unknown)? {
            match number {
                1 => envelope.read_type(payload.bytes("typeMeta")?).map_err(|error| error.in_type("TypeMeta"))?,
                2 => envelope.raw = payload.bytes("raw")?,
                _ => {}
            }
        }
        Ok(envelope)
    }

    fn read_type(&mut self, type_meta: &'a [u8]) -> Result<(), Error> {
        let mut reader = Reader::new(type_meta);
        while let Some((number, payload)) = reader.next()? {
            match number {
                1 => self.api_version = payload.text("apiVersion")?,
                2 => self.kind = payload.text("kind")?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// What follows the message in a body: neither content encoding nor content type.
pub const ENVELOPE_END: &[u8] = &[0x1a, 0, 0x22, 0];

/// What comes before a message of `length` bytes in a body.
pub fn envelope_start(api_version: &str, kind: &str, length: usize) -> Vec<u8> {
    let mut start = Backwards::with_capacity(64);
    start.varint(length as u64);
    start.tag(2, encode::LENGTH);
    let end = start.len();
    start.bytes(2, kind.as_bytes());
    start.bytes(1, api_version.as_bytes());
    start.close(1, end);
    start.put(MAGIC);
    start.into_vec()
}

/// A body: an object in its envelope, which says of what kind it is. What a store holds is a body, too.
pub fn encode(object: &Value, schema: Schema<'_>) -> Result<Vec<u8>, Error> {
    let name = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let mut body = written(object, schema, ENVELOPE_END)?;
    let length = body.len() - ENVELOPE_END.len();
    body.put(&envelope_start(name("apiVersion"), name("kind"), length));
    Ok(body.into_vec())
}

/// The message of an object, without what it is.
pub fn encode_message(object: &Value, schema: Schema<'_>) -> Result<Vec<u8>, Error> {
    written(object, schema, &[]).map(Backwards::into_vec)
}

fn written(object: &Value, schema: Schema<'_>, behind: &[u8]) -> Result<Backwards, Error> {
    let members = object.as_object().ok_or_else(|| Error::Content(schema.object().name.to_string()))?;
    let mut out = Backwards::with_capacity(2048);
    out.put(behind);
    let mut writer = Writer::new(out);
    writer.message(Some(members), schema)?;
    Ok(writer.out)
}
