//! A write: conditions and operations that take effect together, at one revision, or not at all.

use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Revision, Timestamp};

/// All operations happen at one revision if all compares hold; otherwise nothing happens.
///
/// No key may be written twice. Compares may name other keys than the operations do. A transaction with no operation only checks.
#[derive(Clone, Debug, Default)]
pub struct Txn {
    /// What must hold.
    pub compare: Vec<Compare>,
    /// What is done.
    pub operations: Vec<Operation>,
}

/// A condition on the newest state.
#[derive(Clone, Debug)]
pub enum Compare {
    /// The key was last written at `revision`; revision 0: the key is absent.
    ///
    /// Fails with `KeyExists` (expected absent), `KeyNotFound` (expected present) or `Conflict` (another revision).
    ModRevision {
        /// The key asked about.
        key: Arc<str>,
        /// What its `mod_revision` must be.
        revision: Revision,
    },
}

/// A change of one key.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Creates or overwrites. The value is kept as it is handed in: give it a buffer of its own, not a slice of a larger one.
    Put {
        /// The full key.
        key: Arc<str>,
        /// The stored form of the value.
        value: Bytes,
        /// When the key is to disappear; replaces what an earlier write said.
        expires: Option<Timestamp>,
    },
    /// Removes. The whole transaction fails with `KeyNotFound` if the key is absent.
    Delete {
        /// The full key.
        key: Arc<str>,
    },
}

impl Operation {
    /// The key it changes.
    pub fn key(&self) -> &Arc<str> {
        match self {
            Operation::Put { key, .. } | Operation::Delete { key } => key,
        }
    }
}

impl Txn {
    /// Stores `value` under a key that must be absent.
    pub fn create(key: impl Into<Arc<str>>, value: impl Into<Bytes>, expires: Option<Timestamp>) -> Txn {
        Txn::put_if(key.into(), value.into(), Revision::ZERO, expires)
    }

    /// Replaces the value that was written at `revision`.
    pub fn update(
        key: impl Into<Arc<str>>,
        value: impl Into<Bytes>,
        revision: Revision,
        expires: Option<Timestamp>,
    ) -> Txn {
        Txn::put_if(key.into(), value.into(), revision, expires)
    }

    /// Removes the value that was written at `revision`.
    pub fn delete(key: impl Into<Arc<str>>, revision: Revision) -> Txn {
        let key = key.into();
        Txn {
            compare: vec![Compare::ModRevision { key: key.clone(), revision }],
            operations: vec![Operation::Delete { key }],
        }
    }

    fn put_if(key: Arc<str>, value: Bytes, revision: Revision, expires: Option<Timestamp>) -> Txn {
        Txn {
            compare: vec![Compare::ModRevision { key: key.clone(), revision }],
            operations: vec![Operation::Put { key, value, expires }],
        }
    }
}

/// What a commit did. It is durable, and the view shows it.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of the commit; of the state that was checked, if there was no operation.
    pub revision: Revision,
    /// One entry per operation, in order: the new object, or for a deletion what its event carries (the last value at `revision`).
    pub entries: Vec<Arc<Entry>>,
}
