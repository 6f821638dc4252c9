//! JSON merge patch (RFC 7386), with the leniencies of the library upstream uses.
//!
//! Nulls delete; objects merge; anything else replaces. Where a value is new, nulls inside it are dropped; where it replaces
//! an object by a list, they stay.
//!
//! Upstream: gopkg.in/evanphx/json-patch.v4, MergePatch.

use super::Error;
use crate::go_text::type_name;
use json::{Map, Value};

/// Merges `patch` into `document`, an object.
///
/// `strict` is set where field validation is Warn or Strict: then only an object is a patch.
pub fn apply(mut document: Value, mut patch: Value, strict: bool) -> Result<Value, Error> {
    if strict && !patch.is_object() && !patch.is_null() {
        let kind = json_kind(&patch);
        let text = format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        );
        return Err(Error::Malformed(text));
    }
    match (&mut document, patch) {
        (Value::Object(document), Value::Object(fields)) => merge_fields(document, fields),
        (_, Value::Object(fields)) => {
            patch = Value::Object(fields);
            drop_nulls(&mut patch);
            return Ok(patch);
        }
        (_, Value::Array(items)) => {
            patch = Value::Array(items);
            drop_nulls(&mut patch);
            return Ok(patch);
        }
        _ => return Err(Error::Malformed("Invalid JSON Patch".to_owned())),
    }
    Ok(document)
}

fn merge_fields(document: &mut Map, patch: Map) {
    for (key, mut value) in patch {
        if value.is_null() {
            document.shift_remove(&key);
            continue;
        }
        match (document.get_mut(&key), value) {
            (Some(Value::Object(current)), Value::Object(fields)) => merge_fields(current, fields),
            (Some(current @ Value::Object(_)), other) => *current = other,
            (_, other) => {
                value = other;
                drop_nulls(&mut value);
                document.insert(key, value);
            }
        }
    }
}

/// Drops the fields that are null, at any depth; list elements that are null stay.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// What encoding/json calls the kind of a value in its errors.
pub(super) fn json_kind(value: &Value) -> &'static str {
    match type_name(value) {
        "<nil>" => "null",
        "bool" => "bool",
        "string" => "string",
        "[]interface {}" => "array",
        "map[string]interface {}" => "object",
        _ => "number",
    }
}

#[cfg(test)]
mod tests;
