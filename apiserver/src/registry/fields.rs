//! Reading objects held as JSON, with the place of each value known: what strategies and validation are written with.
//!
//! [`At`] is a value together with its path; a field that is absent reads as Go's zero value, as upstream's structs do.
//! Decoding has refused wrong types before any of this is called, so a wrong type reads as zero too.

use api::field::{BadValue, Error, Path};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Map, Value};

static NULL: Value = Value::Null;

/// A value and where it is.
#[derive(Clone, Debug)]
pub struct At<'a> {
    pub value: &'a Value,
    pub path: Path,
}

impl<'a> At<'a> {
    /// The whole object: children are roots (`spec`, not `.spec`).
    pub fn root(object: &'a Value) -> At<'a> {
        At { value: object, path: Path::nil() }
    }

    pub fn new(value: &'a Value, path: Path) -> At<'a> {
        At { value, path }
    }

    /// The field `name`; null if absent.
    pub fn field(&self, name: &'static str) -> At<'a> {
        At { value: self.value.get(name).unwrap_or(&NULL), path: self.path.child(name) }
    }

    /// A field whose value only matters, not its path.
    pub fn get(&self, name: &str) -> &'a Value {
        self.value.get(name).unwrap_or(&NULL)
    }

    /// Is there a value (null is none)? Says nothing about "" or 0.
    pub fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Has the object this field?
    pub fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }

    pub fn str(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// Text of the field `name`.
    pub fn text(&self, name: &str) -> &'a str {
        self.get(name).as_str().unwrap_or_default()
    }

    pub fn int(&self) -> i64 {
        self.value.as_i64().unwrap_or_default()
    }

    pub fn bool(&self) -> bool {
        self.value.as_bool().unwrap_or_default()
    }

    /// Items of a list; none if it is none.
    pub fn items(&self) -> impl Iterator<Item = At<'a>> + use<'a> {
        let path = self.path.clone();
        self.slice().iter().enumerate().map(move |(index, value)| At { value, path: path.index(index) })
    }

    pub fn slice(&self) -> &'a [Value] {
        self.value.as_array().map_or(&[], Vec::as_slice)
    }

    /// Entries of a map, in the order of their keys: Go's map order is none, and upstream sorts where it matters.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
        let path = self.path.clone();
        let mut entries: Vec<(&'a json::Text, &'a Value)> = self.value.as_object().into_iter().flatten().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries.into_iter().map(move |(key, value)| (key.as_str(), At { value, path: path.key(key.as_str()) }))
    }

    pub fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }

    /// How the value is shown in an error.
    pub fn bad(&self) -> BadValue {
        BadValue::Value(self.value.clone())
    }

    /// `Invalid value` with the value as text.
    pub fn invalid_str(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path, self.str(), detail)
    }

    pub fn invalid_int(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path, self.int(), detail)
    }

    pub fn invalid(&self, detail: impl Into<String>) -> Error {
        Error::invalid(&self.path, self.bad(), detail)
    }

    pub fn required(&self, detail: impl Into<String>) -> Error {
        Error::required(&self.path, detail)
    }

    pub fn forbidden(&self, detail: impl Into<String>) -> Error {
        Error::forbidden(&self.path, detail)
    }

    pub fn duplicate(&self) -> Error {
        Error::duplicate(&self.path, self.bad())
    }

    pub fn not_supported(&self, supported: &[&str]) -> Error {
        Error::not_supported(&self.path, self.str(), supported)
    }
}

/// A text field; "" if absent.
pub fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The value at a path of field names; null if any is absent.
pub fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |value, key| value.get(key).unwrap_or(&NULL))
}

/// A list field; empty if absent.
pub fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Items of a list field to change; none if absent.
pub fn items_mut<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The object under `key`, made if it is absent.
pub fn object_mut<'a>(object: &'a mut Value, key: &str) -> &'a mut Value {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let slot = &mut object[key];
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    slot
}

/// Sets a field.
pub fn set(object: &mut Value, key: &str, value: impl Into<Value>) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    object[key] = value.into();
}

/// Sets a field that is absent or null.
pub fn set_default(object: &mut Value, key: &str, value: impl Into<Value>) {
    if object.get(key).is_none_or(Value::is_null) {
        set(object, key, value);
    }
}

/// Removes a field, keeping the order of the others.
pub fn remove(object: &mut Value, key: &str) -> Option<Value> {
    object.as_object_mut()?.shift_remove(key)
}

/// Text kept base64-encoded, as in a Secret's data.
pub fn base64_field(object: &Value, key: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text(object, key)).ok()?).ok()
}
