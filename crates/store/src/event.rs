//! What watchers get: events, in batches that never split a revision.

use std::ops::Range;
use std::sync::Arc;

use crate::{Entry, Revision};

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The key was created or changed; created if [`Event::prev`] is `None`.
    Put,
    /// The key was deleted or has expired.
    Delete,
}

/// One change of one key, shared by all who watch it.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The revision of the commit.
    pub revision: Revision,
    /// The new object. For a deletion: the last value, served again at the revision of the deletion.
    pub entry: Arc<Entry>,
    /// The object before the change, as it was served; always there for a deletion, never for a creation.
    pub prev: Option<Arc<Entry>>,
}

/// Events in revision order. All events of one revision that the watch sees are in the same batch. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) shared: Arc<[Arc<Event>]>,
    pub(crate) range: Range<usize>,
    /// The watch has seen everything of its prefix up to and with this revision.
    pub revision: Revision,
}

impl Batch {
    /// The events; never empty.
    pub fn events(&self) -> &[Arc<Event>] {
        self.shared.get(self.range.clone()).unwrap_or_default()
    }
}
