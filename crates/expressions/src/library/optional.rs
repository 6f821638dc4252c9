//! Values that may be missing. Upstream: cel-go cel.OptionalTypes.

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("optional_of", "optional.of(V) -> optional(V)", |args| Ok(Value::some(args[0].clone()))),
    ("optional_ofNonZeroValue", "optional.ofNonZeroValue(V) -> optional(V)", of_non_zero),
    ("optional_none", "optional.none() -> optional(V)", |_| Ok(Value::NONE)),
    ("optional_value", "(optional(V)).value() -> V", value),
    ("optional_hasValue", "(optional(V)).hasValue() -> bool", has_value),
    ("optional_or_optional", "(optional(V)).or(optional(V)) -> optional(V)", |_| no_overload()),
    ("optional_orValue_value", "(optional(V)).orValue(V) -> V", |_| no_overload()),
    ("list_last", "(list(V)).last() -> optional(V)", |args| end(args, true)),
    ("list_first", "(list(V)).first() -> optional(V)", |args| end(args, false)),
    ("optional_unwrap", "optional.unwrap(list(optional(V))) -> list(V)", unwrap),
    ("optional_unwrapOpt", "(list(optional(V))).unwrapOpt() -> list(V)", unwrap),
];

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(value) => *value == 0,
        Value::Uint(value) => *value == 0,
        Value::Double(value) => *value == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Duration(value) => *value == 0,
        Value::List(list) => list.is_empty(),
        Value::Map(map) => map.is_empty(),
        Value::Message(message) => message.fields.is_empty(),
        Value::Optional(value) => value.is_none(),
        _ => false,
    }
}

fn of_non_zero<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(if is_zero(&args[0]) { Value::NONE } else { Value::some(args[0].clone()) })
}

fn value<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::Optional(Some(value))] => Ok((**value).clone()),
        [Value::Optional(None)] => Err(Failure::message("optional.none() dereference")),
        _ => no_overload(),
    }
}

fn has_value<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Optional(value)] = args else { return no_overload() };
    Ok(Value::Bool(value.is_some()))
}

fn end<'a>(args: &[Value<'a>], last: bool) -> Outcome<'a> {
    let [Value::List(list)] = args else { return no_overload() };
    let place = if last { list.len().saturating_sub(1) } else { 0 };
    list.get(place).transpose().map(|value| value.map_or(Value::NONE, Value::some))
}

fn unwrap<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::List(list)] = args else { return no_overload() };
    let mut values = Vec::new();
    for item in list.iter() {
        match item? {
            Value::Optional(Some(value)) => values.push((*value).clone()),
            Value::Optional(None) => {}
            other => return Err(Failure::message(format!("value {} is not optional", super::shown(&other)))),
        }
    }
    Ok(Value::list(values))
}
