//! The tree between the bytes and the schema: keeps duplicate keys and the text of numbers, which a `Value` loses.

use std::borrow::Cow;

use json::{Map, Number, Value};

use super::scalar;

/// How deep lists and objects may lie in each other.
///
/// Upstream allows 10,000 and then answers with the same error. Lower here, so that every reader of a stored object
/// (`serde_json` stops at 128, inside lists and watch events too) can read what was accepted.
pub const MAX_DEPTH: usize = 120;

/// One JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    /// The literal as written.
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// In the order of the bytes, duplicates included.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl<'a> Node<'a> {
    /// What type errors call the value. Numbers are called with their text where the kind fits but the value does not.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Bool(_) => "bool",
            Node::Number(_) => "number",
            Node::String(_) => "string",
            Node::Array(_) => "array",
            Node::Object(_) => "object",
        }
    }

    /// The last value of a key, as a Go decoder leaves it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Whether an object anywhere in it holds a key twice.
    pub(crate) fn has_duplicates(&self) -> bool {
        match self {
            Node::Array(items) => items.iter().any(Node::has_duplicates),
            Node::Object(members) => {
                let repeated = |position: usize| members[..position].iter().any(|(key, _)| *key == members[position].0);
                (1..members.len()).any(repeated) || members.iter().any(|(_, value)| value.has_duplicates())
            }
            _ => false,
        }
    }

    /// The value without a schema; of duplicate keys the last one stays.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Node::Null => Value::Null,
            Node::Bool(flag) => Value::Bool(*flag),
            Node::Number(text) => number(text).map_or(Value::Null, Value::Number),
            Node::String(text) => Value::from(&**text),
            Node::Array(items) => Value::Array(items.iter().map(Node::to_value).collect()),
            Node::Object(members) => {
                let mut object = Map::with_capacity(members.len());
                for (key, value) in members {
                    object.insert(&**key, value.to_value());
                }
                Value::Object(object)
            }
        }
    }

    /// Borrows a value as a tree.
    pub(crate) fn of(value: &'a Value) -> Node<'a> {
        match value {
            Value::Null => Node::Null,
            Value::Bool(flag) => Node::Bool(*flag),
            Value::Number(number) => Node::Number(Cow::Owned(number.to_string())),
            Value::String(text) => Node::String(Cow::Borrowed(text)),
            Value::Array(items) => Node::Array(items.iter().map(Node::of).collect()),
            Value::Object(members) => Node::Object(
                members.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), Node::of(value))).collect(),
            ),
        }
    }
}

/// A number of an untyped place: an integer stays one if it fits, everything else becomes a float.
pub(crate) fn number(text: &str) -> Option<Number> {
    if !text.contains(['.', 'e', 'E'])
        && let Ok(integer) = text.parse::<i64>()
    {
        return Some(integer.into());
    }
    scalar::float(text)
}
