//! Messages into objects. Nothing here knows a kind: the schema's field numbers and types say what lies where.
//! Upstream: gogo/protobuf's generated Unmarshal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use json::{Map, Value};

use super::wire::{Payload, Reader};
use super::{Error, MAX_DEPTH};
use crate::duration;
use crate::meta::time;
use crate::schema::{Field, Schema, Type};

/// The object in a message of a type. `apiVersion` and `kind` are the envelope's business.
pub fn decode(raw: &[u8], schema: Schema<'_>) -> Result<Value, Error> {
    let mut fields = Map::new();
    message(raw, schema, &[], &mut fields, 0)?;
    let object = Value::Object(fields);
    // What is embedded as JSON counts, too: nothing may be stored that is too deep to be read again.
    if is_deeper(&object, crate::decode::MAX_DEPTH) { Err(Error::TooDeep) } else { Ok(object) }
}

fn is_deeper(value: &Value, levels: usize) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Array(items), Some(left)) => items.iter().any(|item| is_deeper(item, left)),
        (Value::Object(members), Some(left)) => members.values().any(|member| is_deeper(member, left)),
        (Value::Array(_) | Value::Object(_), None) => true,
        _ => false,
    }
}

/// Reads a message into `out`. `within` are the messages around it that JSON does not show.
fn message(raw: &[u8], schema: Schema<'_>, within: &[u32], out: &mut Map, depth: usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(Error::TooDeep);
    }
    let fields = &schema.object().fields;
    let mut reader = Reader::new(raw);
    while let Some((number, payload)) = reader.next().map_err(|error| error.in_type(type_name(schema)))? {
        let own = fields.iter().find(|field| field.number == number && field.inline == within);
        if let Some(field) = own {
            add(field, payload, schema, out, depth)?;
            continue;
        }
        let deeper = |field: &Field| {
            field.inline.len() > within.len()
                && field.inline.starts_with(within)
                && field.inline[within.len()] == number
        };
        if fields.iter().any(deeper)
            && let Payload::Bytes(inner) = payload
        {
            let mut path = within.to_vec();
            path.push(number);
            message(inner, schema, &path, out, depth + 1)?;
        }
    }
    Ok(())
}

fn add(field: &Field, payload: Payload<'_>, schema: Schema<'_>, out: &mut Map, depth: usize) -> Result<(), Error> {
    let name = field.name.as_ref();
    match &field.r#type {
        Type::List(element) if !field.wrapped => {
            let list = out.entry(field.key()).or_insert_with(|| Value::Array(Vec::new()));
            let Value::Array(list) = list else { return Ok(()) };
            if let (Payload::Bytes(packed), true) = (payload, is_packable(element)) {
                let mut reader = Reader::new(packed);
                while let Some(number) = reader.packed(matches!(**element, Type::Float64))? {
                    list.push(value(element, number, schema, name, depth)?);
                }
                return Ok(());
            }
            list.push(value(element, payload, schema, name, depth)?);
        }
        Type::Map(element) => {
            let map = out.entry(field.key()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(map) = map else { return Ok(()) };
            let (mut key, mut entry) = (String::new(), None);
            let mut reader = Reader::new(payload.bytes(name)?);
            while let Some((number, payload)) = reader.next()? {
                match number {
                    1 => key = payload.text(name)?.into_owned(),
                    2 => entry = Some(value(element, payload, schema, name, depth)?),
                    _ => {}
                }
            }
            let entry = match entry {
                Some(entry) => entry,
                None => zero(element),
            };
            map.insert(key, entry);
        }
        // A message in several pieces is one.
        Type::Object(id) => {
            let within = out.entry(field.key()).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(within) = within else { return Ok(()) };
            message(payload.bytes(name)?, schema.resolve(*id), &[], within, depth + 1)?;
        }
        // Of anything else the last one counts.
        other => {
            let found = value(other, payload, schema, name, depth)?;
            out.insert(field.key(), found);
        }
    }
    Ok(())
}

fn value(kind: &Type, payload: Payload<'_>, schema: Schema<'_>, name: &str, depth: usize) -> Result<Value, Error> {
    Ok(match kind {
        Type::Bool => (payload.varint(name)? != 0).into(),
        // What is too long for its type loses its upper half.
        Type::Int32 => (payload.varint(name)? as i32).into(),
        Type::Int64 => payload.varint(name)?.cast_signed().into(),
        Type::Uint32 => (payload.varint(name)? as u32).into(),
        Type::Uint64 => payload.varint(name)?.into(),
        Type::Float64 => match payload {
            Payload::Fixed64(bits) => f64::from_bits(bits).into(),
            other => return Err(other.wrong(name)),
        },
        Type::String => payload.text(name)?.into_owned().into(),
        Type::Bytes => STANDARD.encode(payload.bytes(name)?).into(),
        Type::Quantity => match wrapped(payload, name)? {
            Some(inner) => inner.text(name)?.into_owned().into(),
            None => "0".into(),
        },
        Type::Duration => {
            let nanoseconds = wrapped(payload, name)?.map_or(Ok(0), |inner| inner.varint(name))?;
            duration::format(nanoseconds.cast_signed()).into()
        }
        Type::Time | Type::MicroTime => moment(kind, payload.bytes(name)?, name)?,
        Type::IntOrString => int_or_string(payload.bytes(name)?, name)?,
        Type::FieldsV1 | Type::Any | Type::RawExtension => match wrapped(payload, name)? {
            Some(inner) => {
                let raw = inner.bytes(name)?;
                json::from_slice(raw).map_err(|_| Error::Content(name.to_owned()))?
            }
            None => Value::Null,
        },
        Type::Object(id) => {
            let mut fields = Map::new();
            message(payload.bytes(name)?, schema.resolve(*id), &[], &mut fields, depth + 1)?;
            Value::Object(fields)
        }
        Type::OrBool(id) => either(
            payload,
            schema,
            *id,
            name,
            depth,
            |number, inner| match number {
                1 => Some(inner.varint(name).map(|bit| (bit != 0).into())),
                _ => None,
            },
            2,
        )?,
        Type::OrArray(id) => or_list(payload, schema, *id, name, depth, false)?,
        Type::OrStringArray(id) => or_list(payload, schema, *id, name, depth, true)?,
        // Named lists and maps inside others are messages of one field.
        Type::List(_) | Type::Map(_) => {
            let field = Field { number: 1, ..Field::new("items", kind.clone()) };
            let mut fields = Map::new();
            let mut reader = Reader::new(payload.bytes(name)?);
            while let Some((number, payload)) = reader.next()? {
                if number == 1 {
                    add(&field, payload, schema, &mut fields, depth + 1)?;
                }
            }
            fields.shift_remove("items").unwrap_or_else(|| zero(kind))
        }
    })
}

/// A message that holds the object under one number and something else under another.
fn either<'a>(
    payload: Payload<'a>,
    schema: Schema<'_>,
    id: crate::schema::TypeId,
    name: &str,
    depth: usize,
    other: impl Fn(u32, Payload<'a>) -> Option<Result<Value, Error>>,
    object: u32,
) -> Result<Value, Error> {
    let mut found = Value::Null;
    let mut reader = Reader::new(payload.bytes(name)?);
    while let Some((number, inner)) = reader.next()? {
        if number == object {
            found = value(&Type::Object(id), inner, schema, name, depth)?;
        } else if let Some(value) = other(number, inner)
            && !found.is_object()
        {
            found = value?;
        }
    }
    Ok(found)
}

/// `JSONSchemaPropsOrArray` and `JSONSchemaPropsOrStringArray`: the object is field 1, the list field 2.
fn or_list(
    payload: Payload<'_>,
    schema: Schema<'_>,
    id: crate::schema::TypeId,
    name: &str,
    depth: usize,
    strings: bool,
) -> Result<Value, Error> {
    let mut list = Vec::new();
    let mut reader = Reader::new(payload.bytes(name)?);
    while let Some((number, inner)) = reader.next()? {
        match number {
            1 => return value(&Type::Object(id), inner, schema, name, depth),
            2 if strings => list.push(inner.text(name)?.into_owned().into()),
            2 => list.push(value(&Type::Object(id), inner, schema, name, depth)?),
            _ => {}
        }
    }
    Ok(Value::Array(list))
}

/// Field 1 of a message that wraps one value.
fn wrapped<'a>(payload: Payload<'a>, name: &str) -> Result<Option<Payload<'a>>, Error> {
    let mut reader = Reader::new(payload.bytes(name)?);
    let mut found = None;
    while let Some((number, inner)) = reader.next()? {
        if number == 1 {
            found = Some(inner);
        }
    }
    Ok(found)
}

/// A time: seconds and nanoseconds; an empty message is no time.
fn moment(kind: &Type, raw: &[u8], name: &str) -> Result<Value, Error> {
    let (mut seconds, mut nanoseconds) = (None, 0i32);
    let mut reader = Reader::new(raw);
    while let Some((number, payload)) = reader.next()? {
        match number {
            1 => seconds = Some(payload.varint(name)?.cast_signed()),
            2 => nanoseconds = payload.varint(name)? as u32 as i32,
            _ => {}
        }
    }
    let Some(seconds) = seconds else { return Ok(Value::Null) };
    let at = Timestamp::new(seconds, nanoseconds).map_err(|_| Error::Content(name.to_owned()))?;
    Ok(if *kind == Type::MicroTime { time::format_micro(at) } else { time::format(at) }.into())
}

fn int_or_string(raw: &[u8], name: &str) -> Result<Value, Error> {
    let (mut is_string, mut number, mut string) = (false, 0i32, String::new());
    let mut reader = Reader::new(raw);
    while let Some((field, payload)) = reader.next()? {
        match field {
            1 => is_string = payload.varint(name)? == 1,
            2 => number = payload.varint(name)? as i32,
            3 => string = payload.text(name)?.into_owned(),
            _ => {}
        }
    }
    Ok(if is_string { string.into() } else { number.into() })
}

/// What an entry of a map is that was not written.
fn zero(kind: &Type) -> Value {
    match kind {
        Type::Bool => false.into(),
        Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 => 0.into(),
        Type::String | Type::Bytes => "".into(),
        Type::Quantity => "0".into(),
        Type::List(_) => Value::Array(Vec::new()),
        Type::Map(_) | Type::Object(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

fn is_packable(kind: &Type) -> bool {
    matches!(kind, Type::Bool | Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Float64)
}

/// The Go type of a schema without its package.
fn type_name<'a>(schema: Schema<'a>) -> &'a str {
    let name: &str = &schema.object().go_type;
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}
