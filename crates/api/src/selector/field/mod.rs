//! Field selectors: `metadata.name=a,status.phase!=Running`.
//!
//! [`Selector::parse`] reads the text, [`Selector::convert`] checks its fields against what a kind supports
//! ([`Supported`], the table in `supported.rs`), and [`Selector::matches`] looks values up through a function, so that the
//! caller may keep them wherever it likes. A field an object lacks counts as empty.
//!
//! Upstream: k8s.io/apimachinery/pkg/fields and the kinds' AddFieldLabelConversionFunc.

mod supported;

pub use supported::{Supported, fields_in, fields_of};

use std::borrow::Cow;
use std::fmt;

/// Why a selector was refused; a request answers 400 with this text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A term has no operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    NoOperator {
        /// The whole text.
        selector: String,
        /// The term.
        term: String,
    },
    /// A backslash before anything but `\`, `,` and `=`.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// A bare `=` in a value; printed as a number, as upstream.
    #[error("invalid field selector: unescaped character in value: {}", *.0 as u32)]
    Unescaped(char),
    /// The kind cannot be selected by this field.
    #[error("{0}")]
    NotSupported(String),
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Field, as `metadata.name`.
    pub field: String,
    /// Whether the field must equal the value, or must not.
    pub equal: bool,
    /// The value, unescaped.
    pub value: String,
}

/// Comparisons that must all hold; with none it matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    terms: Vec<Term>,
}

impl Selector {
    /// Reads the string form. Upstream: fields.ParseSelector.
    pub fn parse(text: &str) -> Result<Selector, Error> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let term = |part: &str| {
            let (field, equal, value) = split_term(part)
                .ok_or_else(|| Error::NoOperator { selector: text.to_owned(), term: part.to_owned() })?;
            Ok(Term { field: field.to_owned(), equal, value: unescape(value)?.into_owned() })
        };
        let mut terms = parts.map(term).collect::<Result<Vec<_>, _>>()?;
        // Upstream drops a comparison of nothing with nothing, whichever the operator.
        terms.retain(|term| !(term.field.is_empty() && term.value.is_empty()));
        Ok(Selector { terms })
    }

    /// Exactly this value of a field.
    pub fn equal(field: impl Into<String>, value: impl Into<String>) -> Selector {
        Selector { terms: vec![Term { field: field.into(), equal: true, value: value.into() }] }
    }

    /// Checks that the kind supports each field and puts its own name for it in place.
    pub fn convert(mut self, supported: &Supported) -> Result<Selector, Error> {
        for term in &mut self.terms {
            term.field = supported.convert(&term.field)?.to_owned();
        }
        Ok(self)
    }

    /// Whether every comparison holds; `lookup` gives a field's value.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<Cow<'a, str>>) -> bool {
        self.terms.iter().all(|term| {
            let value = lookup(&term.field).unwrap_or_default();
            (value == term.value.as_str()) == term.equal
        })
    }

    /// Whether every comparison holds over a list of fields.
    pub fn matches_fields<K: AsRef<str>, V: AsRef<str>>(&self, fields: &[(K, V)]) -> bool {
        self.matches(|name| {
            let field = fields.iter().find(|(key, _)| key.as_ref() == name);
            field.map(|(_, value)| Cow::Borrowed(value.as_ref()))
        })
    }

    /// Whether it restricts nothing.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The comparisons.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The one value a field must have, if the selector says so. Upstream: Selector.RequiresExactMatch.
    pub fn requires_exact_match(&self, field: &str) -> Option<&str> {
        self.terms.iter().find(|term| term.equal && term.field == field).map(|term| term.value.as_str())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let operator = if term.equal { "=" } else { "!=" };
            write!(f, "{comma}{}{operator}{}", term.field, escape(&term.value))?;
        }
        Ok(())
    }
}

/// Escapes a value for the string form. Upstream: fields.EscapeValue.
pub fn escape(value: &str) -> Cow<'_, str> {
    if !value.contains(['\\', ',', '=']) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.replace('\\', r"\\").replace(',', r"\,").replace('=', r"\="))
}

fn unescape(value: &str) -> Result<Cow<'_, str>, Error> {
    if !value.contains(['\\', ',', '=']) {
        return Ok(Cow::Borrowed(value));
    }
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                Some(c) => return Err(Error::Escape(format!("\\{c}"))),
                None => return Err(Error::Escape("\\".to_owned())),
            },
            ',' | '=' => return Err(Error::Unescaped(c)),
            c => out.push(c),
        }
    }
    Ok(Cow::Owned(out))
}

/// The terms between commas that no backslash escapes.
fn split_terms(text: &str) -> Vec<&str> {
    let mut escaped = false;
    text.split(|c| {
        let ends = !escaped && c == ',';
        escaped = !escaped && c == '\\';
        ends
    })
    .collect()
}

/// Field, whether equal, raw value: split at the first operator.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find('=')?;
    match term[..at].strip_suffix('!') {
        Some(field) => Some((field, false, &term[at + 1..])),
        None => Some((&term[..at], true, term[at + 1..].strip_prefix('=').unwrap_or(&term[at + 1..]))),
    }
}

#[cfg(test)]
mod tests;
