//! A configuration put over an object by a policy, which owns nothing by it.
//! Upstream: admission/plugin/policy/mutating/patch.ApplyStructuredMergeDiff.

use json::Value;

use super::merge::merged;
use super::shape::{Items, Place, Shape};
use super::validate::{Repeats, validate};

/// The object with what the configuration says; the error is upstream's text. Lists and maps with one owner cannot be written
/// in parts, so a configuration must not name them.
pub fn merge_patch(place: Option<Place<'_>>, live: &Value, configuration: &Value) -> Result<Value, String> {
    let place = place.unwrap_or(Place::Deduced);
    validate(configuration, place, Repeats::Refused)
        .map_err(|why| format!("failed to convert patch object to typed object: {why}"))?;
    let mut whole = Vec::new();
    find_whole(configuration, place, "", &mut whole);
    if !whole.is_empty() {
        let named = whole.join(", ");
        return Err(format!("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {named}"));
    }
    merged(live, configuration, place).map_err(|why| format!("failed to merge patch: {why}"))
}

/// Paths of the lists and maps that have one owner as a whole.
fn find_whole(value: &Value, place: Place<'_>, path: &str, found: &mut Vec<String>) {
    if matches!(place, Place::Deduced) {
        return;
    }
    match (place.shape(Some(value)), value) {
        (Shape::Map(fields), Value::Object(map)) => {
            if fields.whole {
                found.push(path.to_owned());
            }
            for (name, value) in map {
                if let Some((place, true)) = fields.child(name) {
                    find_whole(value, place, &format!("{path}.{name}"), found);
                }
            }
        }
        (Shape::List(list), Value::Array(items)) => {
            if matches!(list.items, Items::Whole) {
                found.push(path.to_owned());
            }
            for (index, item) in items.iter().enumerate() {
                find_whole(item, list.element, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}
