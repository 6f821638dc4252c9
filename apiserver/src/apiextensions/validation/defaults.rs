//! Are the defaults of a schema such as it demands?
//! Upstream: apiextensions-apiserver/pkg/apiserver/schema/defaulting.ValidateDefaults.

use api::field::{Error, ErrorList, Path};
use api::structural::{self, Node};
use json::Value;

use super::schema::under;
use crate::apiextensions::embedded;
use crate::registry::fields::At;

/// Faults of all defaults of a schema that is structural otherwise; `node` is compiled of it.
pub(super) fn validate(schema: &At<'_>, node: &Node) -> ErrorList {
    let mut errors = ErrorList::new();
    walk(schema, node, &mut errors);
    errors
}

/// Maps are not entered: defaults of their values are never filled in where nothing is.
fn walk(schema: &At<'_>, node: &Node, errors: &mut ErrorList) {
    let default = schema.field("default");
    if default.is_set() {
        one(&default, node, errors);
    }
    if let Some(inner) = node.items.as_deref() {
        walk(&schema.field("items"), inner, errors);
    }
    for (name, property) in schema.field("properties").entries() {
        if let Some(inner) = node.property(name) {
            walk(&property, inner, errors);
        }
    }
}

fn one(default: &At<'_>, node: &Node, errors: &mut ErrorList) {
    let mut pruned: Value = default.value.clone();
    structural::prune(&mut pruned, Some(node), node.embedded, false);
    if pruned != *default.value {
        errors.push(default.invalid("must not have unknown fields"));
    }
    let mut coerced = default.value.clone();
    if let Err(error) = structural::coerce(&mut coerced, Some(node)) {
        errors.push(under(&default.path, *error));
        return;
    }
    let faults = embedded::validate(default.value, Some(node));
    if !faults.is_empty() {
        errors.extend(faults.into_iter().map(|error| under(&default.path, error)));
        return;
    }
    let place: &Path = &default.path;
    let found: Vec<Error> = structural::validate(default.value, node, place).into_iter().collect();
    errors.extend(found);
}
