//! Patterns. They are compiled once where they are written out. Upstream: k8s.io/apiserver/pkg/cel/library/regex.go.

use api::pattern;
use regex::Regex;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    ("matches", "matches(string, string) -> bool", matches),
    ("matches_string", "(string).matches(string) -> bool", matches),
    ("string_find_string", "(string).find(string) -> string", find),
    ("string_find_all_string", "(string).findAll(string) -> list(string)", find_all),
    ("string_find_all_string_int", "(string).findAll(string, int) -> list(string)", find_all),
];

/// Compiles a pattern; the error is Go's.
pub(crate) fn compile(pattern: &str) -> Result<Regex, String> {
    pattern::compile(pattern).map_err(|error| error.to_string())
}

/// What a call of this name does with a compiled pattern: `matches`, `find` or `findAll`.
pub(crate) fn apply(function: &str, pattern: &Regex, text: &str, limit: Option<i64>) -> Value<'static> {
    match function {
        "matches" => Value::Bool(pattern.is_match(text)),
        "find" => Value::text(pattern.find(text).map_or("", |found| found.as_str())),
        _ => {
            let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
            Value::list(pattern.find_iter(text).take(limit).map(|found| Value::text(found.as_str())).collect())
        }
    }
}

fn matches<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::String(pattern)] = args else { return no_overload() };
    let pattern = compile(pattern).map_err(Failure::message)?;
    Ok(apply("matches", &pattern, text, None))
}

fn compiled(value: &Value<'_>) -> Result<Regex, Failure> {
    let Value::String(text) = value else { return Err(Failure::no_such_overload()) };
    compile(text).map_err(|why| Failure::message(format!("Illegal regex: {why}")))
}

fn find<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), pattern] = args else { return no_overload() };
    Ok(apply("find", &compiled(pattern)?, text, None))
}

fn find_all<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    match args {
        [Value::String(text), pattern] => Ok(apply("findAll", &compiled(pattern)?, text, None)),
        [Value::String(text), pattern, Value::Int(limit)] => {
            Ok(apply("findAll", &compiled(pattern)?, text, Some(*limit)))
        }
        _ => no_overload(),
    }
}
