//! Field sets written under an earlier schema: what is owned as a whole today is owned as a whole, whatever the set says of
//! its parts. Upstream: typed.ReconcileFieldSetWithSchema.

use super::element::Element;
use super::set::{Branch, Set};
use super::shape::{Items, Place, Shape};

impl Set<'_> {
    /// The set under the schema of today.
    pub(super) fn reconciled(mut self, place: Place<'_>) -> Self {
        for node in &mut self.nodes {
            if !matches!(place, Place::Deduced | Place::Whole)
                && let Some(below) = child(place, &node.element)
            {
                node.branch = reconcile(std::mem::take(&mut node.branch), below);
            }
        }
        self
    }
}

fn child<'a>(place: Place<'a>, element: &Element<'_>) -> Option<Place<'a>> {
    match (element, place.shape(None)) {
        (Element::Field(name), Shape::Map(fields)) => fields.child(name).map(|(place, _)| place),
        (Element::Key(_), Shape::List(list)) => Some(list.element),
        _ => None,
    }
}

fn reconcile<'a>(branch: Branch<'a>, place: Place<'_>) -> Branch<'a> {
    if branch.below.is_empty() {
        return branch;
    }
    let whole = match place.shape(None) {
        Shape::Scalar(_) => return branch,
        Shape::List(list) => matches!(list.items, Items::Whole),
        Shape::Map(fields) => fields.whole && !place.is_open(),
    };
    if whole {
        return Branch { member: true, below: Set::default() };
    }
    Branch { member: branch.member, below: branch.below.reconciled(place) }
}
