//! Cells: the expressions columns are made of.
//!
//! A path is field names joined by dots. An absent value reads as Go's zero value, unless the expression says otherwise.

use super::Context;
use crate::{duration, meta, selector::label};
use jiff::Timestamp;
use json::{Map, Value};

/// How a cell is computed from its object.
#[derive(Clone, Copy)]
pub(crate) enum Cell {
    /// A text or number as text; empty if absent.
    Text(&'static str),
    /// A text, or another where it is absent or empty.
    TextOr(&'static str, &'static str),
    /// A whole number; 0 if absent.
    Integer(&'static str),
    /// A boolean, or another where it is absent.
    Boolean(&'static str, bool),
    /// `True`, `False` or `<unset>`.
    BooleanText(&'static str),
    /// How many items the lists and maps at these paths have in all.
    Count(&'static [&'static str]),
    /// Two numbers as `1/2`.
    Ratio(&'static str, &'static str),
    /// How long ago a time was, or a text where it is absent.
    Since(&'static str, &'static str),
    /// A list of texts, joined by commas, or a text where it is empty.
    Join(&'static str, &'static str),
    /// One field of each object of a list, joined by commas.
    JoinField(&'static str, &'static str),
    /// A map of labels, sorted, or `<none>`.
    Labels(&'static str),
    /// A LabelSelector in string form.
    LabelSelector(&'static str),
    /// What no expression says.
    Call(fn(&Value, &Context<'_>) -> Value),
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cell")
    }
}

impl Cell {
    pub(crate) fn value(&self, object: &Value, context: &Context<'_>) -> Value {
        match *self {
            Cell::Text(path) => text_at(object, path).into(),
            Cell::TextOr(path, absent) => {
                let text = text_at(object, path);
                if text.is_empty() { absent.into() } else { text.into() }
            }
            Cell::Integer(path) => integer_at(object, path).into(),
            Cell::Boolean(path, absent) => boolean_at(object, path).unwrap_or(absent).into(),
            Cell::BooleanText(path) => match boolean_at(object, path) {
                None => "<unset>".into(),
                Some(true) => "True".into(),
                Some(false) => "False".into(),
            },
            Cell::Count(paths) => paths.iter().map(|path| count_at(object, path)).sum::<usize>().into(),
            Cell::Ratio(part, whole) => format!("{}/{}", integer_at(object, part), integer_at(object, whole)).into(),
            Cell::Since(path, absent) => match at(object, path).filter(|time| !time.is_null()) {
                None => absent.into(),
                time => since(time, context.now).into(),
            },
            Cell::Join(path, absent) => {
                let items: Vec<&str> = items_at(object, path).iter().filter_map(Value::as_str).collect();
                if items.is_empty() { absent.into() } else { items.join(",").into() }
            }
            Cell::JoinField(path, field) => {
                let items: Vec<String> = items_at(object, path).iter().map(|item| text_at(item, field)).collect();
                items.join(",").into()
            }
            Cell::Labels(path) => format_labels(at(object, path).and_then(Value::as_object)).into(),
            Cell::LabelSelector(path) => {
                // An absent selector of the table's kinds is an empty one or none at all: both print alike.
                label::format(at(object, path).or(Some(&Value::Object(Map::new())))).into()
            }
            Cell::Call(function) => function(object, context),
        }
    }
}

/// The value at a path.
pub(crate) fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |value, step| value.get(step))
}

/// The text at a path; numbers as text, anything else empty.
pub(crate) fn text_at(object: &Value, path: &str) -> String {
    match at(object, path) {
        Some(Value::String(text)) => text.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The text at a path, borrowed; empty if it is none.
pub(crate) fn str_at<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).and_then(Value::as_str).unwrap_or_default()
}

/// The whole number at a path; 0 if absent.
pub(crate) fn integer_at(object: &Value, path: &str) -> i64 {
    at(object, path).and_then(Value::as_i64).unwrap_or_default()
}

/// The boolean at a path.
pub(crate) fn boolean_at(object: &Value, path: &str) -> Option<bool> {
    at(object, path).and_then(Value::as_bool)
}

/// The list at a path; empty if absent.
pub(crate) fn items_at<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The condition of a type in the list at a path: the first, or with `last` the last.
pub(crate) fn condition<'a>(object: &'a Value, path: &str, r#type: &str) -> Option<&'a Value> {
    items_at(object, path).iter().find(|condition| str_at(condition, "type") == r#type)
}

/// Whether the first condition of a type is true.
pub(crate) fn condition_is_true(object: &Value, path: &str, r#type: &str) -> bool {
    condition(object, path, r#type).is_some_and(|condition| str_at(condition, "status") == "True")
}

fn count_at(object: &Value, path: &str) -> usize {
    match at(object, path) {
        Some(Value::Array(items)) => items.len(),
        Some(Value::Object(fields)) => fields.len(),
        _ => 0,
    }
}

/// How long ago a time was: `5m`, or `<unknown>` without one.
pub(crate) fn since(time: Option<&Value>, now: Timestamp) -> String {
    match time.and_then(Value::as_str).and_then(meta::time::parse) {
        Some(time) => between(time, now),
        None => "<unknown>".to_owned(),
    }
}

/// The time between two times, for people.
pub(crate) fn between(from: Timestamp, to: Timestamp) -> String {
    let nanoseconds = to.as_nanosecond() - from.as_nanosecond();
    duration::human(i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX }))
}

/// Labels as `a=b,c=d`, sorted, or `<none>`. Upstream: labels.FormatLabels.
pub(crate) fn format_labels(labels: Option<&Map>) -> String {
    let mut pairs: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    pairs.sort_unstable();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

/// At most `limit` items and how many more: `a,b + 3 more...`.
pub(crate) fn with_more(items: &[String], limit: usize, separator: &str, empty: &str) -> String {
    let shown = items[..items.len().min(limit)].join(separator);
    if items.len() > limit {
        return format!("{shown} + {} more...", items.len() - limit);
    }
    if shown.is_empty() { empty.to_owned() } else { shown }
}
