//! The values of literals. Upstream: cel-go parser.unescape, parser.visit*Literal.

use super::Literal;
use super::lexer::TokenKind;

/// The value of a literal's token, with the sign before it where there is one.
pub(super) fn value(kind: TokenKind, text: &str, negative: bool) -> Result<Literal, &'static str> {
    match kind {
        TokenKind::Int => integer(text, negative).map(Literal::Int).ok_or("invalid int literal"),
        TokenKind::Uint => {
            let digits = &text[..text.len() - 1];
            let value = match hex_digits(digits) {
                Some(hex) => u64::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            value.map(Literal::Uint).map_err(|_| "invalid uint literal")
        }
        TokenKind::Float => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Literal::Double(if negative { -value } else { value })),
            _ => Err("invalid double literal"),
        },
        TokenKind::String => unquote(text, false)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Literal::String)
            .ok_or("unable to unescape string"),
        TokenKind::Bytes => unquote(&text[1..], true).map(Literal::Bytes).ok_or("unable to unescape string"),
        _ => match text {
            "true" => Ok(Literal::Bool(true)),
            "false" => Ok(Literal::Bool(false)),
            _ => Ok(Literal::Null),
        },
    }
}

fn hex_digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

fn integer(text: &str, negative: bool) -> Option<i64> {
    let magnitude = match hex_digits(text) {
        Some(hex) => i128::from_str_radix(hex, 16).ok()?,
        None => text.parse::<i128>().ok()?,
    };
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// The bytes between the quotes, escapes resolved. Code points may not be written in bytes literals.
fn unquote(text: &str, bytes: bool) -> Option<Vec<u8>> {
    let (raw, text) = match text.strip_prefix(['r', 'R']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let quotes = if text.len() >= 6 && (text.starts_with("\"\"\"") || text.starts_with("'''")) { 3 } else { 1 };
    let mut rest = &text[quotes..text.len() - quotes];
    let mut out = Vec::with_capacity(rest.len());
    while let Some(character) = rest.chars().next() {
        if character == '\\' && !raw {
            let (written, length) = unescape(rest, bytes)?;
            out.extend_from_slice(&written);
            rest = &rest[length..];
            continue;
        }
        rest = &rest[character.len_utf8()..];
        if character == '\r' {
            // Line ends are one thing, however they are written.
            rest = rest.strip_prefix('\n').unwrap_or(rest);
            out.push(b'\n');
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Some(out)
}

/// What the escape sequence at the beginning stands for, and its length.
fn unescape(text: &str, bytes: bool) -> Option<(Vec<u8>, usize)> {
    let code = text.as_bytes().get(1)?;
    let simple = |byte: u8| Some((vec![byte], 2));
    let number = |from: usize, count: usize, radix: u32| -> Option<(Vec<u8>, usize)> {
        let value = u32::from_str_radix(text.get(from..from + count)?, radix).ok()?;
        let written =
            if bytes { vec![u8::try_from(value).ok()?] } else { char::from_u32(value)?.to_string().into_bytes() };
        Some((written, from + count))
    };
    match code {
        b'a' => simple(0x07),
        b'b' => simple(0x08),
        b'f' => simple(0x0c),
        b'n' => simple(b'\n'),
        b'r' => simple(b'\r'),
        b't' => simple(b'\t'),
        b'v' => simple(0x0b),
        b'\\' | b'\'' | b'"' | b'`' | b'?' => simple(*code),
        b'x' | b'X' => number(2, 2, 16),
        b'u' if !bytes => number(2, 4, 16),
        b'U' if !bytes => number(2, 8, 16),
        b'0'..=b'3' => number(1, 3, 8),
        _ => None,
    }
}
