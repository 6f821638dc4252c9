//! Objects into messages, byte for byte as upstream's generated code writes them.
//!
//! A message is written from its last byte to its first, so every length is known when it is due and nothing is
//! measured twice. Fields lie in the order of their numbers, maps in the order of their keys; what Go holds without a
//! pointer is written even when nobody set it. [`Layout`] is that order, made once per type.
//! Upstream: gogo/protobuf's generated MarshalToSizedBuffer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Map, Value};

use super::{Error, MAX_DEPTH};
use crate::duration;
use crate::meta::time;
use crate::schema::{Field, ObjectType, Schema, Type, TypeId};

/// The room a message is given: one of four sizes between two powers of two. Messages are kept and given up by the thousand, and the
/// next version of an object is a little longer or shorter: it is to fit where the last one was.
fn room(length: usize) -> usize {
    length.next_multiple_of(1 << (length / 4).max(1).ilog2())
}

/// Wire types.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
pub(super) const LENGTH: u32 = 2;

/// The fields of a type as its message holds them, the highest number first.
#[derive(Clone, Debug)]
pub(crate) struct Layout(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    /// A field, by its position in [`ObjectType::fields`].
    Field(usize),
    /// A message that JSON does not show, and what is in it.
    Inlined(u32, Layout),
}

impl Layout {
    /// The layout of a type with these fields.
    pub(crate) fn of(fields: &[Field]) -> Layout {
        let numbered = (0..fields.len()).filter(|position| fields[*position].number > 0);
        Layout::within(fields, &numbered.collect::<Vec<_>>(), 0)
    }

    /// Of those `members` that lie `depth` inlined messages deep, or deeper.
    fn within(fields: &[Field], members: &[usize], depth: usize) -> Layout {
        let number = |position: &usize| fields[*position].inline.get(depth).copied();
        let mut parts: Vec<(u32, Part)> = Vec::new();
        for position in members {
            match number(position) {
                None => parts.push((fields[*position].number, Part::Field(*position))),
                Some(inlined) if parts.iter().any(|(seen, _)| *seen == inlined) => {}
                Some(inlined) => {
                    let inner = members.iter().copied().filter(|member| number(member) == Some(inlined));
                    let inner = Layout::within(fields, &inner.collect::<Vec<_>>(), depth + 1);
                    parts.push((inlined, Part::Inlined(inlined, inner)));
                }
            }
        }
        parts.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        Layout(parts.into_iter().map(|(_, part)| part).collect())
    }
}

/// Bytes that grow at their front.
#[derive(Debug)]
pub(super) struct Backwards {
    buffer: Vec<u8>,
    /// Where what was written begins.
    start: usize,
}

impl Backwards {
    /// Room for so many bytes before the first growth.
    pub(super) fn with_capacity(capacity: usize) -> Backwards {
        Backwards { buffer: vec![0; capacity], start: capacity }
    }

    /// Bytes written.
    pub(super) fn len(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// What was written, in room of its own: cut out of the buffer it would leave the rest of it between what is kept.
    pub(super) fn into_vec(self) -> Vec<u8> {
        let written = &self.buffer[self.start..];
        let mut out = Vec::with_capacity(room(written.len()));
        out.extend_from_slice(written);
        out
    }

    /// Puts bytes before all that is there.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            let grown = (self.buffer.len() * 2).max(self.len() + bytes.len()).max(64);
            let mut buffer = vec![0; grown];
            let start = grown - self.len();
            buffer[start..].copy_from_slice(&self.buffer[self.start..]);
            (self.buffer, self.start) = (buffer, start);
        }
        let start = self.start - bytes.len();
        self.buffer[start..self.start].copy_from_slice(bytes);
        self.start = start;
    }

    pub(super) fn varint(&mut self, mut value: u64) {
        let mut bytes = [0u8; 10];
        let mut length = 1;
        while value >= 0x80 {
            bytes[length - 1] = (value & 0x7f) as u8 | 0x80;
            value >>= 7;
            length += 1;
        }
        bytes[length - 1] = value as u8;
        self.put(&bytes[..length]);
    }

    pub(super) fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number) << 3 | u64::from(wire_type));
    }

    /// Length and tag of everything written since the message was `end` bytes long.
    pub(super) fn close(&mut self, number: u32, end: usize) {
        self.varint((self.len() - end) as u64);
        self.tag(number, LENGTH);
    }

    /// A field of bytes.
    pub(super) fn bytes(&mut self, number: u32, bytes: &[u8]) {
        let end = self.len();
        self.put(bytes);
        self.close(number, end);
    }

    fn number(&mut self, number: u32, value: u64) {
        self.varint(value);
        self.tag(number, VARINT);
    }
}

/// Writes one message after the other into the same bytes.
pub(super) struct Writer<'a> {
    pub(super) out: Backwards,
    /// The members of the objects that are being written, by position; the innermost object's are the last.
    slots: Vec<Option<&'a Value>>,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: Backwards) -> Writer<'a> {
        Writer { out, slots: Vec::new(), depth: 0 }
    }

    /// The message of an object. A value of another type than the schema's is an error that names the field.
    pub(super) fn message(&mut self, object: Option<&'a Map>, schema: Schema<'a>) -> Result<(), Error> {
        if self.depth > MAX_DEPTH {
            return Err(Error::TooDeep);
        }
        self.depth += 1;
        let first = self.slots.len();
        self.slots.resize(first + schema.object().fields.len(), None);
        if let Some(object) = object {
            self.sort(object, schema.object(), first);
        }
        self.parts(schema.object().layout(), schema, first)?;
        self.slots.truncate(first);
        self.depth -= 1;
        Ok(())
    }

    /// Puts the members of an object into the slots of their fields. They mostly come in the schema's order.
    fn sort(&mut self, object: &'a Map, of: &ObjectType, first: usize) {
        let mut next = 0;
        for (name, value) in object {
            let ahead = of.fields[next..].iter().position(|field| field.name == name.as_str());
            let Some(position) = ahead.map(|ahead| next + ahead).or_else(|| of.position(name)) else { continue };
            next = position + 1;
            if !value.is_null() {
                self.slots[first + position] = Some(value);
            }
        }
    }

    fn parts(&mut self, layout: &'a Layout, schema: Schema<'a>, first: usize) -> Result<(), Error> {
        for part in &layout.0 {
            match part {
                Part::Field(position) => {
                    let field = &schema.object().fields[*position];
                    self.field(field, self.slots[first + position], schema)?;
                }
                Part::Inlined(number, inner) => {
                    let end = self.out.len();
                    self.parts(inner, schema, first)?;
                    self.out.close(*number, end);
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'a Field, value: Option<&'a Value>, schema: Schema<'a>) -> Result<(), Error> {
        let name = field.name.as_ref();
        match (&field.r#type, value) {
            (_, None) if field.pointer => Ok(()),
            (Type::List(_) | Type::Map(_) | Type::Bytes, None) => Ok(()),
            (Type::List(_), _) if !field.wrapped => self.elements(field.number, &field.r#type, value, name, schema),
            (Type::Map(_), _) => self.elements(field.number, &field.r#type, value, name, schema),
            (other, value) => self.value(field.number, other, value, name, schema),
        }
    }

    /// A list or a map as repeated fields.
    fn elements(
        &mut self,
        number: u32,
        kind: &'a Type,
        value: Option<&'a Value>,
        name: &str,
        schema: Schema<'a>,
    ) -> Result<(), Error> {
        match (kind, value) {
            (_, None) => {}
            (Type::List(element), Some(Value::Array(items))) => {
                for item in items.iter().rev() {
                    self.value(number, element, present(item), name, schema)?;
                }
            }
            (Type::Map(element), Some(Value::Object(members))) => {
                let mut members: Vec<(&json::Text, &Value)> = members.iter().collect();
                members.sort_unstable_by(|a, b| b.0.cmp(a.0));
                for (key, member) in members {
                    let end = self.out.len();
                    let nothing = member.is_null() && **element == Type::Bytes;
                    if !nothing {
                        self.value(2, element, present(member), name, schema)?;
                    }
                    self.out.bytes(1, key.as_bytes());
                    self.out.close(number, end);
                }
            }
            _ => return Err(unfit(name)),
        }
        Ok(())
    }

    /// One value with its tag; without one the zero value.
    fn value(
        &mut self,
        number: u32,
        kind: &'a Type,
        value: Option<&'a Value>,
        name: &str,
        schema: Schema<'a>,
    ) -> Result<(), Error> {
        let end = self.out.len();
        match kind {
            Type::Bool | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => {
                self.out.number(number, integer(value, name)?);
                return Ok(());
            }
            Type::Float64 => {
                let float = value.map_or(Some(0.0), Value::as_f64).ok_or_else(|| unfit(name))?;
                self.out.put(&float.to_bits().to_le_bytes());
                self.out.tag(number, FIXED64);
                return Ok(());
            }
            Type::String => self.out.put(text(value, "", name)?.as_bytes()),
            Type::Bytes => {
                let bytes = STANDARD.decode(text(value, "", name)?).map_err(|_| unfit(name))?;
                self.out.put(&bytes);
            }
            Type::Quantity => self.out.bytes(1, text(value, "0", name)?.as_bytes()),
            Type::Duration => {
                let nanoseconds = duration::parse(text(value, "0", name)?).map_err(|_| unfit(name))?;
                self.out.number(1, nanoseconds.cast_unsigned());
            }
            Type::Time | Type::MicroTime => self.moment(value, kind, name)?,
            Type::IntOrString => {
                let string = value.and_then(Value::as_str);
                self.out.bytes(3, string.unwrap_or_default().as_bytes());
                self.out.number(2, if string.is_some() { 0 } else { integer(value, name)? });
                self.out.number(1, string.is_some().into());
            }
            Type::FieldsV1 | Type::Any | Type::RawExtension => {
                if let Some(value) = value {
                    self.out.bytes(1, value.to_string().as_bytes());
                }
            }
            Type::Object(id) => self.object(*id, value, name, schema)?,
            Type::OrBool(id) => {
                if let Some(object @ Value::Object(_)) = value {
                    self.nested(2, *id, object, name, schema)?;
                }
                self.out.number(1, (value != Some(&Value::Bool(false)) && value.is_some()).into());
            }
            Type::OrArray(id) => match value {
                Some(Value::Array(items)) => {
                    for item in items.iter().rev() {
                        self.nested(2, *id, item, name, schema)?;
                    }
                }
                Some(object) => self.nested(1, *id, object, name, schema)?,
                None => {}
            },
            Type::OrStringArray(id) => match value {
                Some(Value::Array(items)) => {
                    for item in items.iter().rev() {
                        self.out.bytes(2, text(Some(item), "", name)?.as_bytes());
                    }
                }
                Some(object) => self.nested(1, *id, object, name, schema)?,
                None => {}
            },
            // Named lists, and those within others, are messages of one field.
            Type::List(_) | Type::Map(_) => self.elements(1, kind, value, name, schema)?,
        }
        self.out.close(number, end);
        Ok(())
    }

    fn object(&mut self, id: TypeId, value: Option<&'a Value>, name: &str, schema: Schema<'a>) -> Result<(), Error> {
        match value {
            None => self.message(None, schema.resolve(id)),
            Some(Value::Object(members)) => self.message(Some(members), schema.resolve(id)),
            Some(_) => Err(unfit(name)),
        }
    }

    fn nested(
        &mut self,
        number: u32,
        id: TypeId,
        value: &'a Value,
        name: &str,
        schema: Schema<'a>,
    ) -> Result<(), Error> {
        let end = self.out.len();
        self.object(id, present(value), name, schema)?;
        self.out.close(number, end);
        Ok(())
    }

    /// Seconds and nanoseconds. No time is an empty message.
    fn moment(&mut self, value: Option<&Value>, kind: &Type, name: &str) -> Result<(), Error> {
        let Some(value) = value else { return Ok(()) };
        let at = time::parse(text(Some(value), "", name)?).ok_or_else(|| unfit(name))?;
        let (seconds, nanoseconds) = match (at.as_second(), i64::from(at.subsec_nanosecond())) {
            (seconds, before @ ..0) => (seconds - 1, before + 1_000_000_000),
            found => found,
        };
        let kept = if *kind == Type::MicroTime { nanoseconds / 1_000 * 1_000 } else { 0 };
        self.out.number(2, kept.cast_unsigned());
        self.out.number(1, seconds.cast_unsigned());
        Ok(())
    }
}

fn present(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}

/// A number or a boolean; negative numbers are ten bytes long.
fn integer(value: Option<&Value>, name: &str) -> Result<u64, Error> {
    match value {
        None => Ok(0),
        Some(Value::Bool(flag)) => Ok((*flag).into()),
        Some(Value::Number(number)) => {
            let found = number.as_u64().or_else(|| number.as_i64().map(i64::cast_unsigned));
            found.ok_or_else(|| unfit(name))
        }
        Some(_) => Err(unfit(name)),
    }
}

fn text<'v>(value: Option<&'v Value>, unset: &'static str, name: &str) -> Result<&'v str, Error> {
    value.map_or(Some(unset), Value::as_str).ok_or_else(|| unfit(name))
}

fn unfit(name: &str) -> Error {
    Error::Content(name.to_owned())
}
