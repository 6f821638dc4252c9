//! Text to tokens.

use crate::source::Issue;

/// A token and where it lies in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Ident,
    /// A name of a field between backquotes.
    Escaped,
    Int,
    Uint,
    Float,
    String,
    Bytes,
    /// A keyword that is a literal or an operator: `true`, `false`, `null`, `in`.
    Keyword,
    Symbol,
    End,
}

const SYMBOLS: [&str; 24] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "-", "+", "*", "/", "%", "?", ":", "(", ")", "[", "]", "{", "}",
    ".", ",",
];

/// All tokens, the last of which is the end. What is no token is an issue.
pub(super) fn tokens(text: &str) -> (Vec<Token>, Vec<Issue>) {
    let mut tokens = Vec::new();
    let mut issues = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let skipped = blank(rest);
        if skipped > 0 {
            at += skipped;
            continue;
        }
        match token(rest) {
            Ok((kind, length)) => {
                tokens.push(Token { kind, start: at, end: at + length });
                at += length;
            }
            Err(length) => {
                let length = length.min(rest.len());
                let message = format!("Syntax error: token recognition error at: '{}'", &rest[..length]);
                issues.push(Issue::new(at, message));
                at += length;
            }
        }
    }
    tokens.push(Token { kind: TokenKind::End, start: text.len(), end: text.len() });
    (tokens, issues)
}

/// White space and comments of a text between tokens, without what is no token.
pub(super) fn hidden(mut rest: &str) -> String {
    let mut hidden = String::new();
    while !rest.is_empty() {
        let skipped = blank(rest);
        hidden.push_str(&rest[..skipped]);
        rest = &rest[skipped..];
        if skipped == 0 {
            let length = token(rest).map_or_else(|length| length, |(_, length)| length);
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    hidden
}

/// Length of the white space or comment the text begins with.
fn blank(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c)).count()
}

/// The first token and its length, or the length of what is none.
fn token(rest: &str) -> Result<(TokenKind, usize), usize> {
    let bytes = rest.as_bytes();
    let first = bytes[0];
    if let Some(quoted) = quoted(rest) {
        return quoted;
    }
    if first.is_ascii_alphabetic() || first == b'_' {
        let length = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let kind = match &rest[..length] {
            "true" | "false" | "null" | "in" => TokenKind::Keyword,
            _ => TokenKind::Ident,
        };
        return Ok((kind, length));
    }
    if first.is_ascii_digit() || (first == b'.' && bytes.get(1).is_some_and(u8::is_ascii_digit)) {
        return Ok(number(bytes));
    }
    if first == b'`' {
        return escaped(rest);
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((TokenKind::Symbol, symbol.len())),
        None => {
            let mut characters = rest.chars();
            let length = characters.next().map_or(1, char::len_utf8);
            // Half of a symbol: what stands where the other half should is read as well.
            let half = matches!(first, b'=' | b'&' | b'|');
            Err(length + characters.next().filter(|_| half).map_or(0, char::len_utf8))
        }
    }
}

/// A name between backquotes; what breaks it is gone, too.
fn escaped(rest: &str) -> Result<(TokenKind, usize), usize> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-/ ".contains(byte);
    let length = 1 + rest.bytes().skip(1).take_while(is_part).count();
    match rest[length..].chars().next() {
        Some('`') if length > 1 => Ok((TokenKind::Escaped, length + 1)),
        next => Err(length + next.map_or(0, char::len_utf8)),
    }
}

fn number(bytes: &[u8]) -> (TokenKind, usize) {
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = |length: usize| match bytes.get(length) {
        Some(b'u' | b'U') => (TokenKind::Uint, length + 1),
        _ => (TokenKind::Int, length),
    };
    if bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X')) {
        let hex = bytes[2..].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if hex > 0 {
            return unsigned(2 + hex);
        }
    }
    let mut length = digits(0);
    let mut float = false;
    if bytes.get(length) == Some(&b'.') && digits(length + 1) > 0 {
        length += 1 + digits(length + 1);
        float = true;
    }
    if matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let exponent = digits(length + 1 + sign);
        if exponent > 0 {
            length += 1 + sign + exponent;
            float = true;
        }
    }
    if float { (TokenKind::Float, length) } else { unsigned(length) }
}

/// The string or bytes literal the text begins with; None where it begins with something else.
fn quoted(rest: &str) -> Option<Result<(TokenKind, usize), usize>> {
    let bytes = rest.as_bytes();
    let mut prefix = 0;
    let mut kind = TokenKind::String;
    let mut raw = false;
    if matches!(bytes[0], b'b' | b'B') {
        kind = TokenKind::Bytes;
        prefix = 1;
    }
    if matches!(bytes.get(prefix), Some(b'r' | b'R')) {
        raw = true;
        prefix += 1;
    }
    let quote = *bytes.get(prefix)?;
    if quote != b'"' && quote != b'\'' {
        return None;
    }
    let triple = bytes[prefix..].starts_with(&[quote; 3]);
    let open = prefix + if triple { 3 } else { 1 };
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !raw => match escape(&bytes[at..]) {
                Some(length) => at += length,
                // `b` by itself is a name.
                None if prefix > 0 => return None,
                None => return Some(Err(boundary(rest, at + broken(&bytes[at..])))),
            },
            byte if byte == quote && (!triple || bytes[at..].starts_with(&[quote; 3])) => {
                return Some(Ok((kind, at + if triple { 3 } else { 1 })));
            }
            b'\n' | b'\r' if !triple => return (prefix == 0).then_some(Err(at + 1)),
            _ => at += 1,
        }
    }
    // Not closed. `''` at the very end opens a triple quote and is an empty string nonetheless.
    if triple { Some(Ok((kind, prefix + 2))) } else { (prefix == 0).then_some(Err(rest.len())) }
}

/// Length of the escape sequence the bytes begin with; None where it is none.
fn escape(bytes: &[u8]) -> Option<usize> {
    let hex = |count: usize| {
        let digits = bytes.get(2..2 + count)?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(2 + count)
    };
    match bytes.get(1)? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(2),
        b'x' | b'X' => hex(2),
        b'u' => hex(4),
        b'U' => hex(8),
        b'0'..=b'3' => bytes.get(1..4)?.iter().all(|byte| (b'0'..=b'7').contains(byte)).then_some(4),
        _ => None,
    }
}

/// Length of what is read of a broken escape sequence: up to the character that breaks it, which is gone, too.
fn broken(bytes: &[u8]) -> usize {
    let (digits, is_digit): (usize, fn(&u8) -> bool) = match bytes.get(1) {
        Some(b'x' | b'X') => (2, u8::is_ascii_hexdigit),
        Some(b'u') => (4, u8::is_ascii_hexdigit),
        Some(b'U') => (8, u8::is_ascii_hexdigit),
        Some(b'0'..=b'3') => (2, |byte| (b'0'..=b'7').contains(byte)),
        _ => return 2,
    };
    3 + bytes.iter().skip(2).take(digits).take_while(|byte| is_digit(byte)).count()
}

/// The first character boundary at or after an offset.
fn boundary(text: &str, mut at: usize) -> usize {
    while at < text.len() && !text.is_char_boundary(at) {
        at += 1;
    }
    at.min(text.len())
}
