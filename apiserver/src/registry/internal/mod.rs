//! The difference of two specs as upstream shows it: of its internal structs, printed as JSON, which have no tags and so show Go's
//! names and every field. Users see it where a spec may not change.
//!
//! The shape of those structs is a table (`types.txt`, made by `conformance/shapetool`, which says how to read it). Nothing is
//! converted or kept: a spec in v1 is printed, twice, when a change was refused.
//! Upstream: apimachinery pkg/util/diff.Diff over pkg/apis/core.

mod matcher;

use std::collections::HashMap;
use std::sync::LazyLock;

use json::Value;

use super::fields::At;

static NULL: Value = Value::Null;

/// Fields by type.
static TYPES: LazyLock<HashMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let mut words = line.split(' ');
        let name = words.next()?;
        Some((name, words.filter_map(Field::read).collect()))
    };
    include_str!("types.txt").lines().filter_map(line).collect()
});

struct Field {
    /// In Go; empty for metadata, whose fields stand among the others.
    name: &'static str,
    /// In v1.
    key: &'static str,
    shape: &'static str,
}

impl Field {
    fn read(word: &'static str) -> Option<Field> {
        let (name, rest) = word.split_once('=')?;
        let (key, shape) = rest.split_once(':')?;
        Some(Field { name, key, shape })
    }
}

/// A type that is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    PodSpec,
    EphemeralContainer,
    PersistentVolumeClaimSpec,
    PersistentVolumeSource,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::PodSpec => "PodSpec",
            Kind::EphemeralContainer => "EphemeralContainer",
            Kind::PersistentVolumeClaimSpec => "PersistentVolumeClaimSpec",
            Kind::PersistentVolumeSource => "PersistentVolumeSource",
        }
    }
}

/// What differs, as a unified diff of both as they are printed.
pub(crate) fn difference(kind: Kind, old: &Value, new: &Value) -> String {
    matcher::unified(&printed(kind, old), &printed(kind, new))
}

/// The lines of a value.
fn printed(kind: Kind, value: &Value) -> Vec<String> {
    let mut printer = Printer { lines: Vec::new(), line: String::new(), depth: 0 };
    printer.structure(kind.name(), value);
    printer.end_line();
    printer.lines
}

struct Printer {
    lines: Vec<String>,
    line: String,
    depth: usize,
}

impl Printer {
    fn value(&mut self, shape: &'static str, value: &Value) {
        if let Some(shape) = shape.strip_prefix('*') {
            return if value.is_null() { self.text("null") } else { self.value(shape, value) };
        }
        if let Some(shape) = shape.strip_prefix('[') {
            return self.list(shape, value);
        }
        if let Some(shape) = shape.strip_prefix('{') {
            return self.map(shape, value);
        }
        match shape {
            "j" => self.json(value),
            "s" => self.or_zero(value, "\"\""),
            "b" => self.or_zero(value, "false"),
            "i" | "n" => self.or_zero(value, "0"),
            "q" => self.or_zero(value, "\"0\""),
            name => self.structure(name, value),
        }
    }

    fn structure(&mut self, name: &str, value: &Value) {
        let Some(fields) = TYPES.get(name) else { return self.json(value) };
        self.open('{');
        let mut first = true;
        for field in fields {
            let own = value.get(field.key).unwrap_or(&NULL);
            if field.name.is_empty() {
                for (key, inner) in own.as_object().into_iter().flatten() {
                    self.key(key, &mut first);
                    self.json(inner);
                }
                continue;
            }
            self.key(field.name, &mut first);
            self.value(field.shape, own);
        }
        self.close('}');
    }

    fn list(&mut self, shape: &'static str, value: &Value) {
        let Some(items) = value.as_array() else { return self.text("null") };
        self.open('[');
        let mut first = true;
        for item in items {
            self.next(&mut first);
            self.value(shape, item);
        }
        self.close(']');
    }

    fn map(&mut self, shape: &'static str, value: &Value) {
        if !value.is_object() {
            return self.text("null");
        }
        self.open('{');
        let mut first = true;
        for (key, inner) in At::root(value).entries() {
            self.key(key, &mut first);
            self.value(shape, inner.value);
        }
        self.close('}');
    }

    /// As v1 prints it.
    fn json(&mut self, value: &Value) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                self.open('{');
                let mut first = true;
                for (key, inner) in members {
                    self.key(key, &mut first);
                    self.json(inner);
                }
                self.close('}');
            }
            Value::Array(items) if !items.is_empty() => {
                self.open('[');
                let mut first = true;
                for item in items {
                    self.next(&mut first);
                    self.json(item);
                }
                self.close(']');
            }
            other => self.text(&escaped(other)),
        }
    }

    fn or_zero(&mut self, value: &Value, zero: &str) {
        if value.is_null() { self.text(zero) } else { self.json(value) }
    }

    fn key(&mut self, key: &str, first: &mut bool) {
        self.next(first);
        self.text(&escaped(&key.into()));
        self.text(": ");
    }

    fn open(&mut self, bracket: char) {
        self.line.push(bracket);
        self.depth += 1;
    }

    /// The next member begins.
    fn next(&mut self, first: &mut bool) {
        if !std::mem::take(first) {
            self.line.push(',');
        }
        self.end_line();
    }

    fn close(&mut self, bracket: char) {
        self.depth -= 1;
        // Go writes `{}` and `[]` where nothing is in between.
        if !self.line.ends_with(['{', '[']) {
            self.end_line();
        }
        self.line.push(bracket);
    }

    fn text(&mut self, text: &str) {
        self.line.push_str(text);
    }

    fn end_line(&mut self) {
        let indented = " ".repeat(self.depth);
        self.lines.push(std::mem::replace(&mut self.line, indented));
    }
}

/// As Go writes it, which takes care of HTML.
fn escaped(value: &Value) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(character))),
            other => out.push(other),
        }
    }
    out
}
