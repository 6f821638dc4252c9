//! An object without some of its fields. Upstream: TypedValue.RemoveItems.

use json::Value;

use super::set::{Branch, Set};
use super::shape::{Items, Place, Shape};

/// Takes fields and items out of a value. What has nothing left is null, and so is what cannot lose a part.
pub(super) fn remove(value: &mut Value, gone: &Set<'_>, place: Place<'_>) {
    let left = match place.shape(Some(&*value)) {
        Shape::Scalar(_) => true,
        Shape::List(list) => match value.as_array_mut() {
            Some(items) if !matches!(list.items, Items::Whole) => {
                items.retain_mut(|item| {
                    let branch = list.element_of(item).ok().and_then(|element| gone.get(&element));
                    keep(item, branch, list.element)
                });
                !items.is_empty()
            }
            _ => false,
        },
        Shape::Map(fields) => match value.as_object_mut() {
            Some(members) if !fields.whole => {
                members.retain(|key, value| {
                    let branch = gone.get(&super::Element::field(key.as_str()));
                    let place = fields.child(key).map_or(Place::Whole, |(place, _)| place);
                    keep(value, branch, place)
                });
                !members.is_empty()
            }
            _ => false,
        },
    };
    if !left {
        *value = Value::Null;
    }
}

fn keep(value: &mut Value, gone: Option<&Branch<'_>>, place: Place<'_>) -> bool {
    match gone {
        Some(gone) if gone.member => false,
        Some(gone) if !gone.below.is_empty() => {
            remove(value, &gone.below, place);
            true
        }
        _ => true,
    }
}
