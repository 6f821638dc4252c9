//! An applied configuration put over a live object: what it says wins, what it does not say stays.
//! Upstream: TypedValue.Merge.

use std::collections::BTreeMap;

use json::{Map, Value};

use super::element::Element;
use super::shape::{Fields, Items, List, Place, Shape};

/// The merged object; the error is upstream's text.
pub(super) fn merged(live: &Value, applied: &Value, place: Place<'_>) -> Result<Value, String> {
    at(Some(live), Some(applied), place).map(Option::unwrap_or_default)
}

/// None is nothing there.
fn at<'a>(live: Option<&'a Value>, applied: Option<&'a Value>, place: Place<'a>) -> Result<Option<Value>, String> {
    let wins = applied.or(live);
    match place.shape(wins) {
        Shape::List(list) if !matches!(list.items, Items::Whole) => {
            let of = |value: Option<&'a Value>| value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            match (of(live), of(applied)) {
                ([], []) => Ok(wins.cloned()),
                (live, applied) => {
                    let items = merged_items(&list, live, applied)?;
                    Ok((!items.is_empty()).then_some(Value::Array(items)))
                }
            }
        }
        Shape::Map(fields) if !fields.whole => {
            let of = |value: Option<&'a Value>| value.and_then(Value::as_object).filter(|map| !map.is_empty());
            match (of(live), of(applied)) {
                (None, None) => Ok(wins.cloned()),
                (live, applied) => {
                    let members = merged_members(&fields, live, applied)?;
                    Ok((!members.is_empty()).then_some(Value::Object(members)))
                }
            }
        }
        _ => Ok(wins.cloned()),
    }
}

fn merged_members<'a>(fields: &Fields<'a>, live: Option<&'a Map>, applied: Option<&'a Map>) -> Result<Map, String> {
    let mut out = Map::with_capacity(live.map_or(0, Map::len) + applied.map_or(0, Map::len));
    let child = |key: &str| fields.child(key).map_or(Place::Whole, |(place, _)| place);
    for (key, value) in live.into_iter().flatten() {
        let over = applied.and_then(|applied| applied.get(key));
        out.extend(at(Some(value), over, child(key))?.map(|value| (key.clone(), value)));
    }
    for (key, value) in applied.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(key)) {
            out.extend(at(None, Some(value), child(key))?.map(|value| (key.clone(), value)));
        }
    }
    Ok(out)
}

/// Items in the order of the applied list; those only the live list has keep their places between the ones both have.
fn merged_items<'a>(list: &List<'a>, live: &'a [Value], applied: &'a [Value]) -> Result<Vec<Value>, String> {
    let (ours, theirs) = (named(list, live)?, named(list, applied)?);
    let mut own: BTreeMap<&Element<'_>, Option<&Value>> = BTreeMap::new();
    for (element, item) in ours.iter().zip(live) {
        // An item that is there twice is not merged with: the applied one replaces both.
        own.entry(element).and_modify(|item| *item = None).or_insert(Some(item));
    }
    let applied_elements: std::collections::BTreeSet<&Element<'_>> = theirs.iter().collect();
    let mut shared = theirs.iter().filter(|element| own.contains_key(element)).peekable();
    let mut out = Vec::with_capacity(live.len().max(applied.len()));
    let mut next = 0;
    for (element, item) in theirs.iter().zip(applied) {
        while let Some(candidate) = ours.get(next) {
            if !applied_elements.contains(candidate) {
                out.push(live[next].clone());
            } else if candidate == element || shared.peek() == Some(&candidate) {
                break;
            } else if shared.peek().is_none() {
                next += 1;
                break;
            }
            next += 1;
        }
        next += usize::from(ours.get(next) == Some(element));
        shared.next_if(|first| *first == element);
        out.extend(at(own.get(element).copied().flatten(), Some(item), list.element)?);
    }
    let rest = ours.iter().zip(live).skip(next);
    out.extend(rest.filter(|(element, _)| !applied_elements.contains(element)).map(|(_, item)| item.clone()));
    Ok(out)
}

fn named<'a>(list: &List<'a>, items: &'a [Value]) -> Result<Vec<Element<'a>>, String> {
    let items = items.iter().enumerate();
    items.map(|(position, item)| list.element_of(item).map_err(|why| format!("element {position}: {why}"))).collect()
}
