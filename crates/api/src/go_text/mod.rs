//! Values written the way Go writes them, because clients see and match these texts: `%q`, `%v` of a float, `json.Marshal`.
//!
//! A few functions, no state. Never used to store objects: the wire encoders have their own writer.

use json::Value;
use std::fmt::Write;

/// Quotes a string as `%q` does. Upstream: strconv.Quote.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            ' '..='~' => out.push(c),
            c if (c as u32) < 0x80 => push(&mut out, format_args!("\\x{:02x}", c as u32)),
            c if is_print(c) => out.push(c),
            c if (c as u32) < 0x10000 => push(&mut out, format_args!("\\u{:04x}", c as u32)),
            c => push(&mut out, format_args!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}

/// Marshals a value as `json.Marshal` does: no spaces, and `<`, `>`, `&`, U+2028 and U+2029 escaped.
///
/// The order of keys is the value's own: for structs that is the declared order, which decoding keeps.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(&mut out, value);
    out
}

/// Marshals a string alone as `json.Marshal` does.
pub fn json_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_json_string(&mut out, text);
    out
}

/// Prints a float as `%v` does: the shortest digits, an exponent below 1e-4 and from 1e21 on.
pub fn float(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) { exponent(value, 2) } else { format!("{value}") }
}

/// Prints a decoded JSON value as `%v` does: `map[a:1 b:[x y]]`, keys sorted, strings bare, null as `<nil>`.
pub fn percent_v(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) if n.is_f64() => n.as_f64().map(float).unwrap_or_default(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => s.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(percent_v).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut fields: Vec<(&json::Text, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let fields: Vec<String> =
                fields.into_iter().map(|(key, item)| format!("{key}:{}", percent_v(item))).collect();
            format!("map[{}]", fields.join(" "))
        }
    }
}

/// Prints a decoded JSON value as `%#v` does: `map[string]interface {}{"a":1}`, keys sorted, strings quoted.
pub fn percent_sharp_v(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::String(text) => quote(text),
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(percent_sharp_v).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let mut fields: Vec<(&json::Text, &Value)> = fields.iter().collect();
            fields.sort_unstable_by_key(|(key, _)| *key);
            let fields: Vec<String> =
                fields.into_iter().map(|(key, item)| format!("{}:{}", quote(key), percent_sharp_v(item))).collect();
            format!("map[string]interface {{}}{{{}}}", fields.join(", "))
        }
        scalar => percent_v(scalar),
    }
}

/// The Go type a decoded JSON value has, as reflection prints it.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), _, _) => push(out, format_args!("{i}")),
            (_, Some(u), _) => push(out, format_args!("{u}")),
            (_, _, Some(f)) if f != 0.0 && !(1e-6..1e21).contains(&f.abs()) => out.push_str(&exponent(f, 1)),
            (_, _, Some(f)) => push(out, format_args!("{f}")),
            _ => push(out, format_args!("{n}")),
        },
        Value::String(s) => write_json_string(out, s),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (i, (key, item)) in fields.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_string(out, key);
                out.push(':');
                write_json(out, item);
            }
            out.push('}');
        }
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') => {
                push(out, format_args!("\\u{:04x}", c as u32));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Mantissa and exponent with a sign and at least `digits` exponent digits (`1e-05`, `1e+21`).
fn exponent(value: f64, digits: usize) -> String {
    let text = format!("{value:e}");
    let (mantissa, exp) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exp) = exp.strip_prefix('-').map_or(('+', exp), |rest| ('-', rest));
    format!("{mantissa}e{sign}{exp:0>digits$}")
}

/// Whether Go counts a character as printable (letters, marks, numbers, punctuation, symbols, the space of ASCII).
pub fn is_print(c: char) -> bool {
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    // After a letter, escape_debug escapes only what is not printable; the unprintable classes are the same as Go's.
    let mut text = [b'a', 0, 0, 0, 0];
    let length = c.encode_utf8(&mut text[1..]).len();
    std::str::from_utf8(&text[..=length]).is_ok_and(|s| !s.escape_debug().any(|c| c == '\\'))
}

fn push(out: &mut String, args: std::fmt::Arguments<'_>) {
    out.write_fmt(args).expect("a String takes every write");
}

#[cfg(test)]
mod tests;
