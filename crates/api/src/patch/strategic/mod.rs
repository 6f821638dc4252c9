//! Strategic merge patch: a merge that knows, from the schema, which lists merge by key, which are sets and which are replaced.
//!
//! Directives, each a key in the patch:
//! - `$patch: replace` in an object takes the patch's object as it is, in a list's element replaces the whole list;
//!   `$patch: delete` empties an object, or deletes the element with the same merge key;
//! - `$retainKeys: [...]` drops every field of the object that is not listed;
//! - `$deleteFromPrimitiveList/NAME: [...]` takes values out of a list of scalars;
//! - `$setElementOrder/NAME: [...]` orders a merged list; elements the patch does not name keep their place among each other.
//!
//! Only built-in kinds know merge keys: custom resources refuse this format before coming here
//! ([`unsupported`] is that answer).
//!
//! Upstream: k8s.io/apimachinery/pkg/util/strategicpatch.

mod facts;
mod lists;

use super::Error;
use crate::schema::Schema;
use facts::{Facts, Strategy};
use json::{Map, Value};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_PRIMITIVE_LIST: &str = "$deleteFromPrimitiveList";
const SET_ELEMENT_ORDER: &str = "$setElementOrder";

/// Merges `patch` into `document`, an object of the type `schema` describes.
pub fn apply(document: Value, patch: Value, schema: Schema<'_>) -> Result<Value, Error> {
    let document = match document {
        Value::Object(fields) => fields,
        _ => return Err(Error::Malformed("invalid JSON document".to_owned())),
    };
    let patch = match patch {
        Value::Object(fields) => fields,
        Value::Null => Map::new(),
        other => {
            let kind = super::merge::json_kind(&other);
            let text = format!("json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}");
            return Err(Error::Malformed(text));
        }
    };
    merge_map(document, patch, Facts::of(schema)).map(Value::Object)
}

/// What a patch of an object without merge keys is answered.
pub fn unsupported() -> Error {
    Error::Malformed("strategic merge patch format is not supported".to_owned())
}

fn merge_map(mut original: Map, mut patch: Map, facts: Facts<'_>) -> Result<Map, Error> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.shift_remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            _ => Err(unknown_directive(directive, &patch)),
        };
    }
    apply_retain_keys(&mut original, &mut patch)?;
    apply_element_orders(&mut original, &mut patch, &facts)?;
    for (key, value) in patch {
        merge_field(&mut original, &key, value, &facts)?;
    }
    Ok(original)
}

fn merge_field(original: &mut Map, key: &str, value: Value, facts: &Facts<'_>) -> Result<(), Error> {
    let (key, deletes) = match key.strip_prefix(DELETE_FROM_PRIMITIVE_LIST) {
        None => (key, false),
        Some(rest) => {
            (rest.strip_prefix('/').ok_or_else(|| malformed("invalid patch format of primitive list"))?, true)
        }
    };
    if value.is_null() {
        original.shift_remove(key);
        return Ok(());
    }
    let merged = match (original.get_mut(key), value) {
        (Some(Value::Object(current)), Value::Object(fields)) => {
            let field = facts.field(key)?;
            if field.strategy == Strategy::Replace {
                Some(Value::Object(fields))
            } else {
                Some(Value::Object(merge_map(std::mem::take(current), fields, field.facts)?))
            }
        }
        (Some(Value::Array(current)), Value::Array(items)) => {
            let field = facts.list(key)?;
            if field.strategy == Strategy::Merge || deletes {
                Some(Value::Array(lists::merge(std::mem::take(current), items, &field, deletes)?))
            } else {
                Some(Value::Array(items))
            }
        }
        // A new value, or one of another type: taken from the patch, unless it was to be taken out of.
        (_, _) if deletes => return Ok(()),
        (current, mut value) => {
            if current.is_none_or(|current| std::mem::discriminant(current) != std::mem::discriminant(&value)) {
                drop_nulls(&mut value);
            }
            without_directives(value)
        }
    };
    match merged {
        Some(value) => {
            original.insert(key, value);
        }
        None => {
            original.shift_remove(key);
        }
    }
    Ok(())
}

/// `$retainKeys`: every field of the patch must be listed, and only listed ones stay.
fn apply_retain_keys(original: &mut Map, patch: &mut Map) -> Result<(), Error> {
    let Some(retained) = patch.shift_remove(RETAIN_KEYS) else { return Ok(()) };
    let Value::Array(retained) = retained else { return Err(malformed("invalid patch format of retainKeys")) };
    let is_retained = |key: &str| retained.iter().any(|name| name.as_str() == Some(key));
    let is_parallel = |key: &str| key.starts_with(DELETE_FROM_PRIMITIVE_LIST) || key.starts_with(SET_ELEMENT_ORDER);
    if !patch.iter().all(|(key, value)| value.is_null() || is_parallel(key) || is_retained(key)) {
        return Err(malformed("invalid patch format of retainKeys"));
    }
    original.retain(|key, _| is_retained(key));
    Ok(())
}

/// `$setElementOrder/NAME`: merges the list NAME of the patch, if there is one, and orders the result. Takes both out of the
/// patch.
fn apply_element_orders(original: &mut Map, patch: &mut Map, facts: &Facts<'_>) -> Result<(), Error> {
    let directives: Vec<json::Text> = patch.keys().filter(|key| key.starts_with(SET_ELEMENT_ORDER)).cloned().collect();
    for directive in directives {
        let Some(order) = patch.shift_remove(&directive) else { continue };
        let order = lists::expect(order)?;
        let key = directive
            .strip_prefix(SET_ELEMENT_ORDER)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| malformed("invalid patch format of setElementOrder list"))?;
        let current = original.get_mut(key).map(|list| lists::expect(std::mem::take(list))).transpose()?;
        let items = patch.get(key).cloned().map(lists::expect).transpose()?;
        let field = facts.list(key)?;
        lists::check_order(items.as_deref().unwrap_or_default(), &order, field.merge_key)?;
        let server_order = current.clone().unwrap_or_default();
        let merged = match (current, items.clone()) {
            (None, None) => continue,
            (Some(current), None) => current,
            (None, Some(items)) => items.into_iter().filter_map(without_directives).collect(),
            (Some(current), Some(items)) if field.strategy == Strategy::Merge => {
                lists::merge(current, items, &field, false)?
            }
            (Some(_), Some(items)) => items,
        };
        lists::element_kind(&[&server_order, items.as_deref().unwrap_or_default()])?;
        let ordered = lists::in_order(merged, &order, &server_order, field.merge_key)?;
        original.insert(key, Value::Array(ordered));
        patch.shift_remove(key);
    }
    Ok(())
}

/// Drops fields that are null, at any depth.
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

/// The value without objects that carry a directive; None if it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => Some(Value::Object(
            fields.into_iter().filter_map(|(key, field)| Some((key, without_directives(field)?))).collect(),
        )),
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}

fn malformed(text: &str) -> Error {
    Error::Malformed(text.to_owned())
}

fn unknown_directive(directive: &Value, patch: &Map) -> Error {
    let directive = crate::go_text::percent_v(directive);
    Error::Failed(format!("unknown patch type: {directive} in map: {}", print(patch)))
}

fn print(fields: &Map) -> String {
    crate::go_text::percent_v(&Value::Object(fields.clone()))
}

#[cfg(test)]
mod tests;
