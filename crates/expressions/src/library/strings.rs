//! Functions of texts. Places are counted in characters. Upstream: cel-go ext/strings.go, version 2.

use super::{Outcome, Row, format, no_overload};
use crate::eval::Failure;
use crate::value::{Text, Value};

pub(super) const ROWS: &[Row] = &[
    ("string_char_at_int", "(string).charAt(int) -> string", char_at),
    ("string_index_of_string", "(string).indexOf(string) -> int", index_of),
    ("string_index_of_string_int", "(string).indexOf(string, int) -> int", index_of),
    ("string_last_index_of_string", "(string).lastIndexOf(string) -> int", last_index_of),
    ("string_last_index_of_string_int", "(string).lastIndexOf(string, int) -> int", last_index_of),
    ("string_lower_ascii", "(string).lowerAscii() -> string", |args| mapped(args, str::to_ascii_lowercase)),
    ("string_replace_string_string", "(string).replace(string, string) -> string", replace),
    ("string_replace_string_string_int", "(string).replace(string, string, int) -> string", replace),
    ("string_split_string", "(string).split(string) -> list(string)", split),
    ("string_split_string_int", "(string).split(string, int) -> list(string)", split),
    ("string_substring_int", "(string).substring(int) -> string", substring),
    ("string_substring_int_int", "(string).substring(int, int) -> string", substring),
    ("string_trim", "(string).trim() -> string", |args| mapped(args, |text| text.trim().to_owned())),
    ("string_upper_ascii", "(string).upperAscii() -> string", |args| mapped(args, str::to_ascii_uppercase)),
    ("string_format", "(string).format(list(dyn)) -> string", format::format),
    ("strings_quote", "strings.quote(string) -> string", |args| mapped(args, quote)),
    ("list_join", "(list(string)).join() -> string", join),
    ("list_join_string", "(list(string)).join(string) -> string", join),
    ("string_jsonpatch_escapeKey_string", "jsonpatch.escapeKey(string) -> string", |args| {
        mapped(args, |text| text.replace('~', "~0").replace('/', "~1"))
    }),
];

fn mapped<'a>(args: &[Value<'a>], map: fn(&str) -> String) -> Outcome<'a> {
    let [Value::String(text)] = args else { return no_overload() };
    Ok(Value::text(map(text)))
}

fn out_of_range(index: i64) -> Failure {
    Failure::message(format!("index out of range: {index}"))
}

/// The byte offset of the character at a place, or of the end.
fn offset(text: &str, place: i64) -> Option<usize> {
    let place = usize::try_from(place).ok()?;
    match text.char_indices().nth(place) {
        Some((at, _)) => Some(at),
        None if text.chars().count() == place => Some(text.len()),
        None => None,
    }
}

fn place_of(text: &str, offset: usize) -> i64 {
    text[..offset].chars().count() as i64
}

fn char_at<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(text), Value::Int(place)] = args else { return no_overload() };
    let at = offset(text, *place).ok_or_else(|| out_of_range(*place))?;
    Ok(Value::text(text[at..].chars().next().map(String::from).unwrap_or_default()))
}

fn index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, part, from) = match args {
        [Value::String(text), Value::String(part)] => (text, part, 0),
        [Value::String(text), Value::String(part), Value::Int(from)] => (text, part, *from),
        _ => return no_overload(),
    };
    if part.is_empty() {
        return Ok(Value::Int(from));
    }
    if from < 0 {
        return Err(out_of_range(from));
    }
    let Some(start) = offset(text, from) else { return Ok(Value::Int(-1)) };
    Ok(Value::Int(text[start..].find(&**part).map_or(-1, |at| place_of(text, start + at))))
}

fn last_index_of<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, part, last) = match args {
        [Value::String(text), Value::String(part)] => (text, part, None),
        [Value::String(text), Value::String(part), Value::Int(last)] => (text, part, Some(*last)),
        _ => return no_overload(),
    };
    if part.is_empty() {
        return Ok(Value::Int(last.unwrap_or_else(|| text.chars().count() as i64)));
    }
    let end = match last {
        None => text.len(),
        Some(last) => {
            let start = offset(text, last).ok_or_else(|| out_of_range(last))?;
            // The last match begins there at most.
            let length = part.chars().count() as i64;
            offset(text, place_of(text, start) + length).unwrap_or(text.len())
        }
    };
    Ok(Value::Int(text[..end].rfind(&**part).map_or(-1, |at| place_of(text, at))))
}

fn replace<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, from, to, limit) = match args {
        [Value::String(text), Value::String(from), Value::String(to)] => (text, from, to, -1),
        [Value::String(text), Value::String(from), Value::String(to), Value::Int(limit)] => (text, from, to, *limit),
        _ => return no_overload(),
    };
    Ok(Value::text(match usize::try_from(limit) {
        Ok(limit) => text.replacen(&**from, to, limit),
        Err(_) => text.replace(&**from, to),
    }))
}

fn split<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, separator, limit) = match args {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => (text, separator, *limit),
        _ => return no_overload(),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 {
        return Ok(Value::list(Vec::new()));
    }
    let parts: Vec<Value<'a>> = if separator.is_empty() {
        let mut characters = text.chars();
        let mut parts: Vec<String> = characters.by_ref().take(limit - 1).map(String::from).collect();
        let rest = characters.as_str();
        if !rest.is_empty() {
            parts.push(rest.to_owned());
        }
        parts.into_iter().map(Value::text).collect()
    } else {
        text.splitn(limit, &**separator).map(Value::text).collect()
    };
    Ok(Value::list(parts))
}

fn substring<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (text, start, end) = match args {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return no_overload(),
    };
    if let Some(end) = end
        && start > end
    {
        return Err(Failure::message(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let from = offset(text, start).ok_or_else(|| out_of_range(start))?;
    let to = match end {
        None => text.len(),
        Some(end) => offset(text, end).ok_or_else(|| out_of_range(end))?,
    };
    Ok(match text {
        Text::Borrowed(text) => Value::String(Text::Borrowed(&text[from..to])),
        Text::Shared(text) => Value::text(&text[from..to]),
    })
}

fn join<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let (list, separator) = match args {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, &**separator),
        _ => return no_overload(),
    };
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        let item = item?;
        let Value::String(text) = &item else {
            return Err(Failure::message(format!("join: invalid input: {}", super::shown(&item))));
        };
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(text);
    }
    Ok(Value::text(joined))
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
