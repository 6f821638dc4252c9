//! `"%s is %d".format([name, count])`: the clauses, and what can be said of them before anything is evaluated.
//!
//! Upstream: cel-go ext/formatting.go (the formatting of strings version 2).

use std::fmt::Write;

use super::{Outcome, no_overload, to_text};
use crate::eval::Failure;
use crate::source::Issue;
use crate::types::Type;
use crate::value::{List, Map, Value};

/// Digits after the point where none are asked for.
const PRECISION: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Clause {
    String,
    Decimal,
    Fixed(usize),
    Scientific,
    Binary,
    Hex { upper: bool },
    Octal,
}

/// A piece of a format.
enum Piece<'f> {
    Text(&'f str),
    Clause(Clause),
}

/// Reads a format; the error is upstream's.
fn pieces(format: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            pieces.push(Piece::Text(&rest[..at]));
        }
        let after = &rest[at + 1..];
        if after.is_empty() {
            return Err("unexpected end of string".to_owned());
        }
        if let Some(escaped) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%"));
            rest = escaped;
            continue;
        }
        let (clause, length) = clause(after).map_err(|why| format!("could not parse formatting clause: {why}"))?;
        pieces.push(Piece::Clause(clause));
        rest = &after[length..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

fn clause(text: &str) -> Result<(Clause, usize), String> {
    let mut length = 0;
    let mut precision = PRECISION;
    if let Some(digits) = text.strip_prefix('.') {
        let count = digits.bytes().take_while(u8::is_ascii_digit).count();
        precision = digits[..count].parse().map_err(|_| {
            format!(
                "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing \"{}\": invalid syntax",
                &digits[..count]
            )
        })?;
        length = 1 + count;
    }
    let Some(verb) = text[length..].chars().next() else { return Err("unexpected end of string".to_owned()) };
    let clause = match verb {
        's' => Clause::String,
        'd' => Clause::Decimal,
        'f' => Clause::Fixed(precision.min(1000)),
        // Upstream reads a precision here and does not use it.
        'e' => Clause::Scientific,
        'b' => Clause::Binary,
        'x' => Clause::Hex { upper: false },
        'X' => Clause::Hex { upper: true },
        'o' => Clause::Octal,
        other => return Err(format!("unrecognized formatting clause \"{other}\"")),
    };
    Ok((clause, length + verb.len_utf8()))
}

/// `text.format(list)`
pub(super) fn format<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::String(format), Value::List(list)] = args else { return no_overload() };
    let mut written = String::new();
    let mut next = 0;
    for piece in pieces(format).map_err(Failure::message)? {
        match piece {
            Piece::Text(text) => written.push_str(text),
            Piece::Clause(clause) => {
                let Some(value) = list.get(next) else {
                    return Err(Failure::message(format!("index {next} out of range")));
                };
                next += 1;
                let text = formatted(clause, &value?);
                let text = text.map_err(|why| Failure::message(format!("error during formatting: {why}")))?;
                written.push_str(&text);
            }
        }
    }
    if next < list.len() {
        let (expected, got) = (next, list.len());
        let message = format!("too many arguments supplied to string.format (expected {expected}, got {got})");
        return Err(Failure::message(message));
    }
    Ok(Value::text(written))
}

/// What is wrong with a format and the types of its arguments. Upstream: ext.stringFormatValidator.
pub(crate) fn check_format(format: &str, at: usize, arguments: &[(usize, &Type)]) -> Vec<Issue> {
    let pieces = match pieces(format) {
        Ok(pieces) => pieces,
        Err(why) => return vec![Issue::new(at, why)],
    };
    let clauses: Vec<Clause> = pieces
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Clause(clause) => Some(clause),
            Piece::Text(_) => None,
        })
        .collect();
    let mut issues = Vec::new();
    for (index, clause) in clauses.iter().enumerate() {
        match arguments.get(index) {
            None => return vec![Issue::new(at, format!("index {index} out of range"))],
            Some((place, of)) => {
                if let Some(why) = refuses(*clause, of) {
                    issues.push(Issue::new(*place, format!("error during formatting: {why}")));
                    return issues;
                }
            }
        }
    }
    if arguments.len() > clauses.len() {
        let (expected, got) = (clauses.len(), arguments.len());
        let message = format!("too many arguments supplied to string.format (expected {expected}, got {got})");
        issues.push(Issue::new(at, message));
    }
    issues
}

/// Why a clause cannot show a type; None where it can or where that is not known.
fn refuses(clause: Clause, of: &Type) -> Option<String> {
    let name = of.runtime_name();
    if matches!(of, Type::Dyn | Type::Param(_)) {
        return None;
    }
    let allowed = match clause {
        Clause::String => matches!(
            of,
            Type::List(_)
                | Type::Map(..)
                | Type::Int
                | Type::Uint
                | Type::Double
                | Type::Bool
                | Type::String
                | Type::Timestamp
                | Type::Bytes
                | Type::Duration
                | Type::Type(_)
                | Type::Null
        ),
        Clause::Decimal | Clause::Octal => matches!(of, Type::Int | Type::Uint),
        Clause::Fixed(_) | Clause::Scientific => matches!(of, Type::Double),
        Clause::Binary => matches!(of, Type::Int | Type::Uint | Type::Bool),
        Clause::Hex { .. } => matches!(of, Type::Int | Type::Uint | Type::String | Type::Bytes),
    };
    if allowed { None } else { Some(refusal(clause, name)) }
}

fn refusal(clause: Clause, given: &str) -> String {
    let rule = match clause {
        Clause::String => {
            "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
        }
        Clause::Decimal => "decimal clause can only be used on integers",
        Clause::Fixed(_) => "fixed-point clause can only be used on doubles",
        Clause::Scientific => "scientific clause can only be used on doubles",
        Clause::Binary => "only integers and bools can be formatted as binary",
        Clause::Hex { .. } => "only integers, byte buffers, and strings can be formatted as hex",
        Clause::Octal => "octal clause can only be used on integers",
    };
    format!("{rule}, was given {given}")
}

fn formatted(clause: Clause, value: &Value<'_>) -> Result<String, String> {
    let refused = || Err(refusal(clause, value.type_name()));
    Ok(match (clause, value) {
        (Clause::String, _) => return text(value).map_or_else(refused, Ok),
        (Clause::Decimal, Value::Int(number)) => number.to_string(),
        (Clause::Decimal, Value::Uint(number)) => number.to_string(),
        (Clause::Fixed(precision), Value::Double(number)) => fixed(*number, precision),
        (Clause::Scientific, Value::Double(number)) => scientific(*number),
        (Clause::Binary, Value::Int(number)) => signed(*number, |magnitude| format!("{magnitude:b}")),
        (Clause::Binary, Value::Uint(number)) => format!("{number:b}"),
        (Clause::Binary, Value::Bool(value)) => u8::from(*value).to_string(),
        (Clause::Octal, Value::Int(number)) => signed(*number, |magnitude| format!("{magnitude:o}")),
        (Clause::Octal, Value::Uint(number)) => format!("{number:o}"),
        (Clause::Hex { upper }, Value::Int(number)) => {
            cased(upper, signed(*number, |magnitude| format!("{magnitude:x}")))
        }
        (Clause::Hex { upper }, Value::Uint(number)) => cased(upper, format!("{number:x}")),
        (Clause::Hex { upper }, Value::String(text)) => cased(upper, hex(text.as_bytes())),
        (Clause::Hex { upper }, Value::Bytes(bytes)) => cased(upper, hex(bytes)),
        _ => return refused(),
    })
}

fn cased(upper: bool, text: String) -> String {
    if upper { text.to_uppercase() } else { text }
}

fn signed(number: i64, digits: fn(u64) -> String) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", digits(number.unsigned_abs()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn special(number: f64) -> Option<String> {
    match number {
        _ if number.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("∞".to_owned()),
        f64::NEG_INFINITY => Some("-∞".to_owned()),
        _ => None,
    }
}

/// With commas between thousands, as English has them.
fn fixed(number: f64, precision: usize) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let text = format!("{number:.precision$}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let (whole, fraction) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{fraction}")
}

/// `1.234500×10⁰³`
fn scientific(number: f64) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let text = format!("{number:.PRECISION$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { "⁻" } else { "" };
    let raised: String = format!("{:02}", exponent.abs())
        .chars()
        .map(|digit| match digit {
            '0' => '⁰',
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            _ => '⁹',
        })
        .collect();
    format!("{digits}×10{sign}{raised}")
}

/// A value under `%s`; None where it has no text.
fn text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::List(list) => list_text(list),
        Value::Map(map) => map_text(map),
        Value::Ip(_) | Value::Cidr(_) => None,
        _ => to_text(value),
    }
}

fn list_text(list: &List<'_>) -> Option<String> {
    let items: Option<Vec<String>> = list.values().ok()?.iter().map(inner_text).collect();
    Some(format!("[{}]", items?.join(", ")))
}

fn map_text(map: &Map<'_>) -> Option<String> {
    let mut entries = Vec::with_capacity(map.len());
    for key in map.keys() {
        let value = map.get(&key)?.ok()?;
        entries.push((inner_text(&key)?, inner_text(&value)?));
    }
    entries.sort();
    let entries: Vec<String> = entries.into_iter().map(|(key, value)| format!("{key}:{value}")).collect();
    Some(format!("{{{}}}", entries.join(", ")))
}

/// A value inside a list or map, as it could be written in an expression.
fn inner_text(value: &Value<'_>) -> Option<String> {
    match value {
        Value::String(text) => Some(api::go_text::quote(text)),
        Value::Bytes(_) => Some(format!("b{}", api::go_text::quote(&to_text(value)?))),
        Value::Double(number) if number.is_finite() => Some(format!("{number:.PRECISION$}")),
        Value::Double(_) => Some(api::go_text::quote(&to_text(value)?)),
        Value::Timestamp(_) => Some(format!("timestamp({})", api::go_text::quote(&to_text(value)?))),
        Value::Duration(_) => Some(format!("duration({})", api::go_text::quote(&to_text(value)?))),
        Value::Type(name) => Some(format!("type({name})")),
        _ => text(value),
    }
}
