//! A write: conditions and operations that take effect together, at one revision, or not at all.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::{Entry, Error, ErrorKind, Revision, Term, Timestamp};

/// The longest key taken. Upstream's are a few hundred bytes at most.
const KEY_MAX: usize = 64 << 10;

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
    /// Creates or overwrites.
    Put {
        /// The full key.
        key: Arc<str>,
        /// The value.
        value: Draft,
        /// When the key is to disappear; replaces what an earlier write said.
        expires: Option<Timestamp>,
    },
    /// Removes. The whole transaction fails with `KeyNotFound` if the key is absent.
    Delete {
        /// The full key.
        key: Arc<str>,
    },
}

/// A value on its way into the store. Its bytes are kept as they are handed in: give them buffers of their own, not slices of larger ones.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What is made durable.
    pub stored: Bytes,
    /// What a reader makes of it, for writers who know: then nothing decodes here what was just encoded.
    pub ready: Option<Decoded>,
}

/// A stored value as a view takes it in.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// The bytes that are served once a revision is written into them; see [`Transform::serve`](crate::Transform::serve).
    pub value: Bytes,
    /// What the object is to be found by, each term once.
    pub terms: Box<[Term]>,
}

impl<T: Into<Bytes>> From<T> for Draft {
    fn from(stored: T) -> Draft {
        Draft { stored: stored.into(), ready: None }
    }
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
    /// Fails with `Invalid` if no state of the store would take it: a key that is empty, far too long, or written twice.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let mut seen = HashSet::with_capacity(self.operations.len());
        for operation in &self.operations {
            let key = operation.key();
            if key.is_empty() || key.len() > KEY_MAX || !seen.insert(key) {
                let why = io::Error::other("a key is empty, too long or written twice");
                return Err(Error::new(ErrorKind::Invalid).on(key.clone()).because(why));
            }
        }
        Ok(())
    }

    /// Stores `value` under a key that must be absent.
    pub fn create(key: impl Into<Arc<str>>, value: impl Into<Draft>, expires: Option<Timestamp>) -> Txn {
        Txn::put_if(key.into(), value.into(), Revision::ZERO, expires)
    }

    /// Replaces the value that was written at `revision`.
    pub fn update(
        key: impl Into<Arc<str>>,
        value: impl Into<Draft>,
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

    fn put_if(key: Arc<str>, value: Draft, revision: Revision, expires: Option<Timestamp>) -> Txn {
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
