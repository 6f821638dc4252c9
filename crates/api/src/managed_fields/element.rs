//! One step of a path to a field, its order and its two spellings: in FieldsV1 (`k:{"name":"web"}`) and in messages
//! (`[name="web"]`). Upstream: fieldpath.PathElement.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;

use json::{Number, Value};

use crate::go_text;

/// A JSON value that is part of a path: of the object it was found in, or read from a field set.
#[derive(Clone, Debug)]
pub enum Literal<'a> {
    /// Lies in an object.
    Borrowed(&'a Value),
    /// Was parsed.
    Owned(Box<Value>),
}

impl Deref for Literal<'_> {
    type Target = Value;

    fn deref(&self) -> &Value {
        match self {
            Literal::Borrowed(value) => value,
            Literal::Owned(value) => value,
        }
    }
}

/// One step of a path.
#[derive(Clone, Debug)]
pub enum Element<'a> {
    /// A field of an object or a key of a map.
    Field(Cow<'a, str>),
    /// The item of a list whose key fields have these values; sorted by name.
    Key(Vec<(Cow<'a, str>, Literal<'a>)>),
    /// The item of a set that has this value.
    Value(Literal<'a>),
    /// The item at a position. Nothing makes these today; clients may send them.
    Index(i64),
}

/// A key of FieldsV1 that is no path element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no path element")]
pub struct BadElement(pub String);

impl<'a> Element<'a> {
    /// A field.
    pub fn field(name: impl Into<Cow<'a, str>>) -> Self {
        Element::Field(name.into())
    }

    /// Reads FieldsV1's spelling. None is an element of a kind that is not known here, which is skipped.
    pub(super) fn parse(text: &'a str) -> Result<Option<Self>, BadElement> {
        let bad = || BadElement(text.to_owned());
        let json = |text: &str| json::from_str::<Value>(text).map_err(|_| bad());
        let (Some(kind), Some(b':'), Some(rest)) = (text.bytes().next(), text.as_bytes().get(1), text.get(2..)) else {
            return Err(bad());
        };
        Ok(Some(match kind {
            b'f' => Element::Field(Cow::Borrowed(rest)),
            b'v' => Element::Value(Literal::Owned(Box::new(json(rest)?))),
            b'i' => Element::Index(rest.parse().map_err(|_| bad())?),
            b'k' => {
                let Value::Object(fields) = json(rest)? else { return Err(bad()) };
                let fields =
                    fields.into_iter().map(|(name, value)| (name.to_string().into(), Literal::Owned(Box::new(value))));
                Element::key(fields.collect())
            }
            _ => return Ok(None),
        }))
    }

    /// The item with these key fields.
    pub(super) fn key(mut fields: Vec<(Cow<'a, str>, Literal<'a>)>) -> Self {
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        Element::Key(fields)
    }

    /// FieldsV1's spelling.
    pub(super) fn encode(&self) -> String {
        match self {
            Element::Field(name) => {
                let mut out = String::with_capacity(name.len() + 2);
                out.push_str("f:");
                out.push_str(name);
                out
            }
            Element::Key(fields) => {
                let mut out = String::from("k:{");
                for (position, (name, value)) in fields.iter().enumerate() {
                    if position > 0 {
                        out.push(',');
                    }
                    out.push_str(&go_text::json_string(name));
                    out.push(':');
                    out.push_str(&go_text::json(value));
                }
                out.push('}');
                out
            }
            Element::Value(value) => format!("v:{}", go_text::json(value)),
            Element::Index(index) => format!("i:{index}"),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Element::Field(_) => 0,
            Element::Key(_) => 1,
            Element::Value(_) => 2,
            Element::Index(_) => 3,
        }
    }
}

/// As conflicts show it.
impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Field(name) => write!(f, ".{name}"),
            Element::Key(fields) => {
                f.write_str("[")?;
                for (position, (name, value)) in fields.iter().enumerate() {
                    let comma = if position > 0 { "," } else { "" };
                    write!(f, "{comma}{name}={}", shown(value))?;
                }
                f.write_str("]")
            }
            Element::Value(value) => write!(f, "[={}]", shown(value)),
            Element::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Upstream: value.ToString.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::String(text) => go_text::quote(text),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => fields.iter().map(|(key, value)| format!("{key}={}", shown(value))).collect(),
        other => go_text::percent_v(other),
    }
}

impl Ord for Element<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Key(a), Element::Key(b)) => {
                let both = a.iter().zip(b);
                both.map(|((a, x), (b, y))| a.cmp(b).then_with(|| order(x, y)))
                    .find(|found| found.is_ne())
                    .unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Element::Value(a), Element::Value(b)) => order(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Element<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Element<'_> {}

/// A total order over JSON values: numbers (by value, whole or not), strings, booleans, lists, objects, null.
/// Upstream: value.Compare.
fn order(a: &Value, b: &Value) -> Ordering {
    fn rank(value: &Value) -> u8 {
        match value {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => order_numbers(a, b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => {
            let unequal = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|found| found.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (Value::Object(a), Value::Object(b)) => {
            let (mut a, mut b): (Vec<_>, Vec<_>) = (a.iter().collect(), b.iter().collect());
            a.sort_unstable_by_key(|(key, _)| *key);
            b.sort_unstable_by_key(|(key, _)| *key);
            let both = a.iter().zip(&b);
            let unequal = both.map(|((a, x), (b, y))| a.cmp(b).then_with(|| order(x, y))).find(|found| found.is_ne());
            unequal.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn order_numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or_default().total_cmp(&b.as_f64().unwrap_or_default()),
    }
}

/// Whether two values are the same, a whole number being the same as the float of its value. Upstream: value.Equals.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || order_numbers(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}
