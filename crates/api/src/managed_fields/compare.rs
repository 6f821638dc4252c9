//! What a change of an object changed, as field sets. Upstream: TypedValue.Compare.

use json::{Map, Value};

use super::Reset;
use super::element::{Element, same};
use super::set::{Branch, Node, Set};
use super::shape::{Items, List, Place, Shape};

/// The difference between two objects.
#[derive(Debug, Default)]
pub(super) struct Difference<'a> {
    /// Fields that were added or are now something else.
    pub(super) changed: Set<'a>,
    /// Fields that are gone.
    pub(super) removed: Set<'a>,
}

impl<'a> Difference<'a> {
    /// Without what is reset.
    pub(super) fn filtered(self, reset: Reset) -> Difference<'a> {
        Difference { changed: reset.apply(self.changed), removed: reset.apply(self.removed) }
    }
}

/// A list holds something that is no item of it; the text is upstream's.
pub(super) type Malformed = String;

/// What makes `new` of `old`.
pub(super) fn difference<'a>(old: &'a Value, new: &'a Value, place: Place<'a>) -> Result<Difference<'a>, Malformed> {
    let found = at(Some(old), Some(new), place)?;
    Ok(Difference { changed: found.changed.below, removed: found.removed.below })
}

#[derive(Default)]
struct Found<'a> {
    changed: Branch<'a>,
    removed: Branch<'a>,
}

/// Nodes of the two sets at one level.
#[derive(Default)]
struct Nodes<'a> {
    changed: Vec<Node<'a>>,
    removed: Vec<Node<'a>>,
}

impl<'a> Nodes<'a> {
    fn push(&mut self, element: Element<'a>, found: Found<'a>) {
        match (found.changed.is_empty(), found.removed.is_empty()) {
            (true, true) => {}
            (true, false) => self.removed.push(Node { element, branch: found.removed }),
            (false, true) => self.changed.push(Node { element, branch: found.changed }),
            (false, false) => {
                self.removed.push(Node { element: element.clone(), branch: found.removed });
                self.changed.push(Node { element, branch: found.changed });
            }
        }
    }

    fn into_found(self) -> Found<'a> {
        let branch = |nodes| Branch { member: false, below: Set::from_unsorted(nodes) };
        Found { changed: branch(self.changed), removed: branch(self.removed) }
    }
}

fn at<'a>(old: Option<&'a Value>, new: Option<&'a Value>, place: Place<'a>) -> Result<Found<'a>, Malformed> {
    let (Some(before), Some(after)) = (old, new) else {
        return walk(old, new, place.shape(new.or(old)));
    };
    if !place.is_open() || kind(before) == kind(after) {
        return walk(old, new, place.shape(new));
    }
    // The value became one of another kind: what each kind finds counts.
    let as_before = walk(old, new, place.shape(old))?;
    let as_after = walk(old, new, place.shape(new))?;
    Ok(Found {
        changed: joined(as_before.changed, as_after.changed),
        removed: joined(as_before.removed, as_after.removed),
    })
}

fn joined<'a>(a: Branch<'a>, b: Branch<'a>) -> Branch<'a> {
    Branch { member: a.member || b.member, below: a.below.plus(b.below) }
}

/// Values of a kind are looked at in the same way.
fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
        Value::Array(_) => 2,
        Value::Object(_) => 3,
    }
}

fn walk<'a>(old: Option<&'a Value>, new: Option<&'a Value>, shape: Shape<'a>) -> Result<Found<'a>, Malformed> {
    let mut found = match shape {
        Shape::Scalar(_) => return Ok(leaf(old, new)),
        Shape::List(list) => {
            let (before, after) = (items(old), items(new));
            if matches!(list.items, Items::Whole) || (before.is_empty() && after.is_empty()) {
                return Ok(leaf(old, new));
            }
            // Most lists do not change, and naming their items costs.
            if before == after { Found::default() } else { self::items_of(&list, before, after)? }
        }
        Shape::Map(fields) => {
            let (before, after) = (members(old), members(new));
            let nothing = |map: Option<&Map>| map.is_none_or(Map::is_empty);
            if fields.whole || (nothing(before) && nothing(after)) {
                return Ok(leaf(old, new));
            }
            let mut nodes = Nodes::default();
            let child = |key: &str| fields.child(key).map_or(Place::Whole, |(place, _)| place);
            for (key, value) in before.into_iter().flatten() {
                let other = after.and_then(|after| after.get(key));
                nodes.push(Element::field(key.as_str()), at(Some(value), other, child(key))?);
            }
            for (key, value) in after.into_iter().flatten() {
                if before.is_none_or(|before| !before.contains_key(key)) {
                    nodes.push(Element::field(key.as_str()), at(None, Some(value), child(key))?);
                }
            }
            nodes.into_found()
        }
    };
    found.changed.member |= old.is_none();
    found.removed.member |= new.is_none();
    Ok(found)
}

/// A place that is owned as a whole.
fn leaf<'a>(old: Option<&'a Value>, new: Option<&'a Value>) -> Found<'a> {
    let mut found = Found::default();
    match (old, new) {
        (Some(old), Some(new)) => found.changed.member = !same(old, new),
        (None, _) => found.changed.member = true,
        (Some(_), None) => found.removed.member = true,
    }
    found
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn members(value: Option<&Value>) -> Option<&Map> {
    value.and_then(Value::as_object)
}

fn items_of<'a>(list: &List<'a>, before: &'a [Value], after: &'a [Value]) -> Result<Found<'a>, Malformed> {
    let mut nodes = Nodes::default();
    let mut before = list.grouped(before)?.into_iter().peekable();
    let mut after = list.grouped(after)?.into_iter().peekable();
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return Ok(nodes.into_found()),
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let (old, new) = (old.unzip(), new.unzip());
        let found = item(list.element, &old.1.unwrap_or_default(), &new.1.unwrap_or_default())?;
        if let Some(element) = old.0.or(new.0) {
            nodes.push(element, found);
        }
    }
}

/// All items of one element. Duplicates are one leaf; single items are looked into.
fn item<'a>(place: Place<'a>, old: &[&'a Value], new: &[&'a Value]) -> Result<Found<'a>, Malformed> {
    let mut found = match (old, new) {
        ([], []) => Found::default(),
        ([], [new]) => at(None, Some(*new), place)?,
        ([old], []) => at(Some(*old), None, place)?,
        ([old], [new]) => at(Some(*old), Some(*new), place)?,
        ([_, _, ..], [_, _, ..]) => {
            let mut found = Found::default();
            found.changed.member = old.len() != new.len() || !old.iter().zip(new).all(|(old, new)| same(old, new));
            return Ok(found);
        }
        ([_, _, ..], []) => Found::default(),
        ([_, _, ..], [new]) => at(None, Some(*new), place)?,
        ([], [_, _, ..]) => Found::default(),
        ([old], [_, _, ..]) => at(Some(*old), None, place)?,
    };
    found.removed.member |= old.len() > 1;
    found.changed.member |= new.len() > 1;
    Ok(found)
}
