//! Dropping what the schema does not know. Upstream: `pruning.PruneWithOptions` and
//! `defaulting.PruneNonNullableNullsWithoutDefaults`.

use json::{Map, Value};

use super::{META_FIELDS, Node};

/// The paths that were dropped (`spec.foo`, `spec.items[3].bar`), sorted; empty unless asked for.
pub type Pruned = Vec<String>;

/// Drops unknown fields. `is_root` (and an embedded resource) keeps kind, apiVersion and metadata.
pub fn prune(value: &mut Value, node: Option<&Node>, is_root: bool, track: bool) -> Pruned {
    let nothing = Node::default();
    let mut pruner = Pruner { track, path: String::new(), dropped: Vec::new() };
    let node = if is_root { Some(node.unwrap_or(&nothing)) } else { node };
    pruner.value(value, node, is_root);
    pruner.dropped.sort_unstable();
    pruner.dropped
}

struct Pruner {
    track: bool,
    path: String,
    dropped: Vec<String>,
}

impl Pruner {
    fn value(&mut self, value: &mut Value, node: Option<&Node>, is_root: bool) {
        match value {
            Value::Object(fields) => self.fields(fields, node, is_root),
            Value::Array(items) => {
                let keeps = node.is_some_and(|node| node.preserve_unknown);
                let inner = node.and_then(|node| node.items.as_deref());
                for (index, item) in items.iter_mut().enumerate() {
                    let length = self.path.len();
                    if self.track {
                        self.path.push_str(&format!("[{index}]"));
                    }
                    if !keeps {
                        self.value(item, inner, false);
                    } else if inner.is_some() {
                        self.preserved(item, inner);
                    }
                    self.path.truncate(length);
                }
            }
            _ => {}
        }
    }

    /// An item of a list that keeps unknown fields keeps them itself, without saying so.
    fn preserved(&mut self, value: &mut Value, node: Option<&Node>) {
        match (value, node) {
            (Value::Object(fields), Some(node)) => self.known_fields(fields, node),
            (Value::Array(items), Some(node)) => {
                items.iter_mut().for_each(|item| self.preserved(item, node.items.as_deref()));
            }
            _ => {}
        }
    }

    fn fields(&mut self, fields: &mut Map, node: Option<&Node>, is_root: bool) {
        let Some(node) = node else {
            self.drop_all(fields);
            return;
        };
        if node.preserve_unknown {
            self.known_fields_of(fields, node, is_root);
            return;
        }
        fields.retain(|name, value| {
            let of_meta = META_FIELDS.contains(&name.as_str());
            if of_meta && (node.embedded || is_root) {
                return true;
            }
            if let Some(property) = node.property(name) {
                self.within(name, |own| own.value(value, Some(property), false));
            } else if node.additional.is_said() {
                self.within(name, |own| own.value(value, node.additional.values(), false));
            } else {
                if !of_meta || !self.path.is_empty() {
                    self.note(name);
                }
                return false;
            }
            true
        });
    }

    fn known_fields(&mut self, fields: &mut Map, node: &Node) {
        self.known_fields_of(fields, node, false);
    }

    /// Unknown fields stay, but what is declared is pruned by its own schema.
    fn known_fields_of(&mut self, fields: &mut Map, node: &Node, is_root: bool) {
        for (name, value) in fields.iter_mut() {
            if (node.embedded || is_root) && META_FIELDS.contains(&name.as_str()) {
                continue;
            }
            if let Some(property) = node.property(name) {
                self.within(name, |own| own.value(value, Some(property), false));
            } else if node.additional.is_said() {
                self.within(name, |own| own.value(value, node.additional.values(), false));
            }
        }
    }

    fn drop_all(&mut self, fields: &mut Map) {
        for name in fields.keys() {
            self.note(name);
        }
        fields.clear();
    }

    fn within(&mut self, name: &str, walk: impl FnOnce(&mut Pruner)) {
        if !self.track {
            return walk(self);
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        walk(self);
        self.path.truncate(length);
    }

    fn note(&mut self, name: &str) {
        if self.track {
            let dropped = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            self.dropped.push(dropped);
        }
    }
}

/// Drops fields that are null where the schema allows no null and has no default to put in their place.
pub fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(fields) => fields.retain(|name, value| {
            let inner = node.and_then(|node| node.field(name));
            if value.is_null() {
                return inner.is_none_or(|node| node.nullable || node.default.is_some());
            }
            drop_nulls(value, inner);
            true
        }),
        Value::Array(items) => {
            let inner = node.and_then(|node| node.items.as_deref());
            items.iter_mut().for_each(|item| drop_nulls(item, inner));
        }
        _ => {}
    }
}
