//! Bodies of custom resources: held to a structural schema, not to a Go struct.
//!
//! Unknown fields are dropped and nulls that mean nothing with them; whether the rest fits is for validation to say, and so
//! is the kind. Upstream: `unstructuredSchemaCoercer` behind `UnstructuredJSONScheme`.

use json::{Map, Value};

use super::node::Node;
use super::{Decoded, Error, Expected, FieldValidation, Syntax, error};
use crate::structural;

/// What the request's path makes of the body of a custom resource.
#[derive(Clone, Copy, Debug)]
pub struct CustomTarget<'a> {
    /// Group of the resource.
    pub group: &'a str,
    /// Version of the resource.
    pub version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its schema; without one everything but metadata is dropped.
    pub node: Option<&'a structural::Node>,
}

pub(super) fn object(
    node: &Node<'_>,
    target: CustomTarget<'_>,
    validation: FieldValidation,
    syntax: Syntax,
    duplicates: Vec<String>,
    body: &dyn Fn() -> Vec<u8>,
) -> Result<Decoded, Error> {
    let unrecognized = |reason: String| Error::unrecognized(reason, Expected::Custom(target), &body());
    let (api_version, kind) = error::type_meta(node).map_err(unrecognized)?;
    if kind.is_empty() {
        let text = String::from_utf8_lossy(&body()).into_owned();
        return Err(unrecognized(format!("Object 'Kind' is missing in '{text}'")));
    }
    let version = api_version.rsplit('/').next().unwrap_or_default().to_owned();
    let malformed = |reason: String| Error::Malformed {
        kind: kind.clone(),
        version: version.clone(),
        target: target.kind.to_owned(),
        reason,
    };
    let expected = format!("{}/{}", target.group, target.version);
    let mut object = node.to_value();
    let mut unknown = Vec::new();
    if let Some(metadata) = object.get_mut("metadata") {
        unknown.extend(structural::coerce_metadata(metadata, "metadata").map_err(&malformed)?);
    }
    if kind == target.kind && api_version.rsplit_once('/').is_some_and(|(group, _)| group == target.group) {
        let schema = target.node.filter(|_| api_version == expected);
        unknown.extend(structural::prune(&mut object, schema, true, validation != FieldValidation::Ignore));
        structural::drop_nulls(&mut object, schema);
        unknown.extend(structural::coerce(&mut object, schema).map_err(|error| malformed(error.to_string()))?);
    }
    let unknown: Vec<String> = unknown.into_iter().map(|path| format!("unknown field \"{path}\"")).collect();
    if validation == FieldValidation::Strict && !(duplicates.is_empty() && unknown.is_empty()) {
        return Err(malformed(error::strict(syntax, &duplicates, &unknown)));
    }
    if api_version != expected {
        return Err(Error::WrongVersion { found: api_version, expected });
    }
    let mut warnings = Vec::new();
    if validation == FieldValidation::Warn {
        warnings.extend(duplicates);
        warnings.extend(unknown);
    }
    Ok(Decoded { object: in_order(object), warnings, emptied: false })
}

/// Type and metadata come first, as objects are stored.
fn in_order(object: Value) -> Value {
    let Value::Object(mut fields) = object else { return object };
    let mut ordered = Map::with_capacity(fields.len());
    for name in ["kind", "apiVersion", "metadata"] {
        if let Some(value) = fields.shift_remove(name) {
            ordered.insert(name, value);
        }
    }
    ordered.extend(fields);
    Value::Object(ordered)
}
