//! Values of expressions. Objects of the API are read where they lie, not copied: a [`Value`] borrows from them.
//!
//! Upstream: cel-go common/types, k8s.io/apiserver/pkg/cel/common.UnstructuredToVal.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use indexmap::IndexMap;
use json::{Map as JsonMap, Value as Json};

use crate::eval::Failure;
use crate::library::{Authorization, Cidr, Format, Semver, Url};
use crate::schema::{Fields, ListType, Schema, Shape, unescape};

/// What an expression is worth.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Arc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(crate::moment::Moment),
    List(List<'a>),
    Map(Map<'a>),
    /// `Name{field: value}`
    Message(Arc<Message<'a>>),
    /// The name of a type.
    Type(Arc<str>),
    Optional(Option<Arc<Value<'a>>>),
    /// An object whose fields are computed when they are asked for.
    Lazy(&'a dyn Lazy),
    Quantity(Arc<api::quantity::Quantity>),
    Url(Arc<Url>),
    Ip(std::net::IpAddr),
    Cidr(Cidr),
    Format(&'static Format),
    Semver(Arc<Semver>),
    Authorization(Authorization<'a>),
}

/// Gives fields their values when they are asked for. Upstream: k8s.io/apiserver/pkg/cel/lazy.
pub trait Lazy: fmt::Debug + Sync {
    /// The value; None where there is no such field. What it cost, it adds to `cost`.
    fn field<'s>(&'s self, name: &str, cost: &mut crate::eval::Meter) -> Option<Result<Value<'s>, Failure>>;
}

/// Text that is borrowed or shared.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Shared(text) => text,
        }
    }
}

/// A list.
#[derive(Debug, Clone)]
pub enum List<'a> {
    Json(&'a [Json], Option<(&'a Schema, &'a ListType)>),
    Items(Arc<Vec<Value<'a>>>),
}

/// A map, or an object with fields.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    Json(&'a JsonMap, Entries<'a>),
    Items(Arc<IndexMap<Key, (Value<'a>, Value<'a>)>>),
}

/// What is known of the values of a map in JSON.
#[derive(Debug, Clone, Copy)]
pub enum Entries<'a> {
    Untyped,
    All(&'a Schema),
    Fields(&'a Fields),
    /// See [`Value::claims`].
    Claims,
}

/// `Name{field: value}`, evaluated.
#[derive(Debug)]
pub struct Message<'a> {
    pub name: Arc<str>,
    pub fields: IndexMap<String, Value<'a>>,
}

/// A key of a map. Numbers that are equal are the same key, whatever their type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(u64),
    String(Arc<str>),
}

impl<'a> Value<'a> {
    /// An object of the API, with its schema where it has one. Nothing is copied.
    pub fn from_json(json: &'a Json, schema: Option<&'a Schema>) -> Result<Value<'a>, Failure> {
        match schema {
            None => Ok(Value::untyped(json)),
            Some(schema) => Value::typed(json, schema),
        }
    }

    /// A value whose type is its own.
    pub fn untyped(json: &'a Json) -> Value<'a> {
        match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Value::Int(value),
                None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::String(Text::Borrowed(text)),
            Json::Array(items) => Value::List(List::Json(items, None)),
            Json::Object(fields) => Value::Map(Map::Json(fields, Entries::Untyped)),
        }
    }

    /// What a token says: as Go decodes JSON of no known type, every number is a double; and at any depth a name may be written
    /// as an identifier, `a__dot__b` for `a.b`. Upstream: plugin/pkg/authenticator/token/oidc.unescapeWrapper.
    pub fn claims(json: &'a Json) -> Value<'a> {
        match json {
            Json::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
            Json::Array(items) => Value::list(items.iter().map(Value::claims).collect()),
            Json::Object(fields) => Value::Map(Map::Json(fields, Entries::Claims)),
            other => Value::untyped(other),
        }
    }

    fn typed(json: &'a Json, schema: &'a Schema) -> Result<Value<'a>, Failure> {
        let invalid = |expected: &str| {
            Err(Failure::message(format!("invalid data, expected {expected}, got {}", api::go_text::type_name(json))))
        };
        if json.is_null() && !matches!(schema.shape, Shape::Unknown) {
            return match schema.nullable {
                true => Ok(Value::Null),
                false => Err(Failure::message("invalid data, got null for schema with nullable=false")),
            };
        }
        match (&schema.shape, json) {
            (Shape::Unknown, _) => Ok(Value::untyped(json)),
            (Shape::IntOrString, Json::String(_) | Json::Number(_)) => Ok(Value::untyped(json)),
            (Shape::IntOrString, _) => {
                Err(Failure::message("invalid data, expected XIntOrString value to be either a string or integer"))
            }
            (Shape::Boolean, Json::Bool(value)) => Ok(Value::Bool(*value)),
            (Shape::Boolean, _) => invalid("bool"),
            (Shape::Integer, Json::Number(number)) => match number.as_i64() {
                Some(value) => Ok(Value::Int(value)),
                None => invalid("int"),
            },
            (Shape::Integer, _) => invalid("int"),
            (Shape::Number, Json::Number(number)) => Ok(Value::Double(number.as_f64().unwrap_or(f64::NAN))),
            (Shape::Number, _) => invalid("float"),
            (Shape::String, Json::String(text)) => Ok(Value::String(Text::Borrowed(text))),
            (Shape::Bytes | Shape::Duration | Shape::Date | Shape::DateTime, Json::String(text)) => {
                crate::library::formatted(&schema.shape, text)
            }
            (Shape::String | Shape::Bytes | Shape::Duration | Shape::Date | Shape::DateTime, _) => invalid("string"),
            (Shape::List(items, kind), Json::Array(list)) => Ok(Value::List(List::Json(list, Some((items, kind))))),
            (Shape::List(..), _) => {
                Err(Failure::message("invalid data, expected an array for the provided schema with type=array"))
            }
            (Shape::Map(values), Json::Object(map)) => Ok(Value::Map(Map::Json(map, Entries::All(values)))),
            (Shape::Object(fields), Json::Object(map)) => Ok(Value::Map(Map::Json(map, Entries::Fields(fields)))),
            (Shape::Map(_) | Shape::Object(_), _) => {
                Err(Failure::message("invalid data, expected a map for the provided schema with type=object"))
            }
        }
    }

    /// Text of one's own.
    pub fn text(text: impl Into<Arc<str>>) -> Value<'a> {
        Value::String(Text::Shared(text.into()))
    }

    /// A list of one's own.
    pub fn list(items: Vec<Value<'a>>) -> Value<'a> {
        Value::List(List::Items(Arc::new(items)))
    }

    /// An optional that is there.
    pub fn some(value: Value<'a>) -> Value<'a> {
        Value::Optional(Some(Arc::new(value)))
    }

    /// An optional that is not there.
    pub const NONE: Value<'static> = Value::Optional(None);

    /// The name of its type, as `type()` gives it.
    pub fn type_name(&self) -> &str {
        match self {
            Value::Null => "null_type",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Uint(_) => "uint",
            Value::Double(_) => "double",
            Value::String(_) => "string",
            Value::Bytes(_) => "bytes",
            Value::Duration(_) => "google.protobuf.Duration",
            Value::Timestamp(_) => "google.protobuf.Timestamp",
            Value::List(_) => "list",
            Value::Map(Map::Json(_, Entries::Fields(fields))) => &fields.name,
            Value::Map(_) => "map",
            Value::Message(message) => &message.name,
            Value::Type(_) => "type",
            Value::Optional(_) => "optional_type",
            Value::Lazy(_) => "kubernetes.variables",
            Value::Quantity(_) => "kubernetes.Quantity",
            Value::Url(_) => "kubernetes.URL",
            Value::Ip(_) => "net.IP",
            Value::Cidr(_) => "net.CIDR",
            Value::Format(_) => "kubernetes.NamedFormat",
            Value::Semver(_) => "kubernetes.Semver",
            Value::Authorization(authorization) => authorization.type_name(),
        }
    }

    /// What `size()` gives; 1 for what has none. Upstream: interpreter.actualSize.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Value::String(text) => text.chars().count() as u64,
            Value::Bytes(bytes) => bytes.len() as u64,
            Value::List(list) => list.len() as u64,
            Value::Map(map) => map.len() as u64,
            Value::Optional(Some(value)) => value.size(),
            Value::Ip(std::net::IpAddr::V4(_)) => 4,
            Value::Ip(std::net::IpAddr::V6(_)) => 16,
            Value::Cidr(cidr) => cidr.size(),
            _ => 1,
        }
    }

    /// The value as JSON. None for what JSON cannot say.
    pub fn to_json(&self) -> Option<Json> {
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::from(*value),
            Value::Uint(value) => Json::from(*value),
            Value::Double(value) => Json::from(*value),
            Value::String(text) => Json::from(&**text),
            Value::Bytes(bytes) => Json::from(crate::library::base64(bytes)),
            Value::Duration(_) | Value::Timestamp(_) => Json::from(crate::library::to_text(self)?),
            Value::List(List::Json(items, _)) => Json::Array(items.to_vec()),
            Value::List(List::Items(items)) => Json::Array(items.iter().map(Value::to_json).collect::<Option<_>>()?),
            Value::Map(Map::Json(map, _)) => Json::Object((*map).clone()),
            Value::Map(Map::Items(entries)) => {
                let mut out = JsonMap::new();
                for (key, value) in entries.values() {
                    let Value::String(key) = key else { return None };
                    out.insert(key.to_string(), value.to_json()?);
                }
                Json::Object(out)
            }
            Value::Message(message) => {
                let mut out = JsonMap::new();
                for (name, value) in &message.fields {
                    out.insert(name.clone(), value.to_json()?);
                }
                Json::Object(out)
            }
            Value::Optional(Some(value)) => value.to_json()?,
            Value::Optional(None) => Json::Null,
            Value::Quantity(quantity) => Json::from(quantity.to_string()),
            Value::Ip(ip) => Json::from(ip.to_string()),
            _ => return None,
        })
    }
}

impl<'a> List<'a> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        match self {
            List::Json(items, _) => items.len(),
            List::Items(items) => items.len(),
        }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An item.
    pub fn get(&self, index: usize) -> Option<Result<Value<'a>, Failure>> {
        match self {
            List::Json(items, of) => items.get(index).map(|item| Value::from_json(item, of.map(|(schema, _)| schema))),
            List::Items(items) => items.get(index).cloned().map(Ok),
        }
    }

    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value<'a>, Failure>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// All items, or the first that is not what it should be.
    pub fn values(&self) -> Result<Vec<Value<'a>>, Failure> {
        self.iter().collect()
    }

    /// How its items are told apart, where they have no order.
    pub(crate) fn kind(&self) -> &ListType {
        match self {
            List::Json(_, Some((_, kind))) => kind,
            _ => &ListType::Atomic,
        }
    }
}

impl<'a> Map<'a> {
    /// How many entries there are.
    pub fn len(&self) -> usize {
        match self {
            Map::Json(map, _) => map.len(),
            Map::Items(entries) => entries.len(),
        }
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key or field.
    pub fn get_text(&self, key: &str) -> Option<Result<Value<'a>, Failure>> {
        match self {
            Map::Json(map, Entries::Untyped) => map.get(key).map(|json| Ok(Value::untyped(json))),
            Map::Json(map, Entries::Claims) => map.get(&unescape(key)).map(|json| Ok(Value::claims(json))),
            Map::Json(map, Entries::All(schema)) => map.get(key).map(|json| Value::from_json(json, Some(schema))),
            Map::Json(map, Entries::Fields(fields)) => {
                let field = fields.by_name.get(key)?;
                map.get(&field.json).map(|json| Value::from_json(json, Some(&field.schema)))
            }
            Map::Items(entries) => entries.get(&Key::String(key.into())).map(|(_, value)| Ok(value.clone())),
        }
    }

    /// Is the key or field there?
    pub(crate) fn has_text(&self, key: &str) -> bool {
        match self {
            Map::Json(map, Entries::Fields(fields)) => {
                fields.by_name.get(key).is_some_and(|field| map.contains_key(&field.json))
            }
            Map::Json(map, Entries::Claims) => map.contains_key(&unescape(key)),
            Map::Json(map, _) => map.contains_key(key),
            Map::Items(entries) => entries.contains_key(&Key::String(key.into())),
        }
    }

    /// The value of a key of any type.
    pub(crate) fn get(&self, key: &Value<'_>) -> Option<Result<Value<'a>, Failure>> {
        match (self, key) {
            (_, Value::String(text)) => self.get_text(text),
            (Map::Items(entries), _) => entries.get(&Key::of(key)?).map(|(_, value)| Ok(value.clone())),
            _ => None,
        }
    }

    /// All keys, in the order they were written.
    pub(crate) fn keys(&self) -> Vec<Value<'a>> {
        match self {
            Map::Json(map, _) => map.keys().map(|key| Value::String(Text::Borrowed(key))).collect(),
            Map::Items(entries) => entries.values().map(|(key, _)| key.clone()).collect(),
        }
    }
}

impl Key {
    /// The value as a key; None where it cannot be one.
    pub(crate) fn of(value: &Value<'_>) -> Option<Key> {
        Some(match value {
            Value::Bool(value) => Key::Bool(*value),
            Value::Int(value) => Key::Int(*value),
            Value::Uint(value) => i64::try_from(*value).map_or(Key::Uint(*value), Key::Int),
            Value::Double(value) if value.trunc() == *value && value.abs() < 9.0e15 => Key::Int(*value as i64),
            Value::Double(value) => Key::Double(value.to_bits()),
            Value::String(text) => Key::String((&**text).into()),
            _ => return None,
        })
    }
}
