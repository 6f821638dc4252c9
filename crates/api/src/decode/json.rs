//! JSON bytes into a [`Node`], with Go's syntax errors.
//!
//! [`parse`] is the fast way; when it stumbles, [`syntax_error`] scans again from the start and says what Go's
//! scanner says. Upstream: `sigs.k8s.io/json`.

use std::borrow::Cow;

use super::node::{MAX_DEPTH, Node};

/// The bytes are no JSON; the reason is told by [`syntax_error`].
#[derive(Debug)]
pub(crate) struct Malformed;

/// Parses one document.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Malformed> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    let node = parser.value(0)?;
    parser.space();
    if parser.at == text.len() { Ok(node) } else { Err(Malformed) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, expected: u8) -> Result<(), Malformed> {
        if self.peek() != Some(expected) {
            return Err(Malformed);
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        match self.peek().ok_or(Malformed)? {
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => Ok(Node::String(self.string()?)),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, node: Node<'a>) -> Result<Node<'a>, Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(node)
    }

    fn object(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        self.open(depth)?;
        let mut members = Vec::new();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Node::Object(members));
        }
        loop {
            let key = self.string()?;
            self.space();
            self.take(b':')?;
            self.space();
            members.push((key, self.value(depth)?));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break self.at += 1,
                _ => return Err(Malformed),
            }
            self.space();
        }
        Ok(Node::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Node<'a>, Malformed> {
        self.open(depth)?;
        let mut items = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Node::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break self.at += 1,
                _ => return Err(Malformed),
            }
            self.space();
        }
        Ok(Node::Array(items))
    }

    /// Steps over the bracket.
    fn open(&mut self, depth: usize) -> Result<(), Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed);
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    fn number(&mut self) -> Result<Node<'a>, Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return Err(Malformed),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Node::Number(Cow::Borrowed(&self.text[start..self.at])))
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Malformed) } else { Ok(()) }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    self.at += 1;
                    return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
                }
                b'\\' => return self.escaped(start).map(Cow::Owned),
                0..0x20 => return Err(Malformed),
                _ => self.at += 1,
            }
        }
    }

    /// The rest of a string that holds an escape.
    fn escaped(&mut self, start: usize) -> Result<String, Malformed> {
        let mut out = String::from(&self.text[start..self.at]);
        let mut plain = self.at;
        loop {
            match self.peek().ok_or(Malformed)? {
                b'"' => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    return Ok(out);
                }
                b'\\' => {
                    out.push_str(&self.text[plain..self.at]);
                    self.at += 1;
                    out.push(self.escape()?);
                    plain = self.at;
                }
                0..0x20 => return Err(Malformed),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let code = self.peek().ok_or(Malformed)?;
        self.at += 1;
        Ok(match code {
            b'"' | b'\\' | b'/' => char::from(code),
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hexadecimal()?;
                self.surrogate(high)
            }
            _ => return Err(Malformed),
        })
    }

    fn hexadecimal(&mut self) -> Result<u32, Malformed> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).ok_or(Malformed)?;
        let mut code = 0;
        for digit in digits {
            code = code * 16 + char::from(*digit).to_digit(16).ok_or(Malformed)?;
        }
        self.at += 4;
        Ok(code)
    }

    /// Joins a pair; half a pair becomes the replacement character.
    fn surrogate(&mut self, high: u32) -> char {
        if let Some(plain) = char::from_u32(high) {
            return plain;
        }
        let start = self.at;
        if high < 0xdc00 && self.text.as_bytes()[self.at..].starts_with(b"\\u") {
            self.at += 2;
            if let Ok(low @ 0xdc00..0xe000) = self.hexadecimal() {
                let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            }
            self.at = start;
        }
        char::REPLACEMENT_CHARACTER
    }
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Key,
    Member,
    Element,
}

/// What the scanner waits for.
#[derive(Clone, Copy, PartialEq)]
enum Wants {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    AfterValue,
}

/// The complaint of Go's scanner about bytes that are no JSON. Upstream: json.checkValid.
pub(crate) fn syntax_error(bytes: &[u8]) -> String {
    scan(bytes).unwrap_or_else(|| "unexpected end of JSON input".to_owned())
}

/// None when the bytes end too early.
fn scan(bytes: &[u8]) -> Option<String> {
    let mut stack: Vec<Inside> = Vec::new();
    let mut wants = Wants::Value;
    let mut at = 0;
    loop {
        let byte = *bytes.get(at)?;
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
            continue;
        }
        let fail = |context: &str| Some(complaint(byte, context));
        match wants {
            Wants::KeyOrEnd if byte == b'}' => {
                stack.pop();
                wants = Wants::AfterValue;
                at += 1;
            }
            Wants::ValueOrEnd if byte == b']' => {
                stack.pop();
                wants = Wants::AfterValue;
                at += 1;
            }
            Wants::Key | Wants::KeyOrEnd => {
                if byte != b'"' {
                    return fail("looking for beginning of object key string");
                }
                at = match scan_string(bytes, at) {
                    Ok(next) => next,
                    Err(complaint) => return complaint,
                };
                wants = Wants::AfterValue;
            }
            Wants::Value | Wants::ValueOrEnd => {
                if matches!(byte, b'{' | b'[') {
                    if stack.len() >= MAX_DEPTH {
                        return fail("exceeded max depth");
                    }
                    let object = byte == b'{';
                    stack.push(if object { Inside::Key } else { Inside::Element });
                    wants = if object { Wants::KeyOrEnd } else { Wants::ValueOrEnd };
                    at += 1;
                    continue;
                }
                at = match scan_scalar(bytes, at) {
                    Ok(next) => next,
                    Err(complaint) => return complaint,
                };
                wants = Wants::AfterValue;
            }
            Wants::AfterValue => {
                at += 1;
                wants = match (stack.last().copied(), byte) {
                    (None, _) => return fail("after top-level value"),
                    (Some(Inside::Key), b':') => {
                        stack.pop();
                        stack.push(Inside::Member);
                        Wants::Value
                    }
                    (Some(Inside::Key), _) => return fail("after object key"),
                    (Some(Inside::Member), b',') => {
                        stack.pop();
                        stack.push(Inside::Key);
                        Wants::Key
                    }
                    (Some(Inside::Element), b',') => Wants::Value,
                    (Some(Inside::Member), b'}') | (Some(Inside::Element), b']') => {
                        stack.pop();
                        Wants::AfterValue
                    }
                    (Some(Inside::Member), _) => return fail("after object key:value pair"),
                    (Some(Inside::Element), _) => return fail("after array element"),
                };
            }
        }
    }
}

fn scan_scalar(bytes: &[u8], at: usize) -> Result<usize, Option<String>> {
    match bytes[at] {
        b'"' => scan_string(bytes, at),
        b't' => scan_word(bytes, at, "true"),
        b'f' => scan_word(bytes, at, "false"),
        b'n' => scan_word(bytes, at, "null"),
        b'-' | b'0'..=b'9' => scan_number(bytes, at),
        other => Err(Some(complaint(other, "looking for beginning of value"))),
    }
}

fn scan_word(bytes: &[u8], at: usize, word: &str) -> Result<usize, Option<String>> {
    for (offset, expected) in word.bytes().enumerate().skip(1) {
        let found = *bytes.get(at + offset).ok_or(None)?;
        if found != expected {
            let context = format!("in literal {word} (expecting '{}')", char::from(expected));
            return Err(Some(complaint(found, &context)));
        }
    }
    Ok(at + word.len())
}

fn scan_number(bytes: &[u8], mut at: usize) -> Result<usize, Option<String>> {
    let digits = |mut at: usize, context: &str| {
        let first = *bytes.get(at).ok_or(None)?;
        if !first.is_ascii_digit() {
            return Err(Some(complaint(first, context)));
        }
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        Ok(at)
    };
    if bytes[at] == b'-' {
        at += 1;
    }
    at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at, "in numeric literal")? };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1, "after decimal point in numeric literal")?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(at, "in exponent of numeric literal")?;
    }
    Ok(at)
}

fn scan_string(bytes: &[u8], at: usize) -> Result<usize, Option<String>> {
    let mut at = at + 1;
    loop {
        match *bytes.get(at).ok_or(None)? {
            b'"' => return Ok(at + 1),
            b'\\' => {
                at += 1;
                match *bytes.get(at).ok_or(None)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                    b'u' => {
                        for _ in 0..4 {
                            at += 1;
                            let digit = *bytes.get(at).ok_or(None)?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(Some(complaint(digit, "in \\u hexadecimal character escape")));
                            }
                        }
                    }
                    other => return Err(Some(complaint(other, "in string escape code"))),
                }
            }
            control @ 0..0x20 => return Err(Some(complaint(control, "in string literal"))),
            _ => {}
        }
        at += 1;
    }
}

fn complaint(byte: u8, context: &str) -> String {
    let quoted = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let text = crate::go_text::quote(char::from(other).encode_utf8(&mut [0; 4]));
            format!("'{}'", &text[1..text.len() - 1])
        }
    };
    format!("invalid character {quoted} {context}")
}
