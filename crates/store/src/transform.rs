//! The form in which values are served, made once per object and revision.

use std::fmt;

use bytes::Bytes;

use crate::{Decoded, Revision};

/// Makes the bytes that the view holds and serves out of the bytes that were stored.
///
/// Called once when an entry enters the view, on the thread that feeds it: it must be quick and must not panic. The API server writes the
/// resource version into the object here, so that every later read and watch sends the same bytes.
pub trait Transform: Send + Sync + fmt::Debug {
    /// Reads the value stored under `key`. Not asked for values whose writer said what they are: see [`Draft`](crate::Draft).
    fn decode(&self, key: &str, stored: &Bytes) -> Result<Decoded, Undecodable>;

    /// The bytes to serve for a decoded value at `mod_revision`. Whatever it returns should own no more memory than it needs.
    fn serve(&self, _key: &str, value: Bytes, _mod_revision: Revision) -> Bytes {
        value
    }

    /// The bytes to serve in the event of a deletion at `revision`, given what was `served` for the last value.
    fn serve_deleted(&self, _key: &str, served: &Bytes, _revision: Revision) -> Bytes {
        served.clone()
    }
}

/// Why a stored value cannot be served.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Undecodable(pub String);

/// Serves values as they are stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsStored;

impl Transform for AsStored {
    fn decode(&self, _key: &str, stored: &Bytes) -> Result<Decoded, Undecodable> {
        Ok(Decoded { value: stored.clone(), terms: Box::default() })
    }
}
