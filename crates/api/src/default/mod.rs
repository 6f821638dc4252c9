//! Defaults the server fills in: constants from the table, conditional ones from a short list of rules.
//!
//! [`apply`] walks an object by its schema, from the outside in, and fills in each place. It never removes or checks
//! anything, and expects the form [`crate::decode`] gives. Constants are facts: `data/defaults.txt` for built-in
//! types, `default` of the schema for custom resources ([`crate::schema::Field::default`]).
//! Upstream: `pkg/apis/*/v1/defaults.go` and the generated `SetObjectDefaults_*`.

mod image;
mod rules;
mod table;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use json::{Map, Value};

use crate::quantity::Quantity;
use crate::schema::{Field, ObjectType, Presence, Schema, Type};
pub(crate) use rules::Rule;
pub(crate) use table::{Constant, attach};

/// Fills in all defaults of the object's type, nested ones included. Idempotent.
pub fn apply(object: &mut Value, schema: Schema<'_>) {
    apply_at(object, schema, Timestamp::now());
}

/// As [`apply`]; `now` is what the few times that default to the present get.
pub fn apply_at(object: &mut Value, schema: Schema<'_>, now: Timestamp) {
    if let Value::Object(members) = object {
        walk(members, schema, now);
    }
}

fn walk(members: &mut Map, schema: Schema<'_>, now: Timestamp) {
    let object = schema.object();
    if !object.has_defaults {
        return;
    }
    rules::apply(members, schema, now);
    for constant in &object.constants {
        fill_path(members, schema, &constant.path, &constant.value);
    }
    for field in &object.fields {
        if let Some(default) = &field.default {
            fill(members, schema, field, default);
        }
        if is_resource_list(field) {
            round_up(members.get_mut(field.name.as_ref()));
        }
    }
    for field in &object.fields {
        let Some(inner) = schema.object_of(&field.r#type).filter(|inner| inner.object().has_defaults) else { continue };
        if let Some(value) = members.get_mut(field.name.as_ref()) {
            descend(value, &field.r#type, inner, now);
        }
    }
}

fn is_resource_list(field: &Field) -> bool {
    field.go_type.as_deref() == Some("v1.ResourceList")
}

/// Amounts of resources hold thousandths at most. A canonical quantity that holds less says so by its suffix.
/// Upstream: `SetDefaults_ResourceList`.
fn round_up(list: Option<&mut Value>) {
    for amount in list.and_then(Value::as_object_mut).into_iter().flat_map(|list| list.values_mut()) {
        let quantity =
            amount.as_str().filter(|text| text.ends_with(['u', 'n'])).and_then(|text| text.parse::<Quantity>().ok());
        if let Some(mut quantity) = quantity {
            quantity.round_up(-3);
            *amount = Value::from(quantity.to_string());
        }
    }
}

/// Steps through lists and maps down to the objects.
fn descend(value: &mut Value, r#type: &Type, inner: Schema<'_>, now: Timestamp) {
    match (r#type, value) {
        (Type::List(element), Value::Array(items)) => {
            items.iter_mut().for_each(|item| descend(item, element, inner, now));
        }
        (Type::Map(element), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| descend(entry, element, inner, now));
        }
        (_, Value::Object(members)) => walk(members, inner, now),
        _ => {}
    }
}

/// Sets a field unless it has a value. A zero value behind no pointer counts as none, as in Go.
fn fill(members: &mut Map, schema: Schema<'_>, field: &Field, value: &Value) {
    let unset = match members.get(field.name.as_ref()) {
        None | Some(Value::Null) => true,
        Some(have) => !field.pointer && !schema.object().go_type.is_empty() && is_zero(have),
    };
    if unset {
        insert(members, schema.object(), &field.name, value.clone());
    }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(_) => false,
    }
}

/// Follows a path of field names. Objects behind a pointer are not made on the way, others are always there in Go.
fn fill_path(members: &mut Map, schema: Schema<'_>, path: &[&'static str], value: &Value) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(field) = schema.field(name) else { return };
    if rest.is_empty() {
        return fill(members, schema, field, value);
    }
    let Some(inner) = schema.object_of(&field.r#type) else { return };
    if !field.pointer && field.presence != Presence::OmitZero && !members.get(name).is_some_and(Value::is_object) {
        insert(members, schema.object(), name, Value::Object(Map::new()));
    }
    if let Some(Value::Object(members)) = members.get_mut(name) {
        fill_path(members, inner, rest, value);
    }
}

/// Puts a field in its place in Go's order.
fn insert(members: &mut Map, object: &ObjectType, name: &str, value: Value) {
    if let Some(slot) = members.get_mut(name) {
        *slot = value;
        return;
    }
    let own = object.position(name).unwrap_or(usize::MAX);
    let before = members.keys().take_while(|key| object.position(key).is_some_and(|position| position < own)).count();
    members.shift_insert(before, name, value);
}
