//! All objects at one revision.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::{State, partition_point};
use crate::{Entry, Revision};

pub(super) type Map = OrdMap<Arc<str>, Arc<Entry>>;

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
        let end = successor(prefix);
        let lower = match start_after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        // A start beyond the end would be an invalid range for the map.
        let empty = matches!((lower, &end), (Bound::Excluded(key), Some(end)) if key >= end.as_str());
        let lower = if empty { Bound::Included(prefix) } else { lower };
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.map.range::<_, str>((lower, upper)).take(if empty { 0 } else { usize::MAX }).map(|(_, entry)| entry)
    }

    /// How many keys start with `prefix`. Walks over them; does not look at them.
    pub fn count(&self, prefix: &str) -> usize {
        self.range(prefix, None).count()
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True if there is no key.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot {{ revision: {}, entries: {} }}", self.revision, self.map.len())
    }
}

/// The least string greater than every string that starts with `prefix`; none if there is no such string.
fn successor(prefix: &str) -> Option<String> {
    let mut head = prefix.chars();
    while let Some(last) = head.next_back() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            let mut end = head.as_str().to_owned();
            end.push(next);
            return Some(end);
        }
    }
    None
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
            Some(prev) => map.insert(prev.key.clone(), prev.clone()),
            None => map.remove::<str>(&event.entry.key),
        };
    }
    Snapshot::new(map, revision)
}
