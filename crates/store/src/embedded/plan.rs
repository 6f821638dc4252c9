//! Decides what a group of waiting transactions does: pure, before anything is written.
//!
//! Each transaction sees the effect of those before it in the group, through an overlay on the newest published state, so no disk is read.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::{Draft, Meta, Place};
use crate::{Change, Compare, Entry, Error, ErrorKind, Operation, Revision, Snapshot, Txn};

/// What the group does, in order.
#[derive(Debug)]
pub(super) struct Plan {
    base: Snapshot,
    revision: Revision,
    /// Keys written in this group; `None` if deleted.
    overlay: HashMap<Arc<str>, Option<Meta>>,
    pub(super) changes: Vec<Change>,
    pub(super) records: Vec<(Place, Vec<u8>)>,
}

/// A transaction that was taken into the plan.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accepted {
    pub(super) revision: Revision,
    /// How many changes it made.
    pub(super) changes: usize,
}

impl Plan {
    pub(super) fn new(base: Snapshot) -> Plan {
        let revision = base.revision();
        Plan { base, revision, overlay: HashMap::new(), changes: Vec::new(), records: Vec::new() }
    }

    /// The revision after the group.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// Takes a transaction in, or says why it cannot happen; then it leaves no trace.
    pub(super) fn add(&mut self, txn: Txn) -> Result<Accepted, Error> {
        self.check(&txn)?;
        if txn.operations.is_empty() {
            return Ok(Accepted { revision: self.revision, changes: 0 });
        }
        self.revision = self.revision.next();
        let changes = txn.operations.len();
        for (operation, index) in txn.operations.into_iter().zip(0..) {
            self.change(operation, Place { revision: self.revision, index });
        }
        Ok(Accepted { revision: self.revision, changes })
    }

    fn check(&self, txn: &Txn) -> Result<(), Error> {
        txn.check()?;
        for Compare::ModRevision { key, revision } in &txn.compare {
            let found = self.find(key).map_or(Revision::ZERO, |meta| meta.place.revision);
            if found != *revision {
                return Err(Error::compare_failed(key, found, *revision));
            }
        }
        for operation in &txn.operations {
            if let Operation::Delete { key } = operation
                && self.find(key).is_none()
            {
                return Err(Error::new(ErrorKind::KeyNotFound).on(key.clone()));
            }
        }
        Ok(())
    }

    fn find(&self, key: &str) -> Option<Meta> {
        match self.overlay.get(key) {
            Some(pending) => *pending,
            None => self.base.get(key).map(|entry| meta(&entry)),
        }
    }

    fn change(&mut self, operation: Operation, place: Place) {
        let before = self.find(operation.key());
        let create_revision = before.map_or(place.revision, |meta| meta.create_revision);
        let version = before.map_or(0, |meta| meta.version);
        let (value, expires, version) = match &operation {
            Operation::Put { value, expires, .. } => (Some(&value.stored[..]), *expires, version + 1),
            Operation::Delete { .. } => (None, None, version),
        };
        let meta = Meta { place, create_revision, version };
        let superseded = before.map_or(Place::ZERO, |meta| meta.place);
        let draft = Draft { meta, superseded, expires, key: operation.key(), value };
        self.records.push((place, draft.encode()));
        self.overlay.insert(operation.key().clone(), value.is_some().then_some(meta));
        self.changes.push(Change { revision: place.revision, operation, written: None });
    }
}

/// What the view's entry says of itself.
pub(super) fn meta(entry: &Entry) -> Meta {
    Meta {
        place: Place { revision: entry.mod_revision, index: entry.index },
        create_revision: entry.create_revision,
        version: entry.version,
    }
}
