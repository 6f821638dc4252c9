//! FieldsV1: the JSON form of a field set. Upstream: fieldpath.Set.ToJSON and FromJSON.
//!
//! `{"f:spec":{"f:replicas":{},"f:ports":{"k:{\"port\":80}":{".":{},"f:port":{}}}}}`: a name with nothing below is a member,
//! `.` says so of one with something below.

use json::{Map, Value};

use super::element::{BadElement, Element};
use super::set::{Branch, Node, Set};

impl<'a> Set<'a> {
    /// Reads FieldsV1. What is no object is an empty set.
    pub fn decode(fields: &'a Value) -> Result<Set<'a>, BadElement> {
        branch(fields).map(|branch| branch.below)
    }

    /// Writes FieldsV1, its keys in the order of the elements.
    pub fn encode(&self) -> Value {
        Value::Object(self.members_of(false))
    }

    fn members_of(&self, own: bool) -> Map {
        let mut out = Map::with_capacity(self.nodes.len() + usize::from(own));
        if own && !self.is_empty() {
            out.insert(".", Value::Object(Map::new()));
        }
        for node in &self.nodes {
            out.insert(node.element.encode(), Value::Object(node.branch.below.members_of(node.branch.member)));
        }
        out
    }
}

fn branch(fields: &Value) -> Result<Branch<'_>, BadElement> {
    let mut found = Branch::default();
    let Some(fields) = fields.as_object() else {
        found.member = true;
        return Ok(found);
    };
    let mut nodes: Vec<Node<'_>> = Vec::with_capacity(fields.len());
    for (key, below) in fields {
        if key == "." {
            found.member = true;
            continue;
        }
        if let Some(element) = Element::parse(key)? {
            nodes.push(Node { element, branch: branch(below)? });
        }
    }
    found.below = Set::from_unsorted(nodes);
    // The same element in two spellings.
    found.below.nodes.dedup_by(|later, earlier| {
        let same = later.element == earlier.element;
        if same {
            earlier.branch.member |= later.branch.member;
            earlier.branch.below = std::mem::take(&mut later.branch.below);
        }
        same
    });
    found.member |= found.below.is_empty();
    Ok(found)
}
