//! Metadata inside custom resources: that of the object itself and of embedded ones is held to the type all objects share.
//! Upstream: `objectmeta.CoerceWithOptions`, `objectmeta.GetObjectMetaWithOptions`.

use json::Value;

use super::Node;
use crate::decode;
use crate::field::{Error, Path};
use crate::scheme::Scheme;

/// Fields no metadata has, which were dropped: `metadata.foo`.
pub type Dropped = Vec<String>;

/// Brings one `metadata` into the form decoding gives; `place` is printed before unknown fields.
///
/// # Errors
/// The decoder's words about a value of a wrong type.
pub fn coerce_metadata(metadata: &mut Value, place: &str) -> Result<Dropped, String> {
    let Some(schema) = Scheme::builtin().type_named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta") else {
        return Ok(Dropped::new());
    };
    let complaints = decode::normalize_typed(metadata, schema)?;
    // `unknown field "foo"`
    let name = |complaint: &String| complaint.split('"').nth(1).map(|name| format!("{place}.{name}"));
    Ok(complaints.iter().filter_map(name).collect())
}

/// Checks types and metadata of embedded resources and drops unknown fields of their metadata; the object itself is not
/// among them.
///
/// # Errors
/// The first value of a wrong type.
pub fn coerce(value: &mut Value, node: Option<&Node>) -> Result<Dropped, Box<Error>> {
    let mut dropped = Dropped::new();
    if let Some(node) = node {
        descend(value, node, &Path::nil(), &mut dropped)?;
    }
    dropped.sort_unstable();
    Ok(dropped)
}

fn descend(value: &mut Value, node: &Node, path: &Path, dropped: &mut Dropped) -> Result<(), Box<Error>> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields.iter_mut() {
                if node.embedded {
                    of_resource(name, value, path, dropped)?;
                }
                if let Some(property) = node.property(name) {
                    descend(value, property, &path.child(name.to_string()), dropped)?;
                } else if let Some(values) = node.additional.values() {
                    descend(value, values, &path.key(name.clone()), dropped)?;
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = node.items.as_deref() else { return Ok(()) };
            for (index, item) in items.iter_mut().enumerate() {
                descend(item, inner, &path.index(index), dropped)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn of_resource(name: &str, value: &mut Value, path: &Path, dropped: &mut Dropped) -> Result<(), Box<Error>> {
    match name {
        "apiVersion" | "kind" if !value.is_string() => {
            Err(Box::new(Error::invalid(&path.child(name.to_owned()), value.clone(), "must be a string")))
        }
        "metadata" => {
            let place = path.child("metadata");
            let found = coerce_metadata(value, &place.to_string())
                .map_err(|problem| Box::new(Error::invalid(&place, value.clone(), problem)))?;
            dropped.extend(found);
            Ok(())
        }
        _ => Ok(()),
    }
}
