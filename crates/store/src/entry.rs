//! One stored object at one revision, with a place for what readers derive from it.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::{Revision, Term, Timestamp};

/// An object as the view serves it: immutable, shared by every snapshot, list and watcher.
pub struct Entry {
    /// The full key, as `/registry/pods/default/web-0`.
    pub key: Arc<str>,
    /// The value in the form [`Transform`](crate::Transform) gave it.
    pub value: Bytes,
    /// The revision at which this key was last created.
    pub create_revision: Revision,
    /// The revision of this value. In the event of a deletion: the revision of the deletion.
    pub mod_revision: Revision,
    /// How often the key has been written since it was created; 1 for a fresh object.
    pub version: u64,
    /// When the key is to disappear, if ever.
    pub expires: Option<Timestamp>,
    /// Which operation of its commit wrote it; with the revision, the place of its record in the log.
    pub(crate) index: u32,
    /// What it is found by; nothing for the last value of what was deleted.
    pub(crate) terms: Box<[Term]>,
    slots: OnceLock<Box<Slot>>,
}

/// One derived value. Slots form a list that only grows, so reading needs no lock; there are as many as derived types, two or three.
struct Slot {
    value: Arc<dyn Any + Send + Sync>,
    next: OnceLock<Box<Slot>>,
}

impl Entry {
    pub(crate) fn new(key: Arc<str>, value: Bytes, revision: Revision, index: u32) -> Entry {
        Entry {
            key,
            value,
            create_revision: revision,
            mod_revision: revision,
            version: 1,
            expires: None,
            index,
            terms: Box::default(),
            slots: OnceLock::new(),
        }
    }

    /// Is this what it can be found by? The last value of what was deleted is found by nothing.
    pub fn has(&self, term: Term) -> bool {
        self.terms.contains(&term)
    }

    /// Derived data of type `T`, if somebody has asked for it with [`Entry::slot`].
    pub fn made<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        find(&self.slots)
    }

    /// Derived data of type `T` (decoded labels, another encoding), made by the first who asks and shared by all later readers.
    ///
    /// `T` names the slot: use a distinct type for each meaning. `make` may itself use other slots of this entry. Two threads that ask
    /// for the first time at once may both run `make`; both get the same winner.
    pub fn slot<T: Any + Send + Sync>(&self, make: impl FnOnce(&Entry) -> T) -> Arc<T> {
        if let Some(found) = find::<T>(&self.slots) {
            return found;
        }
        // Made outside of the cell: `make` may come back for another slot, and a cell being filled must not be entered again.
        let made: Arc<T> = Arc::new(make(self));
        let mut new = Box::new(Slot { value: made.clone(), next: OnceLock::new() });
        let mut cell = &self.slots;
        loop {
            match cell.set(new) {
                Ok(()) => return made,
                Err(rejected) => new = rejected,
            }
            let Some(slot) = cell.get() else { return made };
            if let Ok(winner) = slot.value.clone().downcast::<T>() {
                return winner;
            }
            cell = &slot.next;
        }
    }
}

fn find<T: Any + Send + Sync>(mut cell: &OnceLock<Box<Slot>>) -> Option<Arc<T>> {
    while let Some(slot) = cell.get() {
        if slot.value.is::<T>() {
            return slot.value.clone().downcast::<T>().ok();
        }
        cell = &slot.next;
    }
    None
}

/// What is stored under a key and cannot be read: in no list and no watch, so that nobody takes it for deleted.
#[derive(Debug)]
pub struct Unreadable {
    /// The full key.
    pub key: Arc<str>,
    /// The revision of this value.
    pub mod_revision: Revision,
    /// What is wrong with it.
    pub reason: String,
    /// The last value that could be read, if this store has seen one: what its watchers know.
    pub(crate) last: Option<Arc<Entry>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .field("create_revision", &self.create_revision.0)
            .field("mod_revision", &self.mod_revision.0)
            .field("version", &self.version)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
