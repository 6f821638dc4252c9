//! Along an object and its schema at once.

use json::Value;

use super::Node;
use crate::field::Path;

/// Calls `visit` with each value of an object that the schema knows, the object first, parents before their children.
pub fn walk(value: &Value, node: &Node, path: &Path, visit: &mut dyn FnMut(&Value, &Node, &Path)) {
    visit(value, node, path);
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if let Some(property) = node.property(name) {
                    walk(value, property, &path.child(name.to_string()), visit);
                } else if let Some(values) = node.additional.values() {
                    walk(value, values, &path.key(name.clone()), visit);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = node.items.as_deref() else { return };
            for (index, item) in items.iter().enumerate() {
                walk(item, inner, &path.index(index), visit);
            }
        }
        _ => {}
    }
}
