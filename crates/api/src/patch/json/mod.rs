//! JSON patch (RFC 6902), with the leniencies of the library upstream uses.
//!
//! Those are why no crate does it: negative indices count from the end, `replace` of an absent field sets it, `copy` of an
//! absent field gives null, `test` takes an absent field for null, and text before the first slash of a path is dropped.
//! What `copy` adds in all is bounded, so that a small patch cannot blow an object up.
//!
//! Upstream: gopkg.in/evanphx/json-patch.v4.

use super::merge::json_kind;
use super::{Error, MAX_JSON_PATCH_OPERATIONS};
use json::{Map, Value};
use std::borrow::Cow;

/// Most bytes all `copy` operations of a patch may add: the limit of a request body.
pub const MAX_COPY_BYTES: usize = 3 * 1024 * 1024;

/// A JSON patch, decoded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    operations: Vec<Value>,
    /// Fields no operation has, as field validation reports them (`json patch unknown field "[0].foo"`).
    pub unknown_fields: Vec<String>,
}

impl Patch {
    /// Reads a patch. With `strict`, as field validation Warn and Strict ask, fields are checked too.
    pub fn decode(patch: Value, strict: bool) -> Result<Patch, Error> {
        let (prefix, list, item) = if strict {
            ("error decoding patch: ", "[]handlers.jsonPatchOp", "handlers.jsonPatchOp")
        } else {
            ("", "jsonpatch.Patch", "jsonpatch.Operation")
        };
        let mismatch = |value: &Value, go_type: &str| {
            let kind = json_kind(value);
            Error::Malformed(format!("{prefix}json: cannot unmarshal {kind} into Go value of type {go_type}"))
        };
        let operations = match patch {
            Value::Array(operations) => operations,
            Value::Null => Vec::new(),
            other => return Err(mismatch(&other, list)),
        };
        let mut unknown_fields = Vec::new();
        for (i, operation) in operations.iter().enumerate() {
            match operation {
                Value::Object(fields) if strict => check_fields(i, fields, &mut unknown_fields)?,
                Value::Object(_) | Value::Null => {}
                other => return Err(mismatch(other, item)),
            }
        }
        if operations.len() > MAX_JSON_PATCH_OPERATIONS {
            return Err(Error::TooManyOperations(operations.len()));
        }
        Ok(Patch { operations, unknown_fields })
    }

    /// Applies every operation in order, or none.
    pub fn apply(&self, mut document: Value) -> Result<Value, Error> {
        let mut copied = 0;
        for operation in &self.operations {
            apply_one(&mut document, operation, &mut copied).map_err(Error::NotApplicable)?;
        }
        Ok(document)
    }
}

fn check_fields(index: usize, fields: &Map, unknown: &mut Vec<String>) -> Result<(), Error> {
    for (name, value) in fields {
        match name.as_str() {
            "op" | "path" | "from" if !value.is_string() && !value.is_null() => {
                let kind = json_kind(value);
                let text = "error decoding patch: json: cannot unmarshal";
                return Err(Error::Malformed(format!(
                    "{text} {kind} into Go struct field jsonPatchOp.{name} of type string"
                )));
            }
            "op" | "path" | "from" | "value" => {}
            other => unknown.push(format!(r#"json patch unknown field "[{index}].{other}""#)),
        }
    }
    Ok(())
}

fn apply_one(document: &mut Value, operation: &Value, copied: &mut usize) -> Result<(), String> {
    let kind = operation.get("op").and_then(Value::as_str).unwrap_or("unknown");
    let text = |name: &str| {
        let text = operation.get(name).and_then(Value::as_str);
        text.ok_or_else(|| format!("{kind} operation failed to decode {name}: missing value"))
    };
    let value = || operation.get("value").cloned().unwrap_or(Value::Null);
    match kind {
        "add" => {
            let path = text("path")?;
            add(document, path, value())
        }
        "remove" => {
            let path = text("path")?;
            remove(document, path).map(drop)
        }
        "replace" => {
            let path = text("path")?;
            replace(document, path, value())
        }
        "move" => {
            let from = text("from")?;
            let moved = remove(document, from)?;
            add(document, text("path")?, moved)
        }
        "copy" => {
            let copy = get(document, text("from")?)?.cloned().unwrap_or(Value::Null);
            *copied += copy.to_string().len();
            if *copied > MAX_COPY_BYTES {
                return Err(format!("unable to complete the copy: more than {MAX_COPY_BYTES} bytes would be added"));
            }
            add(document, text("path")?, copy)
        }
        "test" => {
            let path = text("path")?;
            let expected = value();
            let found = if path.is_empty() { Some(&*document) } else { get(document, path)? };
            let holds = found.map_or(expected.is_null(), |found| *found == expected);
            if holds { Ok(()) } else { Err(format!("testing value {path} failed: test failed")) }
        }
        other => Err(format!("Unexpected kind: {other}")),
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    let (parent, key) = find(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key.into_owned(), value);
        }
        Value::Array(items) if key == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&key, items.len() + 1)?;
            items.insert(index, value);
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    if path.is_empty() {
        if !value.is_object() && !value.is_array() {
            return Err("replace operation value must be object or array".to_owned());
        }
        *document = value;
        return Ok(());
    }
    let (parent, key) = find(document, path)?;
    match parent {
        Value::Object(fields) => {
            fields.insert(key.into_owned(), value);
        }
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            items[index] = value;
        }
        _ => return Err(missing(path)),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let (parent, key) = find(document, path)?;
    match parent {
        Value::Object(fields) => fields
            .shift_remove(key.as_ref())
            .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            Ok(items.remove(index))
        }
        _ => Err(missing(path)),
    }
}

/// The value at a path; None for a field its object lacks.
fn get<'a>(document: &'a mut Value, path: &str) -> Result<Option<&'a Value>, String> {
    let (parent, key) = find(document, path)?;
    match parent {
        Value::Object(fields) => Ok(fields.get(key.as_ref())),
        Value::Array(items) => {
            let index = index(&key, items.len())?;
            Ok(items.get(index))
        }
        _ => Err(missing(path)),
    }
}

/// The object or list a path leads into, and the last step, decoded.
fn find<'a, 'p>(document: &'a mut Value, path: &'p str) -> Result<(&'a mut Value, Cow<'p, str>), String> {
    let (_, steps) = path.split_once('/').ok_or_else(|| missing(path))?;
    let (parents, key) = steps.rsplit_once('/').map_or((None, steps), |(parents, key)| (Some(parents), key));
    let mut value = document;
    for step in parents.into_iter().flat_map(|parents| parents.split('/')) {
        let step = decode_step(step);
        value = match value {
            Value::Object(fields) => fields.get_mut(step.as_ref()).ok_or_else(|| missing(path))?,
            Value::Array(items) => {
                let index = index(&step, items.len())?;
                items.get_mut(index).ok_or_else(|| missing(path))?
            }
            _ => return Err(missing(path)),
        };
    }
    Ok((value, decode_step(key)))
}

/// `~1` is a slash, `~0` a tilde.
fn decode_step(step: &str) -> Cow<'_, str> {
    if step.contains('~') { Cow::Owned(step.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(step) }
}

/// A position below `length`; a negative one counts from the end.
fn index(step: &str, length: usize) -> Result<usize, String> {
    let number: i64 = step.parse().map_err(|_| format!("value was not a proper array index: '{step}'"))?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let position = if number < 0 { number + length } else { number };
    usize::try_from(position)
        .ok()
        .filter(|_| position < length)
        .ok_or_else(|| format!("Unable to access invalid index: {number}: invalid index referenced"))
}

fn missing(path: &str) -> String {
    format!("doc is missing path: {path}: missing value")
}

#[cfg(test)]
mod tests;
