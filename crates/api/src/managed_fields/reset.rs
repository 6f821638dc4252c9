//! Fields that a write through some endpoint never changes, because the server resets them: they are not owned for being
//! sent. Upstream: rest.ResetFieldsStrategy, fieldpath.Filter.

use super::element::Element;
use super::set::{Node, Set};

/// What is left out of ownership. Paths are of field names; `*` is any one element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// Everything sent counts.
    #[default]
    Nothing,
    /// These and all below them do not.
    Fields(&'static [&'static [&'static str]]),
    /// Only these, what is above and all below them do.
    AllBut(&'static [&'static [&'static str]]),
}

impl Reset {
    /// A set without what is reset.
    pub(super) fn apply<'a>(self, set: Set<'a>) -> Set<'a> {
        match self {
            Reset::Nothing => set,
            Reset::Fields(paths) => set.minus_whole(&Set::of(paths)),
            Reset::AllBut(paths) => only(set, paths),
        }
    }
}

fn only<'a>(set: Set<'a>, paths: &[&[&str]]) -> Set<'a> {
    let keep = |mut node: Node<'a>| {
        let below: Vec<&[&str]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(first, _)| **first == "*" || node.element == Element::field(**first))
            .map(|(_, rest)| rest)
            .collect();
        if below.is_empty() {
            return None;
        }
        if !below.iter().any(|rest| rest.is_empty()) {
            node.branch.below = only(node.branch.below, &below);
        }
        (!node.branch.is_empty()).then_some(node)
    };
    Set { nodes: set.nodes.into_iter().filter_map(keep).collect() }
}
