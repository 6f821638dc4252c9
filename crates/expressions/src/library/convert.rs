//! Values of one type as another, and texts of the API (`format: date-time`, ...) as values.
//!
//! Upstream: cel-go common/types (ConvertToType), k8s.io/apiserver/pkg/cel/common.UnstructuredToVal.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::moment::Moment;
use crate::schema::Shape;
use crate::value::{List, Map, Text, Value};

pub(super) const ROWS: &[Row] = &[
    ("bool_to_bool", "bool(bool) -> bool", same),
    ("string_to_bool", "bool(string) -> bool", to_bool),
    ("bytes_to_bytes", "bytes(bytes) -> bytes", same),
    ("string_to_bytes", "bytes(string) -> bytes", to_bytes),
    ("double_to_double", "double(double) -> double", same),
    ("int64_to_double", "double(int) -> double", to_double),
    ("string_to_double", "double(string) -> double", to_double),
    ("uint64_to_double", "double(uint) -> double", to_double),
    ("duration_to_duration", "duration(duration) -> duration", same),
    ("string_to_duration", "duration(string) -> duration", to_duration),
    ("int64_to_int64", "int(int) -> int", same),
    ("double_to_int64", "int(double) -> int", to_int),
    ("duration_to_int64", "int(duration) -> int", to_int),
    ("string_to_int64", "int(string) -> int", to_int),
    ("timestamp_to_int64", "int(timestamp) -> int", to_int),
    ("uint64_to_int64", "int(uint) -> int", to_int),
    ("string_to_string", "string(string) -> string", same),
    ("bool_to_string", "string(bool) -> string", to_string),
    ("bytes_to_string", "string(bytes) -> string", to_string),
    ("double_to_string", "string(double) -> string", to_string),
    ("duration_to_string", "string(duration) -> string", to_string),
    ("int64_to_string", "string(int) -> string", to_string),
    ("timestamp_to_string", "string(timestamp) -> string", to_string),
    ("uint64_to_string", "string(uint) -> string", to_string),
    ("timestamp_to_timestamp", "timestamp(timestamp) -> timestamp", same),
    ("int64_to_timestamp", "timestamp(int) -> timestamp", to_timestamp),
    ("string_to_timestamp", "timestamp(string) -> timestamp", to_timestamp),
    ("uint64_to_uint64", "uint(uint) -> uint", same),
    ("double_to_uint64", "uint(double) -> uint", to_uint),
    ("int64_to_uint64", "uint(int) -> uint", to_uint),
    ("string_to_uint64", "uint(string) -> uint", to_uint),
];

fn same<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(args[0].clone())
}

fn unreadable<'a>(to: &str) -> Outcome<'a> {
    Err(Failure::message(format!("type conversion error from 'string' to '{to}'")))
}

fn to_bool<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    match &**text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
        _ => unreadable("bool"),
    }
}

fn to_bytes<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::Bytes(text.as_bytes().into()))
}

fn to_double<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match &args[0] {
        Value::Int(value) => Ok(Value::Double(*value as f64)),
        Value::Uint(value) => Ok(Value::Double(*value as f64)),
        Value::String(text) => match text.parse() {
            Ok(value) => Ok(Value::Double(value)),
            Err(_) => unreadable("double"),
        },
        _ => no_overload(),
    }
}

fn to_int<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let overflow = || Failure::message("integer overflow");
    match &args[0] {
        // The largest integer has no double of its own: what rounds up to its successor is too much.
        Value::Double(value) if *value > i64::MIN as f64 && *value < i64::MAX as f64 => Ok(Value::Int(*value as i64)),
        Value::Double(_) => Err(overflow()),
        Value::Duration(nanoseconds) => Ok(Value::Int(*nanoseconds)),
        Value::Timestamp(time) => Ok(Value::Int(time.at.as_second())),
        Value::Uint(value) => i64::try_from(*value).map(Value::Int).map_err(|_| overflow()),
        Value::String(text) => match text.parse() {
            Ok(value) => Ok(Value::Int(value)),
            Err(_) => unreadable("int"),
        },
        _ => no_overload(),
    }
}

fn to_uint<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let overflow = || Failure::message("unsigned integer overflow");
    match &args[0] {
        Value::Double(value) if *value >= 0.0 && *value < u64::MAX as f64 => Ok(Value::Uint(*value as u64)),
        Value::Double(_) => Err(overflow()),
        Value::Int(value) => u64::try_from(*value).map(Value::Uint).map_err(|_| overflow()),
        Value::String(text) => match text.parse() {
            Ok(value) => Ok(Value::Uint(value)),
            Err(_) => unreadable("uint"),
        },
        _ => no_overload(),
    }
}

fn to_duration<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    match api::duration::parse(text) {
        Ok(duration) => Ok(Value::Duration(duration)),
        Err(_) => unreadable("google.protobuf.Duration"),
    }
}

fn to_timestamp<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match &args[0] {
        Value::Int(seconds) => {
            let time = Timestamp::from_second(*seconds).ok().filter(in_range);
            time.map(|time| Value::Timestamp(time.into())).ok_or_else(|| Failure::message("timestamp overflow"))
        }
        Value::String(text) => match parse_timestamp(text) {
            Some(time) => Ok(Value::Timestamp(Moment::written(time, text))),
            None => unreadable("google.protobuf.Timestamp"),
        },
        _ => no_overload(),
    }
}

/// From year 1 to 9999.
fn in_range(time: &Timestamp) -> bool {
    (-62_135_596_800..=253_402_300_799).contains(&time.as_second())
}

/// Reads RFC 3339.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    api::meta::time::parse(text).filter(in_range)
}

fn to_string<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    if let Value::Bytes(bytes) = &args[0]
        && std::str::from_utf8(bytes).is_err()
    {
        return Err(Failure::message("invalid UTF-8 in bytes, cannot convert to string"));
    }
    to_text(&args[0]).map_or_else(no_overload, |text| Ok(Value::text(text)))
}

/// What `string()` gives; None where it gives nothing.
pub(crate) fn to_text(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Uint(value) => value.to_string(),
        Value::Double(value) => double(*value),
        Value::String(text) => text.to_string(),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok()?.to_owned(),
        Value::Duration(nanoseconds) => seconds(*nanoseconds),
        Value::Timestamp(time) => time.to_string(),
        Value::Ip(ip) => ip.to_string(),
        Value::Cidr(cidr) => cidr.to_string(),
        Value::Type(name) => name.to_string(),
        _ => return None,
    })
}

/// The shortest digits, with an exponent below 1e-4 and from 1e6 on. Upstream: strconv.FormatFloat(value, 'g', -1, 64).
fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

/// Seconds with what fraction there is: `5401.5s`.
fn seconds(nanoseconds: i64) -> String {
    let total = i128::from(nanoseconds).unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let fraction = format!(".{:09}", total % 1_000_000_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{sign}{}{fraction}s", total / 1_000_000_000)
}

/// Bytes as JSON holds them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The value of a text with a format. Upstream: UnstructuredToVal.
pub(crate) fn formatted<'a>(shape: &Shape, text: &'a str) -> Outcome<'a> {
    let invalid = |what: &str, why: &str| Err(Failure::message(format!("Invalid {what} {text}: {why}")));
    match shape {
        Shape::Bytes => match STANDARD.decode(text) {
            Ok(bytes) => Ok(Value::Bytes(bytes.into())),
            Err(_) => invalid("byte formatted string", "illegal base64 data"),
        },
        Shape::Duration => match api::duration::parse(text) {
            Ok(duration) => Ok(Value::Duration(duration)),
            Err(why) => invalid("duration", &why.to_string()),
        },
        Shape::Date => match format!("{text}T00:00:00Z").parse::<Timestamp>() {
            Ok(time) if text.len() == 10 => Ok(Value::Timestamp(time.into())),
            _ => invalid("date formatted string", "cannot parse"),
        },
        Shape::DateTime => match parse_timestamp(text) {
            Some(time) => Ok(Value::Timestamp(Moment::written(time, text))),
            None => invalid("date-time formatted string", "cannot parse"),
        },
        _ => Ok(Value::String(Text::Borrowed(text))),
    }
}

/// A value in a message.
pub(crate) fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        _ => to_text(value).unwrap_or_else(|| value.type_name().to_owned()),
    }
}

/// The value with nothing borrowed; None for what cannot be without.
pub(crate) fn owned(value: Value<'_>) -> Option<Value<'static>> {
    Some(match value {
        Value::Null => Value::Null,
        Value::Bool(value) => Value::Bool(value),
        Value::Int(value) => Value::Int(value),
        Value::Uint(value) => Value::Uint(value),
        Value::Double(value) => Value::Double(value),
        Value::String(text) => Value::text(&*text),
        Value::Bytes(bytes) => Value::Bytes(bytes),
        Value::Duration(value) => Value::Duration(value),
        Value::Timestamp(value) => Value::Timestamp(value),
        Value::Type(name) => Value::Type(name),
        Value::List(list) => Value::list(owned_all(list)?),
        Value::Map(Map::Items(entries)) => {
            let mut items = IndexMap::with_capacity(entries.len());
            for (slot, (key, value)) in entries.iter() {
                items.insert(slot.clone(), (owned(key.clone())?, owned(value.clone())?));
            }
            Value::Map(Map::Items(Arc::new(items)))
        }
        _ => return None,
    })
}

fn owned_all(list: List<'_>) -> Option<Vec<Value<'static>>> {
    list.values().ok()?.into_iter().map(owned).collect()
}
