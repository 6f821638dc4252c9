//! YAML bytes into a [`Node`], by the rules of YAML 1.1 that upstream's decoder follows.
//!
//! The document becomes what the JSON made of it would be: keys are strings and sorted. Aliases are expanded under
//! upstream's limit on the work they may cause. Upstream: `sigs.k8s.io/yaml` over `go.yaml.in/yaml/v2`.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use super::node::{MAX_DEPTH, Node};
use crate::go_text;

/// A parsed document.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) node: Node<'static>,
    /// `line 2: key "a" already set in map`, one for each duplicate.
    pub(crate) duplicates: Vec<String>,
}

/// Parses the first document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Document, String> {
    // What JSON cannot hold fails a step later upstream, without the name in front.
    let later = |reason: &str| reason.starts_with("json: ") || reason.starts_with("unsupported map key");
    read(bytes).map_err(|reason| if later(&reason) { reason } else { format!("yaml: {reason}") })
}

fn read(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "invalid leading UTF-8 octet".to_owned())?;
    // Apply patches are sent under YAML's name but written as JSON: worth a try.
    if text.starts_with('{')
        && let Some(node) = super::json::parse(text).ok().filter(|node| !node.has_duplicates())
    {
        return Ok(Document { node: owned(node), duplicates: Vec::new() });
    }
    // The parser overlooks a tab in front of the first token; upstream does not.
    if text.trim_start_matches([' ', '\n', '\r']).starts_with('\t') {
        return Err("found character that cannot start any token".to_owned());
    }
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        anchors: HashMap::new(),
        open_anchors: Vec::new(),
        duplicates: Vec::new(),
        work: 0,
        aliased: 0,
    };
    let node = builder.document()?;
    Ok(Document { node, duplicates: builder.duplicates })
}

struct Builder<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, Node<'static>>,
    /// Anchors whose node is being read: an alias to one of them would contain itself.
    open_anchors: Vec<usize>,
    duplicates: Vec<String>,
    /// Nodes made, and those of them made from aliases.
    work: usize,
    aliased: usize,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        match self.parser.next_event() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(format!("line {}: {}", error.marker().line(), error.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Node<'static>, String> {
        loop {
            match self.next()?.0 {
                Event::StreamEnd => return Ok(Node::Null),
                Event::StreamStart | Event::DocumentStart(..) => {}
                event => return self.node(event, 0),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, depth: usize) -> Result<Node<'static>, String> {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.count(1)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map(|tag| tag.to_string());
                let node = scalar(&text, style, tag.as_deref())?;
                Ok(self.anchored(anchor, node))
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open_anchors.push(anchor);
                let mut items = Vec::new();
                loop {
                    match self.next()?.0 {
                        Event::SequenceEnd => break,
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
                self.open_anchors.pop();
                Ok(self.anchored(anchor, Node::Array(items)))
            }
            Event::MappingStart(_, anchor, _) => {
                self.open_anchors.push(anchor);
                let node = self.mapping(depth)?;
                self.open_anchors.pop();
                Ok(self.anchored(anchor, node))
            }
            Event::Alias(anchor) => {
                if self.open_anchors.contains(&anchor) {
                    return Err("anchor value contains itself".to_owned());
                }
                let node = self.anchors.get(&anchor).cloned().ok_or("unknown anchor referenced")?;
                let size = size(&node);
                self.aliased += size;
                self.count(size)?;
                Ok(node)
            }
            other => Err(format!("unexpected {other:?}")),
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Node<'static>, String> {
        let mut members: Vec<(Cow<'static, str>, Node<'static>)> = Vec::new();
        let mut merged: Vec<(Cow<'static, str>, Node<'static>)> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = match event {
                Event::MappingEnd => break,
                event => self.node(event, depth + 1)?,
            };
            let event = self.next()?.0;
            let value = self.node(event, depth + 1)?;
            if merge {
                merge_into(&mut merged, value)?;
                continue;
            }
            let shown = match &key {
                Node::String(text) => go_text::quote(text),
                other => key_text(other)?.into_owned(),
            };
            if key == Node::Null {
                let value = go_text::json(&value.to_value());
                return Err(format!("unsupported map key of type: %!s(<nil>), key: <nil>, value: {value}"));
            }
            let key = key_text(&key)?;
            match members.iter_mut().find(|(earlier, _)| *earlier == key) {
                Some(member) => {
                    self.duplicates.push(format!("line {}: key {shown} already set in map", span.start.line()));
                    member.1 = value;
                }
                None => members.push((key, value)),
            }
        }
        for (key, value) in merged {
            if !members.iter().any(|(own, _)| *own == key) {
                members.push((key, value));
            }
        }
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(Node::Object(members))
    }

    fn anchored(&mut self, anchor: usize, node: Node<'static>) -> Node<'static> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }

    /// Upstream's limit: of much work, only a part may come from aliases.
    fn count(&mut self, nodes: usize) -> Result<(), String> {
        const LOW: usize = 400_000;
        const HIGH: usize = 4_000_000;
        self.work += nodes;
        let allowed = match self.work {
            ..=LOW => 0.99,
            HIGH.. => 0.10,
            work => 0.99 - 0.89 * (work - LOW) as f64 / (HIGH - LOW) as f64,
        };
        let excessive = self.work > 1000 && self.aliased > 100 && self.aliased as f64 / self.work as f64 > allowed;
        if excessive { Err("document contains excessive aliasing".to_owned()) } else { Ok(()) }
    }
}

fn size(node: &Node<'_>) -> usize {
    1 + match node {
        Node::Array(items) => items.iter().map(size).sum(),
        Node::Object(members) => members.iter().map(|(_, value)| 1 + size(value)).sum(),
        _ => 0,
    }
}

fn merge_into(merged: &mut Vec<(Cow<'static, str>, Node<'static>)>, value: Node<'static>) -> Result<(), String> {
    match value {
        Node::Object(members) => {
            for (key, value) in members {
                if !merged.iter().any(|(earlier, _)| *earlier == key) {
                    merged.push((key, value));
                }
            }
            Ok(())
        }
        Node::Array(items) => items.into_iter().try_for_each(|item| match item {
            Node::Object(_) => merge_into(merged, item),
            _ => Err("map merge requires map or sequence of maps as the value".to_owned()),
        }),
        _ => Err("map merge requires map or sequence of maps as the value".to_owned()),
    }
}

/// A key as the JSON text of it names it.
fn key_text(key: &Node<'static>) -> Result<Cow<'static, str>, String> {
    match key {
        Node::String(text) | Node::Number(text) => Ok(text.clone()),
        Node::Bool(flag) => Ok(Cow::Borrowed(if *flag { "true" } else { "false" })),
        Node::Null => Ok(Cow::Borrowed("null")),
        Node::Array(_) | Node::Object(_) => Err("invalid map key".to_owned()),
    }
}

/// Resolves a scalar: quoted ones are strings, plain ones what YAML 1.1 makes of them.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Node<'static>, String> {
    let string = || Node::String(Cow::Owned(text.to_owned()));
    let tag = tag.map(|tag| tag.rsplit([':', '!']).next().unwrap_or(tag));
    match tag {
        Some("str") => return Ok(string()),
        Some("binary") => {
            let compact: String = text.split_whitespace().collect();
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::STANDARD.decode(compact);
            let bytes = bytes.map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
            return Ok(Node::String(Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())));
        }
        _ => {}
    }
    if style != ScalarStyle::Plain {
        return Ok(string());
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Node::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Node::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Node::Bool(false),
        // What JSON has no number for.
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => {
            let name = if text.eq_ignore_ascii_case(".nan") {
                "NaN"
            } else if text.starts_with('-') {
                "-Inf"
            } else {
                "+Inf"
            };
            return Err(format!("json: unsupported value: {name}"));
        }
        _ => integer(text).or_else(|| float(text)).map_or_else(string, |text| Node::Number(Cow::Owned(text))),
    })
}

/// Decimal, `0x`, `0o`, `0b` and, as in YAML 1.1, octal with a leading zero; underscores are skipped.
fn integer(text: &str) -> Option<String> {
    let first = text.bytes().next()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+')) {
        return None;
    }
    let plain = text.replace('_', "");
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    let fits = sign.is_empty() || magnitude <= i64::MIN.unsigned_abs();
    fits.then(|| if magnitude == 0 { "0".to_owned() } else { format!("{sign}{magnitude}") })
}

/// A decimal float in the form JSON writes it.
fn float(text: &str) -> Option<String> {
    let plain = text.replace('_', "");
    let digits = plain.strip_prefix(['-', '+']).unwrap_or(&plain);
    let shape = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let value = shape.then(|| plain.parse::<f64>().ok()).flatten().filter(|value| value.is_finite())?;
    let number = json::Number::from_f64(value)?;
    Some(go_text::json(&json::Value::Number(number)))
}

fn owned(node: Node<'_>) -> Node<'static> {
    let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
    match node {
        Node::Null => Node::Null,
        Node::Bool(flag) => Node::Bool(flag),
        Node::Number(text) => Node::Number(own(text)),
        Node::String(text) => Node::String(own(text)),
        Node::Array(items) => Node::Array(items.into_iter().map(owned).collect()),
        Node::Object(members) => {
            Node::Object(members.into_iter().map(|(key, value)| (own(key), owned(value))).collect())
        }
    }
}
