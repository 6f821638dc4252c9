//! Sets of fields: a tree of path elements in which some nodes are members. Upstream: fieldpath.Set.
//!
//! A member need not have members below it, and what lies below a member need not be one: whoever owns an item of a list
//! does not own each of its fields. Nodes are sorted, and none is empty, so equal sets are equal trees.

use std::cmp::Ordering;
use std::fmt;

use super::element::Element;
use super::shape::Place;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<'a> {
    /// Sorted by element.
    pub(super) nodes: Vec<Node<'a>>,
}

/// One element and what is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'a> {
    pub(super) element: Element<'a>,
    pub(super) branch: Branch<'a>,
}

/// The part of a set at and below one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Branch<'a> {
    /// Is the place itself in the set?
    pub(super) member: bool,
    pub(super) below: Set<'a>,
}

impl Branch<'_> {
    pub(super) fn is_empty(&self) -> bool {
        !self.member && self.below.is_empty()
    }
}

impl<'a> Set<'a> {
    /// The set of these paths of field names.
    pub fn of(paths: &[&[&'a str]]) -> Self {
        paths.iter().fold(Set::default(), |set, path| {
            let path: Vec<Element<'a>> = path.iter().map(|name| Element::field(*name)).collect();
            set.plus(Set::path(path))
        })
    }

    /// The set of one path.
    pub(super) fn path(path: Vec<Element<'a>>) -> Self {
        let branch = Branch { member: true, below: Set::default() };
        let whole = path.into_iter().rev().fold(branch, |below, element| {
            let nodes = vec![Node { element, branch: below }];
            Branch { member: false, below: Set { nodes } }
        });
        whole.below
    }

    /// The set of nodes in any order, of which none repeats.
    pub(super) fn from_unsorted(mut nodes: Vec<Node<'a>>) -> Self {
        if !nodes.is_sorted_by(|a, b| a.element <= b.element) {
            nodes.sort_unstable_by(|a, b| a.element.cmp(&b.element));
        }
        Set { nodes }
    }

    /// Nobody's.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn get(&self, element: &Element<'_>) -> Option<&Branch<'a>> {
        let found = self.nodes.binary_search_by(|node| node.element.cmp(element)).ok()?;
        Some(&self.nodes[found].branch)
    }

    /// Is the field of these names in the set?
    pub fn has(&self, path: &[&str]) -> bool {
        let Some((last, above)) = path.split_last() else { return false };
        let mut set = self;
        for name in above {
            match set.get(&Element::field(*name)) {
                Some(branch) => set = &branch.below,
                None => return false,
            }
        }
        set.get(&Element::field(*last)).is_some_and(|branch| branch.member)
    }

    /// What is in one set or the other.
    pub fn plus(self, other: Set<'a>) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        let mut nodes = Vec::with_capacity(self.nodes.len().max(other.nodes.len()));
        let mut right = other.nodes.into_iter().peekable();
        for mut node in self.nodes {
            while let Some(before) = right.next_if(|other| other.element < node.element) {
                nodes.push(before);
            }
            if let Some(same) = right.next_if(|other| other.element == node.element) {
                node.branch.member |= same.branch.member;
                node.branch.below = node.branch.below.plus(same.branch.below);
            }
            nodes.push(node);
        }
        nodes.extend(right);
        Set { nodes }
    }

    /// What is in this set and not in the other. A member below a member of the other stays.
    pub fn minus(mut self, other: &Set<'_>) -> Self {
        self.prune(other, &mut |own, other| {
            own.member &= !other.member;
            let below = std::mem::take(&mut own.below);
            own.below = below.minus(&other.below);
        });
        self
    }

    /// What is in this set and neither in the other nor below one of its members.
    pub(super) fn minus_whole(mut self, other: &Set<'_>) -> Self {
        self.prune(other, &mut |own, other| {
            if other.member {
                *own = Branch::default();
            } else {
                let below = std::mem::take(&mut own.below);
                own.below = below.minus_whole(&other.below);
            }
        });
        self
    }

    /// Changes the nodes that the other set has, too, and drops those left empty.
    fn prune(&mut self, other: &Set<'_>, change: &mut dyn FnMut(&mut Branch<'a>, &Branch<'_>)) {
        let mut rest = other.nodes.as_slice();
        self.nodes.retain_mut(|node| {
            while let Some((first, after)) = rest.split_first() {
                match first.element.cmp(&node.element) {
                    Ordering::Less => rest = after,
                    Ordering::Equal => {
                        change(&mut node.branch, &first.branch);
                        return !node.branch.is_empty();
                    }
                    Ordering::Greater => break,
                }
            }
            true
        });
    }

    /// What is in both sets.
    pub(super) fn common(&self, other: &Set<'_>) -> Set<'a> {
        let mut nodes = Vec::new();
        let mut rest = other.nodes.as_slice();
        for node in &self.nodes {
            while let Some((first, after)) = rest.split_first() {
                match first.element.cmp(&node.element) {
                    Ordering::Less => rest = after,
                    Ordering::Equal => {
                        let member = node.branch.member && first.branch.member;
                        let branch = Branch { member, below: node.branch.below.common(&first.branch.below) };
                        if !branch.is_empty() {
                            nodes.push(Node { element: node.element.clone(), branch });
                        }
                        break;
                    }
                    Ordering::Greater => break,
                }
            }
            if rest.is_empty() {
                break;
            }
        }
        Set { nodes }
    }

    /// With each declared field that has members below it a member itself. Upstream: EnsureNamedFieldsAreMembers.
    pub(super) fn with_named_fields(mut self, place: Place<'_>) -> Self {
        for node in &mut self.nodes {
            let (declared, below) = place.step(&node.element);
            node.branch.member |= declared && !node.branch.below.is_empty();
            node.branch.below = std::mem::take(&mut node.branch.below).with_named_fields(below);
        }
        self
    }

    /// All members, from the top down.
    pub(super) fn paths(&self) -> Vec<Path<'a>> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect(&self, above: &mut Vec<Element<'a>>, found: &mut Vec<Path<'a>>) {
        for node in self.nodes.iter().filter(|node| node.branch.member) {
            let mut path = above.clone();
            path.push(node.element.clone());
            found.push(Path(path));
        }
        for node in &self.nodes {
            above.push(node.element.clone());
            node.branch.below.collect(above, found);
            above.pop();
        }
    }
}

/// A path, printed as messages show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a>(pub(super) Vec<Element<'a>>);

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|element| write!(f, "{element}"))
    }
}
