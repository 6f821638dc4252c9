//! Filling in defaults. Upstream: `defaulting.Default`.

use json::Value;

use super::Node;

/// Fills in the defaults of the schema, from the outside in. Idempotent.
pub fn default(value: &mut Value, node: Option<&Node>) {
    let Some(node) = node else { return };
    match value {
        Value::Object(fields) => {
            for (name, property) in &node.properties {
                let Some(default) = &property.default else { continue };
                match fields.get_mut(name.as_ref()) {
                    None => drop(fields.insert(&**name, default.as_ref().clone())),
                    Some(value) => replace_null(value, property),
                }
            }
            for (name, value) in fields.iter_mut() {
                match node.property(name) {
                    Some(property) => self::default(value, Some(property)),
                    None => {
                        let Some(values) = node.additional.values() else { continue };
                        replace_null(value, values);
                        self::default(value, Some(values));
                    }
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = node.items.as_deref() else { return };
            for item in items {
                replace_null(item, inner);
                self::default(item, Some(inner));
            }
        }
        _ => {}
    }
}

/// A null that is not allowed is as good as nothing.
fn replace_null(value: &mut Value, node: &Node) {
    if value.is_null()
        && !node.nullable
        && let Some(default) = &node.default
    {
        *value = default.as_ref().clone();
    }
}
