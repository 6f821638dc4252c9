//! Reader of `data/defaults.txt`.

use std::collections::HashMap;

use json::Value;

use super::rules;
use crate::schema::{Field, Name, Type, TypeId, Types};

/// A constant that belongs to a type.
#[derive(Clone, Debug)]
pub(crate) struct Constant {
    /// Field names, counted from the type.
    pub(crate) path: Vec<&'static str>,
    /// What an unset field gets.
    pub(crate) value: Value,
}

/// Gives the built-in types their defaults: the table's, the published ones and the rules. The error is the line that
/// does not fit.
pub(crate) fn attach(
    types: &mut Types,
    by_name: &HashMap<Name, TypeId>,
    text: &'static str,
) -> Result<(), &'static str> {
    let own = types.own_mut();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (model, constant) = parse(line).ok_or(line)?;
        let id = by_name.get(model.as_str()).ok_or(line)?;
        own[id.0 as usize].constants.push(constant);
    }
    for object in own.iter_mut() {
        object.rule = rules::rule(&object.name);
        for field in &mut object.fields {
            field.default = published(field).map(Box::new);
        }
    }
    mark(types);
    Ok(())
}

/// Upstream fills in what it publishes, where that differs from what an unset field is anyway.
fn published(field: &Field) -> Option<Value> {
    let value: Value = json::from_str(field.published_default.as_deref()?).ok()?;
    let trivial = matches!(&value, Value::Object(_)) || (!field.pointer && super::is_zero(&value));
    (!trivial).then_some(value)
}

/// Finds the types with nothing to fill in at any depth, so that walks stop there.
fn mark(types: &mut Types) {
    let own = types.own_mut();
    for object in own.iter_mut() {
        object.has_defaults = !object.constants.is_empty()
            || object.rule.is_some()
            || object.fields.iter().any(|field| field.default.is_some() || super::is_resource_list(field));
    }
    loop {
        let newly: Vec<usize> = (0..own.len())
            .filter(|position| !own[*position].has_defaults)
            .filter(|position| {
                let inner = own[*position].fields.iter().filter_map(|field| target(&field.r#type));
                inner.into_iter().any(|id| own[id.0 as usize].has_defaults)
            })
            .collect();
        if newly.is_empty() {
            return;
        }
        newly.into_iter().for_each(|position| own[position].has_defaults = true);
    }
}

/// The object type a value leads to.
fn target(r#type: &Type) -> Option<TypeId> {
    match r#type {
        Type::Object(id) => Some(*id),
        Type::List(element) | Type::Map(element) => target(element),
        _ => None,
    }
}

fn parse(line: &'static str) -> Option<(String, Constant)> {
    let (model, rest) = line.split_once(' ')?;
    let (path, value) = rest.split_once(' ')?;
    let model = if model.starts_with("io.k8s.") { model.to_owned() } else { format!("io.k8s.api.{model}") };
    let value = json::from_str(value).ok()?;
    Some((model, Constant { path: path.split('.').collect(), value }))
}
