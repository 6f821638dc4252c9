//! Lists that are sets or maps hold each item once. Upstream: `listtype.ValidateListSetsAndMaps`.

use std::collections::HashMap;

use json::{Map, Value};

use super::{Node, walk};
use crate::field::{Error, ErrorList, Path};
use crate::schema::ListType;

/// Reports items that occur again in lists of type `set` and `map`, at any depth.
pub fn validate_lists(object: &Value, node: Option<&Node>) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(node) = node {
        walk(object, node, &Path::nil(), &mut |value, node, path| {
            if let Value::Array(items) = value {
                list(items, node, path, &mut errors);
            }
        });
    }
    errors
}

fn list(items: &[Value], node: &Node, path: &Path, errors: &mut ErrorList) {
    match node.list_type {
        ListType::Set => {
            for index in repeated(items.iter()) {
                errors.push(Error::duplicate(&path.index(index), items[index].clone()));
            }
        }
        ListType::Map => keyed(items, node, path, errors),
        _ => {}
    }
}

fn keyed(items: &[Value], node: &Node, path: &Path, errors: &mut ErrorList) {
    if let Some((index, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null()) {
        let detail = "must be an object for an array of list-type map";
        errors.push(Error::invalid(&path.index(index), item.clone(), detail));
        return;
    }
    let key_of = |item: &Value| -> Value {
        let present = |name: &crate::schema::Name| Some((name.to_string(), item.get(name.as_ref())?.clone()));
        node.map_keys.iter().filter_map(present).collect::<Map>().into()
    };
    let keys: Vec<Value> = items.iter().map(key_of).collect();
    for index in repeated(keys.iter()) {
        errors.push(Error::duplicate(&path.index(index), keys[index].clone()));
    }
}

/// Where a value occurs for the second time, each value once.
fn repeated<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<usize> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut found = Vec::new();
    for (index, value) in values.enumerate() {
        let times = seen.entry(canonical(value)).or_default();
        *times += 1;
        if *times == 2 {
            found.push(index);
        }
    }
    found
}

/// A text that equal values share: fields in the order of their names.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name:?}:{}", canonical(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}
