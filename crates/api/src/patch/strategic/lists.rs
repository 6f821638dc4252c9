//! Lists: merging by key or as sets, deleting from them, and the order of the result.

use super::facts::Field;
use super::{DIRECTIVE, Error, malformed, merge_map, print, unknown_directive};
use crate::go_text::{percent_v, type_name};
use json::Value;

/// The list a value must be.
pub(super) fn expect(value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_type("[]interface {}", &other)),
    }
}

fn wrong_type(expected: &str, received: &Value) -> Error {
    // Go has no type name for null and prints its complaint about that.
    let received = if received.is_null() { "%!s(<nil>)" } else { type_name(received) };
    Error::Failed(format!("expected a {expected}, but received a {received}"))
}

/// Merges the elements of `patch` into `original`; with `deletes`, takes them out.
pub(super) fn merge(
    original: Vec<Value>,
    patch: Vec<Value>,
    field: &Field<'_>,
    deletes: bool,
) -> Result<Vec<Value>, Error> {
    if original.is_empty() && patch.is_empty() {
        return Ok(original);
    }
    let kind = element_kind(&[&original, &patch])?;
    if kind != "map[string]interface {}" {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let mut merged = original.clone();
        merged.extend(patch.iter().cloned());
        dedup(&mut merged);
        return in_order(merged, &patch, &original, None);
    }
    let Some(merge_key) = field.merge_key else {
        return Err(Error::Failed(format!("cannot merge lists without merge key for {}", field.facts.kind())));
    };
    let (original, patch) = apply_element_directives(original, patch, merge_key)?;
    let mut merged = original.clone();
    for item in &patch {
        let Value::Object(fields) = item else { continue };
        let key = fields.get(merge_key).ok_or_else(|| no_merge_key(item, merge_key))?;
        match position(&merged, merge_key, key)? {
            Some(at) => {
                let Value::Object(current) = std::mem::take(&mut merged[at]) else { continue };
                merged[at] = Value::Object(merge_map(current, fields.clone(), field.facts)?);
            }
            None => merged.push(item.clone()),
        }
    }
    in_order(merged, &patch, &original, Some(merge_key))
}

/// Elements with `$patch` act on the list: delete takes the element of the same key out, replace makes the patch's other
/// elements the list.
fn apply_element_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let mut plain = Vec::new();
    let mut replace = false;
    for item in patch {
        let Value::Object(fields) = &item else { continue };
        let Some(directive) = fields.get(DIRECTIVE) else {
            plain.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let key = fields.get(merge_key).ok_or_else(|| no_merge_key(&item, merge_key))?;
                while let Some(at) = position(&original, merge_key, key)? {
                    original.remove(at);
                }
            }
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(Error::Failed("merging lists cannot yet be specified in the patch".to_owned()));
            }
            _ => return Err(unknown_directive(directive, fields)),
        }
    }
    Ok(if replace { (plain, Vec::new()) } else { (original, plain) })
}

/// Elements named in `order` in its order, the others in `server_order`'s, both woven together so that, where the server's
/// list tells which of two comes first, it is kept.
pub(super) fn in_order(
    merged: Vec<Value>,
    order: &[Value],
    server_order: &[Value],
    merge_key: Option<&str>,
) -> Result<Vec<Value>, Error> {
    if let Some(merge_key) = merge_key {
        for item in merged.iter().chain(order) {
            if item.get(merge_key).is_none() {
                return Err(no_merge_key(item, merge_key));
            }
        }
    }
    let rank = |list: &[Value], item: &Value| list.iter().position(|other| same(other, item, merge_key));
    let (mut named, mut others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| rank(order, item).is_some());
    named.sort_by_key(|item| rank(order, item));
    others.sort_by_key(|item| rank(server_order, item));

    let mut woven = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for other in others {
        let before = |item: &Value| match (rank(server_order, &other), rank(server_order, item)) {
            (Some(other), Some(item)) => item < other,
            _ => true,
        };
        while let Some(item) = named.next_if(before) {
            woven.push(item);
        }
        woven.push(other);
    }
    woven.extend(named);
    Ok(woven)
}

/// Checks that the patch's elements come in the order `$setElementOrder` gives.
pub(super) fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), Error> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut rest = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if let Some(merge_key) = merge_key {
            check_keyed(item, merge_key)?;
        }
        let found = loop {
            let Some(next) = rest.next() else { break false };
            if let Some(merge_key) = merge_key {
                check_keyed(next, merge_key)?;
            }
            if same(next, item, merge_key) {
                break true;
            }
        };
        if !found {
            let (patch, order) = (percent_v(&Value::from(patch.to_vec())), percent_v(&Value::from(order.to_vec())));
            let text = format!("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n");
            return Err(Error::Failed(text));
        }
    }
    Ok(())
}

/// The one Go type all elements have. Lists of lists and mixed lists do not merge.
pub(super) fn element_kind(lists: &[&[Value]]) -> Result<&'static str, Error> {
    let mut kind = None;
    for item in lists.iter().copied().flatten() {
        let this = type_name(item);
        match kind {
            None if item.is_array() => {
                return Err(Error::NotApplicable("lists of lists are not supported".to_owned()));
            }
            None => kind = Some(this),
            Some(kind) if kind == this => {}
            Some(_) => {
                let lists: Vec<String> = lists.iter().map(|list| percent_v(&Value::from(list.to_vec()))).collect();
                return Err(Error::Failed(format!("list element types are not identical: [{}]", lists.join(" "))));
            }
        }
    }
    kind.ok_or_else(|| Error::Failed("no elements in any of the given slices".to_owned()))
}

/// Where the element with this key is.
fn position(items: &[Value], merge_key: &str, key: &Value) -> Result<Option<usize>, Error> {
    if let Some(at) = items.iter().position(|item| !item.is_object()) {
        return Err(Error::Failed(format!("value for key {at} is not a map")));
    }
    Ok(items.iter().position(|item| item.get(merge_key) == Some(key)))
}

fn same(a: &Value, b: &Value, merge_key: Option<&str>) -> bool {
    match merge_key {
        Some(merge_key) => a.get(merge_key) == b.get(merge_key),
        None => a == b,
    }
}

fn dedup(items: &mut Vec<Value>) {
    let mut kept: Vec<Value> = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *items = kept;
}

fn check_keyed(item: &Value, merge_key: &str) -> Result<(), Error> {
    if !item.is_object() {
        return Err(wrong_type("map[string]interface {}", item));
    }
    if item.get(merge_key).is_none() { Err(no_merge_key(item, merge_key)) } else { Ok(()) }
}

fn no_merge_key(item: &Value, merge_key: &str) -> Error {
    let item = match item {
        Value::Object(fields) => print(fields),
        _ => return malformed("invalid JSON document"),
    };
    Error::Failed(format!("map: {item} does not contain declared merge key: {merge_key}"))
}
