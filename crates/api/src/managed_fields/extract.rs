//! The fields an object sets. Upstream: TypedValue.ToFieldSet.

use json::Value;

use super::element::Element;
use super::set::{Branch, Node, Set};
use super::shape::{Items, List, Place, Shape};

/// Every leaf of an object, every item of its lists and every key of its maps.
pub(super) fn field_set<'a>(object: &'a Value, place: Place<'a>) -> Set<'a> {
    branch(object, place).below
}

fn branch<'a>(value: &'a Value, place: Place<'a>) -> Branch<'a> {
    let leaf = Branch { member: true, below: Set::default() };
    match place.shape(Some(value)) {
        Shape::Scalar(_) => leaf,
        Shape::List(List { items: Items::Whole, .. }) => leaf,
        Shape::Map(fields) if fields.whole => leaf,
        Shape::List(list) => {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            let nodes = list.grouped(items).unwrap_or_default().into_iter().map(|(element, items)| match items[..] {
                [item] => {
                    let below = branch(item, list.element).below;
                    Node { element, branch: Branch { member: true, below } }
                }
                // Of an item that is there twice nobody knows which fields are whose.
                _ => Node { element, branch: leaf.clone() },
            });
            Branch { member: false, below: Set { nodes: nodes.collect() } }
        }
        Shape::Map(fields) => {
            let mut nodes = Vec::new();
            for (key, value) in value.as_object().into_iter().flatten() {
                let (place, declared) = fields.child(key).unwrap_or((Place::Whole, false));
                let mut branch = branch(value, place);
                branch.member |= !declared || value.is_null() || value.as_object().is_some_and(|map| map.is_empty());
                if !branch.is_empty() {
                    nodes.push(Node { element: Element::field(key.as_str()), branch });
                }
            }
            Branch { member: false, below: Set::from_unsorted(nodes) }
        }
    }
}

impl<'a> List<'a> {
    /// The items by their element, sorted; more than one of an element are duplicates.
    pub(super) fn grouped(&self, items: &'a [Value]) -> Result<Vec<(Element<'a>, Vec<&'a Value>)>, String> {
        let mut named = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            let element = self.element_of(item).map_err(|why| format!("element {position}: {why}"))?;
            named.push((element, vec![item]));
        }
        named.sort_by(|(a, _), (b, _)| a.cmp(b));
        named.dedup_by(|(later, item), (earlier, items)| {
            let same = later == earlier;
            if same {
                items.append(item);
            }
            same
        });
        Ok(named)
    }
}
