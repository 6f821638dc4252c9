//! Equality, order and arithmetic of values.
//!
//! Numbers of different types are compared by what they are worth; values of types that have nothing in common are unequal and
//! have no order. Upstream: cel-go common/types, k8s.io/apiserver/pkg/cel/common (lists that are sets or maps).

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::SignedDuration;

use super::Failure;
use crate::moment::Moment;
use crate::schema::ListType;
use crate::value::{Entries, Key, List, Map, Value};

type Outcome<'a> = Result<Value<'a>, Failure>;

/// Are the values the same?
pub(crate) fn equal(left: &Value<'_>, right: &Value<'_>) -> bool {
    match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::String(left), Value::String(right)) => **left == **right,
        (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
        (Value::Type(left), Value::Type(right)) => left == right,
        (Value::List(left), Value::List(right)) => equal_lists(left, right),
        (Value::Map(left), Value::Map(right)) => equal_maps(left, right),
        (Value::Message(left), Value::Message(right)) => {
            left.name == right.name
                && left.fields.len() == right.fields.len()
                && left
                    .fields
                    .iter()
                    .all(|(name, value)| right.fields.get(name).is_some_and(|other| equal(value, other)))
        }
        (Value::Optional(left), Value::Optional(right)) => match (left, right) {
            (Some(left), Some(right)) => equal(left, right),
            (None, None) => true,
            _ => false,
        },
        (Value::Quantity(left), Value::Quantity(right)) => left == right,
        (Value::Url(left), Value::Url(right)) => left == right,
        (Value::Ip(left), Value::Ip(right)) => left == right,
        (Value::Cidr(left), Value::Cidr(right)) => left == right,
        (Value::Format(left), Value::Format(right)) => left.name == right.name,
        (Value::Semver(left), Value::Semver(right)) => left == right,
        _ => numeric_order(left, right) == Some(Ordering::Equal),
    }
}

fn equal_lists(left: &List<'_>, right: &List<'_>) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (Ok(left_items), Ok(right_items)) = (left.values(), right.values()) else { return false };
    let kind = if *left.kind() == ListType::Atomic { right.kind() } else { left.kind() };
    match kind {
        ListType::Atomic => left_items.iter().zip(&right_items).all(|(left, right)| equal(left, right)),
        ListType::Set => left_items.iter().all(|item| right_items.iter().any(|other| equal(item, other))),
        ListType::Map(keys) => left_items.iter().all(|item| {
            let key = map_key(item, keys);
            right_items.iter().any(|other| map_key(other, keys) == key && equal(item, other))
        }),
    }
}

/// The values of the keys of an item of a list that is a map.
fn map_key(item: &Value<'_>, keys: &[String]) -> Vec<Option<Key>> {
    let Value::Map(map) = item else { return Vec::new() };
    keys.iter()
        .map(|key| {
            let escaped = crate::schema::escape(key)?;
            map.get_text(&escaped)?.ok().as_ref().and_then(Key::of)
        })
        .collect()
}

fn equal_maps(left: &Map<'_>, right: &Map<'_>) -> bool {
    if left.len() != right.len() {
        return false;
    }
    // Fields that no expression can reach take part, too.
    if let (Map::Json(left, Entries::Fields(fields)), Map::Json(right, Entries::Fields(_))) = (left, right) {
        return left.iter().all(|(name, value)| {
            let Some(other) = right.get(name) else { return false };
            let schema = fields.of_json(name);
            match (Value::from_json(value, schema), Value::from_json(other, schema)) {
                (Ok(value), Ok(other)) => equal(&value, &other),
                _ => false,
            }
        });
    }
    left.keys().iter().all(|key| match (left.get(key), right.get(key)) {
        (Some(Ok(left)), Some(Ok(right))) => equal(&left, &right),
        _ => false,
    })
}

/// The order of two numbers of any type; None for anything else, and for what is not a number.
fn numeric_order(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => Some(left.cmp(right)),
        (Value::Uint(left), Value::Uint(right)) => Some(left.cmp(right)),
        (Value::Int(left), Value::Uint(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Uint(left), Value::Int(right)) => Some(i128::from(*left).cmp(&i128::from(*right))),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Double(left), Value::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Double(left), Value::Uint(right)) => left.partial_cmp(&(*right as f64)),
        (Value::Int(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
        (Value::Uint(left), Value::Double(right)) => (*left as f64).partial_cmp(right),
        _ => None,
    }
}

/// The order of two values; an error where they have none.
pub(crate) fn compare(left: &Value<'_>, right: &Value<'_>) -> Result<Ordering, Failure> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Ok(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Ok((**left).cmp(&**right)),
        (Value::Bytes(left), Value::Bytes(right)) => Ok(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Ok(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Ok(left.cmp(right)),
        (Value::Double(left), _) if left.is_nan() => Err(Failure::message("NaN values cannot be ordered")),
        (_, Value::Double(right)) if right.is_nan() => Err(Failure::message("NaN values cannot be ordered")),
        _ => numeric_order(left, right).ok_or_else(Failure::no_such_overload),
    }
}

fn overflow() -> Failure {
    Failure::message("integer overflow")
}

fn unsigned_overflow() -> Failure {
    Failure::message("unsigned integer overflow")
}

fn moved<'a>(time: Moment, by: i64, negative: bool) -> Outcome<'a> {
    let by = SignedDuration::from_nanos(by);
    time.moved(if negative { -by } else { by })
        .map(Value::Timestamp)
        .ok_or_else(|| Failure::message("timestamp overflow"))
}

/// `left + right`
pub(crate) fn add<'a>(left: Value<'a>, right: Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_add(right).ok_or_else(overflow)?),
        (Value::Uint(left), Value::Uint(right)) => Value::Uint(left.checked_add(right).ok_or_else(unsigned_overflow)?),
        (Value::Double(left), Value::Double(right)) => Value::Double(left + right),
        (Value::String(left), Value::String(right)) => {
            let mut text = String::with_capacity(left.len() + right.len());
            text.push_str(&left);
            text.push_str(&right);
            Value::text(text)
        }
        (Value::Bytes(left), Value::Bytes(right)) => Value::Bytes([&left[..], &right[..]].concat().into()),
        (Value::List(left), Value::List(right)) => Value::List(add_lists(left, &right)?),
        (Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left.checked_add(right).ok_or_else(|| Failure::message("duration overflow"))?)
        }
        (Value::Timestamp(time), Value::Duration(by)) | (Value::Duration(by), Value::Timestamp(time)) => {
            return moved(time, by, false);
        }
        _ => return Err(Failure::no_such_overload()),
    })
}

/// Lists that are sets or maps take in what they do not have yet; items of a map replace those of the same key.
fn add_lists<'a>(left: List<'a>, right: &List<'a>) -> Result<List<'a>, Failure> {
    let kind = left.kind().clone();
    let mut items = match left {
        List::Items(items) => items,
        json @ List::Json(..) => Arc::new(json.values()?),
    };
    let all = Arc::make_mut(&mut items);
    for item in right.iter() {
        let item = item?;
        match &kind {
            ListType::Atomic => all.push(item),
            ListType::Set if all.iter().any(|other| equal(other, &item)) => {}
            ListType::Set => all.push(item),
            ListType::Map(keys) => {
                let key = map_key(&item, keys);
                match all.iter_mut().find(|other| map_key(other, keys) == key) {
                    Some(other) => *other = item,
                    None => all.push(item),
                }
            }
        }
    }
    Ok(List::Items(items))
}

/// `left - right`
pub(super) fn subtract<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_sub(*right).ok_or_else(overflow)?),
        (Value::Uint(left), Value::Uint(right)) => Value::Uint(left.checked_sub(*right).ok_or_else(unsigned_overflow)?),
        (Value::Double(left), Value::Double(right)) => Value::Double(left - right),
        (Value::Duration(left), Value::Duration(right)) => {
            Value::Duration(left.checked_sub(*right).ok_or_else(|| Failure::message("duration overflow"))?)
        }
        (Value::Timestamp(time), Value::Duration(by)) => return moved(*time, *by, true),
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            let nanoseconds = left.at.duration_since(right.at).as_nanos();
            Value::Duration(i64::try_from(nanoseconds).map_err(|_| Failure::message("duration overflow"))?)
        }
        _ => return Err(Failure::no_such_overload()),
    })
}

/// `left * right`
pub(super) fn multiply<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_mul(*right).ok_or_else(overflow)?),
        (Value::Uint(left), Value::Uint(right)) => Value::Uint(left.checked_mul(*right).ok_or_else(unsigned_overflow)?),
        (Value::Double(left), Value::Double(right)) => Value::Double(left * right),
        _ => return Err(Failure::no_such_overload()),
    })
}

/// `left / right`
pub(super) fn divide<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            return Err(Failure::message("division by zero"));
        }
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_div(*right).ok_or_else(overflow)?),
        (Value::Uint(left), Value::Uint(right)) => Value::Uint(left / right),
        (Value::Double(left), Value::Double(right)) => Value::Double(left / right),
        _ => return Err(Failure::no_such_overload()),
    })
}

/// `left % right`
pub(super) fn modulo<'a>(left: &Value<'a>, right: &Value<'a>) -> Outcome<'a> {
    Ok(match (left, right) {
        (Value::Int(_), Value::Int(0)) | (Value::Uint(_), Value::Uint(0)) => {
            return Err(Failure::message("modulus by zero"));
        }
        (Value::Int(left), Value::Int(right)) => Value::Int(left.checked_rem(*right).ok_or_else(overflow)?),
        (Value::Uint(left), Value::Uint(right)) => Value::Uint(left % right),
        _ => return Err(Failure::no_such_overload()),
    })
}

/// `-value`
pub(super) fn negate<'a>(value: &Value<'a>) -> Outcome<'a> {
    match value {
        Value::Int(value) => value.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(value) => Ok(Value::Double(-value)),
        _ => Err(Failure::no_such_overload()),
    }
}

/// `value in container`
pub(super) fn contains<'a>(value: &Value<'a>, container: &Value<'a>) -> Outcome<'a> {
    match container {
        Value::List(list) => {
            for item in list.iter() {
                if equal(&item?, value) {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Value::Map(map) => Ok(Value::Bool(map.get(value).is_some())),
        _ => Err(Failure::no_such_overload()),
    }
}
