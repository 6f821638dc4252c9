//! The form in which values are served, made once per object and revision.

use std::fmt;

use bytes::Bytes;

use crate::{Revision, Term};

/// Makes the bytes that the view holds and serves out of the bytes that were stored.
///
/// Called once when an entry enters the view, on the thread that feeds it: it must be quick and must not panic. The API server writes the
/// resource version into the object here, so that every later read and watch sends the same bytes.
pub trait Transform: Send + Sync + fmt::Debug {
    /// The bytes to serve for a value stored under `key` at `mod_revision`. Whatever it returns should own no more memory than it needs.
    fn serve(&self, key: &str, stored: Bytes, mod_revision: Revision) -> Bytes;

    /// The bytes to serve in the event of a deletion at `revision`, given what was `served` for the last value.
    fn serve_deleted(&self, _key: &str, served: &Bytes, _revision: Revision) -> Bytes {
        served.clone()
    }

    /// What the object is to be found by in a [`Snapshot`](crate::Snapshot), given what is `served` for it; each term once.
    fn terms(&self, _key: &str, _served: &Bytes) -> Box<[Term]> {
        Box::default()
    }
}

/// Serves values as they are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsStored;

impl Transform for AsStored {
    fn serve(&self, _key: &str, stored: Bytes, _mod_revision: Revision) -> Bytes {
        stored
    }
}
