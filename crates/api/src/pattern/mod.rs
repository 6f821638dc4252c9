//! Regular expressions as Go reads them.
//!
//! [`Pattern`] holds the text and compiles it when it is first matched: a schema may have hundreds that no object ever
//! meets. [`translate`] says the same in the syntax of the `regex` crate, which matches in linear time as Go does;
//! the two differ in what `\d`, `\w`, `\s` and `\b` mean (ASCII in Go), in `\Q...\E`, and in how classes nest.
//! Upstream: Go's regexp/syntax.

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Memory one compiled expression may take.
const SIZE_LIMIT: usize = 32 << 20;
/// How often Go lets a part be repeated by a number.
const MAX_REPEAT: u32 = 1000;

/// A regular expression.
pub struct Pattern {
    text: Box<str>,
    compiled: OnceLock<Result<Box<Regex>, Error>>,
}

/// Why a text is no regular expression, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {0}")]
pub struct Error(String);

impl Pattern {
    /// Of a text, which is not looked at yet.
    pub fn new(text: &str) -> Pattern {
        Pattern { text: text.into(), compiled: OnceLock::new() }
    }

    /// The text it was made of.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Is there a match anywhere in the text?
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn matches(&self, text: &str) -> Result<bool, Error> {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).map(Box::new));
        compiled.as_ref().map(|regex| regex.is_match(text)).map_err(Clone::clone)
    }
}

impl std::fmt::Debug for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pattern({})", self.text)
    }
}

/// Compiles an expression of Go's.
///
/// # Errors
/// What Go says of it.
pub fn compile(pattern: &str) -> Result<Regex, Error> {
    let translated = translate(pattern)?;
    let built = RegexBuilder::new(&translated).size_limit(SIZE_LIMIT).build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => Error("expression nests too deeply or is too large".to_owned()),
        _ => Error(format!("invalid or unsupported syntax: `{pattern}`")),
    })
}

/// The same expression in the syntax of the `regex` crate.
///
/// # Errors
/// What Go says of it.
pub fn translate(pattern: &str) -> Result<String, Error> {
    let mut translator =
        Translator { rest: pattern, whole: pattern, out: String::with_capacity(pattern.len() + 8), open: 0 };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'a> {
    rest: &'a str,
    whole: &'a str,
    out: String,
    open: usize,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Error> {
        let mut repeatable = false;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\\' => {
                    if let Some(quoted) = self.rest.strip_prefix("\\Q") {
                        let (literal, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                        self.out.push_str(&regex::escape(literal));
                        self.rest = rest;
                    } else {
                        self.escape(false)?;
                    }
                    repeatable = true;
                }
                '[' => {
                    self.class()?;
                    repeatable = true;
                }
                '(' => {
                    self.open += usize::from(self.group()?);
                    repeatable = false;
                }
                ')' => {
                    if self.open == 0 {
                        return Err(Error(format!("unexpected ): `{}`", self.whole)));
                    }
                    self.open -= 1;
                    self.take(1);
                    repeatable = true;
                }
                '*' | '+' | '?' => {
                    let length = 1 + usize::from(self.rest[1..].starts_with('?'));
                    if !repeatable {
                        return Err(Error(format!(
                            "missing argument to repetition operator: `{}`",
                            &self.rest[..length]
                        )));
                    }
                    self.repetition(length)?;
                }
                '{' => match count(self.rest) {
                    Some(_) if !repeatable => {
                        let end = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
                        return Err(Error(format!("missing argument to repetition operator: `{}`", &self.rest[..end])));
                    }
                    Some((least, most, length)) => {
                        let ordered = most.is_none_or(|most| least <= most);
                        if least > MAX_REPEAT || most.is_some_and(|most| most > MAX_REPEAT) || !ordered {
                            return Err(Error(format!("invalid repeat count: `{}`", &self.rest[..length])));
                        }
                        let lazy = usize::from(self.rest[length..].starts_with('?'));
                        self.repetition(length + lazy)?;
                    }
                    // A brace that counts nothing is a character.
                    None => {
                        self.out.push_str("\\{");
                        self.rest = &self.rest[1..];
                        repeatable = true;
                    }
                },
                '|' => {
                    self.take(1);
                    repeatable = false;
                }
                '}' | ']' => {
                    self.out.push('\\');
                    self.take(1);
                    repeatable = true;
                }
                c => {
                    self.take(c.len_utf8());
                    repeatable = true;
                }
            }
        }
        if self.open > 0 { Err(Error(format!("missing closing ): `{}`", self.whole))) } else { Ok(()) }
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.out.push_str(taken);
        self.rest = rest;
    }

    /// One operator; a second one right behind it is an error.
    fn repetition(&mut self, length: usize) -> Result<(), Error> {
        let operator = &self.rest[..length];
        let next = &self.rest[length..];
        if next.starts_with(['*', '+', '?']) || count(next).is_some() {
            let end = match count(next) {
                Some((.., counted)) => counted,
                None => 1,
            };
            return Err(Error(format!("invalid nested repetition operator: `{operator}{}`", &next[..end])));
        }
        self.take(length);
        Ok(())
    }

    /// Whether a group was opened: flags alone open none.
    fn group(&mut self) -> Result<bool, Error> {
        let Some(rest) = self.rest.strip_prefix("(?") else {
            self.take(1);
            return Ok(true);
        };
        if rest.starts_with("P<") || (rest.starts_with('<') && !rest.starts_with("<=") && !rest.starts_with("<!")) {
            let Some(end) = rest.find('>') else {
                return Err(Error(format!("invalid named capture: `{}`", self.rest)));
            };
            self.take(2 + end + 1);
            return Ok(true);
        }
        let flags = rest.find([':', ')']).filter(|end| rest[..*end].chars().all(|c| "imsU-".contains(c)));
        let Some(end) = flags else {
            let shown: String = self.rest.chars().take(if rest.starts_with('<') { 4 } else { 3 }).collect();
            return Err(Error(format!("invalid or unsupported Perl syntax: `{shown}`")));
        };
        self.take(2 + end + 1);
        Ok(rest[end..].starts_with(':'))
    }

    /// An escape outside of classes, or inside of one.
    fn escape(&mut self, in_class: bool) -> Result<(), Error> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(Error("trailing backslash at end of expression: ``".to_owned()));
        };
        let ascii = match c {
            'd' => Some("[0-9]"),
            'D' => Some("[^0-9]"),
            'w' => Some("[0-9A-Za-z_]"),
            'W' => Some("[^0-9A-Za-z_]"),
            's' => Some("[\\t\\n\\f\\r ]"),
            'S' => Some("[^\\t\\n\\f\\r ]"),
            'b' if !in_class => Some("(?-u:\\b)"),
            'B' if !in_class => Some("(?-u:\\B)"),
            _ => None,
        };
        if let Some(ascii) = ascii {
            self.out.push_str(ascii);
            self.rest = &self.rest[2..];
            return Ok(());
        }
        match c {
            'A' | 'z' if !in_class => self.take(2),
            'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' => self.take(2),
            'p' | 'P' => {
                let length = match self.rest[2..].strip_prefix('{') {
                    Some(name) => 3 + name.find('}').map_or(name.len(), |end| end + 1),
                    None => 2 + self.rest[2..].chars().next().map_or(0, char::len_utf8),
                };
                self.take(length);
            }
            // Octal: `\0`, `\12`.
            '0'..='7' => {
                let digits = self.rest[1..].bytes().take(3).take_while(|byte| (b'0'..=b'7').contains(byte)).count();
                if c != '0' && digits == 1 {
                    return Err(Error(format!("invalid escape sequence: `\\{c}`")));
                }
                let value = u32::from_str_radix(&self.rest[1..=digits], 8).unwrap_or_default();
                self.out.push_str(&format!("\\x{{{value:x}}}"));
                self.rest = &self.rest[1 + digits..];
            }
            c if c.is_ascii_punctuation() => {
                // Some that Go escapes mean something else, or nothing, to the other engine.
                self.out.push_str(&if "<>".contains(c) { c.to_string() } else { format!("\\{c}") });
                self.rest = &self.rest[2..];
            }
            c => return Err(Error(format!("invalid escape sequence: `\\{c}`"))),
        }
        Ok(())
    }

    /// `[...]`: what nests or computes over there is a character here.
    fn class(&mut self) -> Result<(), Error> {
        let unclosed = Error(format!("missing closing ]: `{}`", self.rest));
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else { return Err(unclosed) };
            match c {
                ']' if !first => {
                    self.take(1);
                    return Ok(());
                }
                '[' if self.rest.starts_with("[:") && self.rest.contains(":]") => {
                    let end = self.rest.find(":]").map_or(1, |end| end + 2);
                    self.take(end);
                }
                '\\' => self.escape(true)?,
                ']' | '[' | '&' | '~' => {
                    self.out.push('\\');
                    self.take(1);
                }
                '-' => {
                    // A dash at an end is one; between two characters it is a range.
                    let at_end = first || self.rest[1..].starts_with(']');
                    self.out.push_str(if at_end { "\\-" } else { "-" });
                    self.rest = &self.rest[1..];
                }
                c => self.take(c.len_utf8()),
            }
            first = false;
        }
    }
}

/// `{n}`, `{n,}` or `{n,m}` at the beginning: the numbers and how long it is.
fn count(text: &str) -> Option<(u32, Option<u32>, usize)> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let number = |text: &str| -> Option<u32> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    };
    let (least, most) = match inner.split_once(',') {
        None => (number(inner)?, Some(number(inner)?)),
        Some((least, "")) => (number(least)?, None),
        Some((least, most)) => (number(least)?, Some(number(most)?)),
    };
    Some((least, most, inner.len() + 2))
}
