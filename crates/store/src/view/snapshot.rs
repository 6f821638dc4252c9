//! All objects at one revision.

use std::fmt;
use std::sync::Arc;

use super::map::Map;
use super::{State, partition_point};
use crate::{Entry, Revision, Term, Unreadable};

/// How many rebuilt older states are kept for the next page.
pub(super) const REBUILT_KEPT: usize = 8;

/// All objects at one revision. Cloning and holding it is cheap: it shares what has not changed since.
#[derive(Clone)]
pub struct Snapshot {
    map: Map,
    revision: Revision,
}

impl Snapshot {
    pub(super) fn new(map: Map, revision: Revision) -> Snapshot {
        Snapshot { map, revision }
    }

    /// The revision it shows. It may be newer than the newest object.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The object under exactly this key.
    pub fn get(&self, key: &str) -> Option<Arc<Entry>> {
        self.map.get(key).cloned()
    }

    /// The objects whose keys start with `prefix`, in key order; only those after the key `start_after`, if one is given.
    pub fn range(&self, prefix: &str, start_after: Option<&str>) -> impl Iterator<Item = &Arc<Entry>> {
        self.map.range(prefix, start_after)
    }

    /// Those of [`Snapshot::range`] that have a term. Costs what is found, not what is there.
    pub fn find(&self, term: Term, prefix: &str, start_after: Option<&str>) -> impl Iterator<Item = &Arc<Entry>> {
        self.map.find(term, prefix, start_after)
    }

    /// What is stored under keys that start with `prefix` and cannot be read: found by nothing else here. Of an older state: what cannot
    /// be read now.
    pub fn unreadable(&self, prefix: &str) -> impl Iterator<Item = &Arc<Unreadable>> {
        self.map.unreadable(prefix)
    }

    /// How many keys start with `prefix`. Is known for the folder of a resource, and for those in it (`/registry/pods/default/`);
    /// walks over the keys of any other prefix.
    pub fn count(&self, prefix: &str) -> usize {
        self.map.count(prefix)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.map.len() == 0
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot {{ revision: {}, entries: {} }}", self.revision, self.map.len())
    }
}

/// The map at `revision`, which lies within the window: undoes events from the next newer map there is.
pub(super) fn rebuild(state: &State, revision: Revision) -> Snapshot {
    let newer = partition_point(&state.checkpoints, |checkpoint| checkpoint.revision < revision);
    let (mut map, from) = match state.checkpoints.get(newer) {
        Some(checkpoint) => (checkpoint.map.clone(), checkpoint.revision),
        None => (state.map.clone(), state.revision),
    };
    let undo = state.history_after(revision)..state.history_after(from);
    for event in undo.rev().filter_map(|index| state.history.get(index)) {
        match &event.prev {
            Some(prev) => map.insert(prev.clone()),
            None => map.remove(&event.entry.key),
        };
    }
    Snapshot::new(map, revision)
}
