//! Sizes, and tests of texts. Upstream: cel-go common/stdlib.

use super::{Outcome, Row, no_overload};
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("size_bytes", "size(bytes) -> int", size),
    ("bytes_size", "(bytes).size() -> int", size),
    ("size_list", "size(list(A)) -> int", size),
    ("list_size", "(list(A)).size() -> int", size),
    ("size_map", "size(map(A, B)) -> int", size),
    ("map_size", "(map(A, B)).size() -> int", size),
    ("size_string", "size(string) -> int", size),
    ("string_size", "(string).size() -> int", size),
    ("contains_string", "(string).contains(string) -> bool", contains),
    ("starts_with_string", "(string).startsWith(string) -> bool", starts_with),
    ("ends_with_string", "(string).endsWith(string) -> bool", ends_with),
    ("type", "type(A) -> type(A)", type_of),
    ("to_dyn", "dyn(A) -> dyn", |args| Ok(args[0].clone())),
];

fn size<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Int(args[0].size() as i64))
}

fn contains<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(part)] = args else { return no_overload() };
    Ok(Value::Bool(text.contains(&**part)))
}

fn starts_with<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(prefix)] = args else { return no_overload() };
    Ok(Value::Bool(text.starts_with(&**prefix)))
}

fn ends_with<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(suffix)] = args else { return no_overload() };
    Ok(Value::Bool(text.ends_with(&**suffix)))
}

fn type_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    Ok(Value::Type(args[0].type_name().into()))
}
