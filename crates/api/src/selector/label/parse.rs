//! The string form.
//!
//! ```text
//! selector    = [ requirement { "," requirement } [ "," ] ]      (a final comma is an error)
//! requirement = "!" key | key [ ("=" | "==" | "!=" | ">" | "<") [ value ] | ("in" | "notin") "(" values ")" ]
//! values      = [ value ] { "," [ value ] }
//! ```
//! `in` and `notin` are operators after a key and plain values elsewhere. A byte 0 ends the text, as upstream.

use super::requirement::invalid_key;
use super::{Error, Operator, Requirement};
use crate::field::Path;
use std::collections::BTreeSet;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    End,
    Symbol,
    /// A word that is neither `in` nor `notin`.
    Word,
    /// `in` or `notin`.
    Keyword,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
}

impl<'a> Token<'a> {
    fn is(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// A word where a value may stand; keywords count.
    fn is_word(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Keyword)
    }

    fn unexpected(&self, expected: &'static str) -> Error {
        Error::Unexpected { found: self.text.to_owned(), expected }
    }
}

struct Parser<'a> {
    rest: &'a str,
    next: Token<'a>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, Error> {
    let text = text.split('\0').next().unwrap_or_default();
    let mut parser = Parser { rest: text, next: Token { kind: Kind::End, text: "" } };
    parser.advance();
    let mut requirements = Vec::new();
    loop {
        let token = parser.next;
        if token.kind == Kind::End {
            return Ok(requirements);
        }
        if !token.is_word() && !token.is("!") {
            return Err(token.unexpected("!, identifier, or 'end of string'"));
        }
        let requirement = parser.requirement().map_err(|error| Error::Requirement(Box::new(error)))?;
        requirements.push(requirement);
        let token = parser.take();
        if token.kind == Kind::End {
            return Ok(requirements);
        }
        if !token.is(",") {
            return Err(token.unexpected("',' or 'end of string'"));
        }
        if !parser.next.is_word() && !parser.next.is("!") {
            return Err(parser.next.unexpected("identifier after ','"));
        }
    }
}

impl<'a> Parser<'a> {
    fn requirement(&mut self) -> Result<Requirement, Error> {
        let absent = self.next.is("!");
        if absent {
            self.take();
        }
        let key = self.take();
        if !key.is_word() {
            return Err(key.unexpected("identifier"));
        }
        let path = Path::nil();
        if let Some(error) = invalid_key(key.text, &path) {
            return Err(Error::Invalid(error.to_string()));
        }
        if absent {
            return Requirement::new(key.text, Operator::DoesNotExist, Vec::new(), &path);
        }
        if self.next.kind == Kind::End || self.next.is(",") {
            return Requirement::new(key.text, Operator::Exists, Vec::new(), &path);
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.value()?],
        };
        Requirement::new(key.text, operator, values, &path)
    }

    fn operator(&mut self) -> Result<Operator, Error> {
        let token = self.take();
        Ok(match token.text {
            "in" => Operator::In,
            "notin" => Operator::NotIn,
            "=" => Operator::Equals,
            "==" => Operator::DoubleEquals,
            "!=" => Operator::NotEquals,
            ">" => Operator::GreaterThan,
            "<" => Operator::LessThan,
            _ => return Err(token.unexpected(OPERATORS)),
        })
    }

    /// One value; may be missing.
    fn value(&mut self) -> Result<String, Error> {
        if self.next.kind == Kind::End || self.next.is(",") {
            return Ok(String::new());
        }
        let token = self.take();
        if token.is_word() { Ok(token.text.to_owned()) } else { Err(token.unexpected("identifier")) }
    }

    /// `(` values `)`: a set, sorted. Between commas and parentheses nothing stands for the empty value.
    fn values(&mut self) -> Result<Vec<String>, Error> {
        let open = self.take();
        if !open.is("(") {
            return Err(Error::NoParenthesis(open.text.to_owned()));
        }
        if !self.next.is_word() && !self.next.is(",") && !self.next.is(")") {
            return Err(self.next.unexpected("',', ')' or identifier"));
        }
        let mut values = BTreeSet::new();
        let mut value_due = true;
        loop {
            let token = self.take();
            if token.is_word() {
                values.insert(token.text.to_owned());
                value_due = false;
                if !self.next.is(",") && !self.next.is(")") {
                    return Err(self.next.unexpected("',' or ')'"));
                }
            } else if token.is(",") {
                if value_due {
                    values.insert(String::new());
                }
                value_due = true;
            } else if token.is(")") {
                if value_due {
                    values.insert(String::new());
                }
                return Ok(values.into_iter().collect());
            } else {
                return Err(token.unexpected("',', or identifier"));
            }
        }
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.next;
        self.advance();
        token
    }

    fn advance(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let bytes = self.rest.as_bytes();
        let Some(first) = bytes.first() else {
            self.next = Token { kind: Kind::End, text: "" };
            return;
        };
        let (kind, length) = if is_symbol(*first) {
            // "==" and "!=" are the only symbols of two characters, and each character alone is a symbol.
            (Kind::Symbol, if matches!(bytes, [b'=' | b'!', b'=', ..]) { 2 } else { 1 })
        } else {
            let length = bytes.iter().position(|b| is_symbol(*b) || b" \t\r\n".contains(b)).unwrap_or(bytes.len());
            let kind = if matches!(&self.rest[..length], "in" | "notin") { Kind::Keyword } else { Kind::Word };
            (kind, length)
        };
        let (text, rest) = self.rest.split_at(length);
        self.next = Token { kind, text };
        self.rest = rest;
    }
}

fn is_symbol(b: u8) -> bool {
    b"=!(),><".contains(&b)
}
