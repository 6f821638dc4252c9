//! The one error of the store: a small kind to branch on, and what a human needs to know.

use std::fmt;
use std::sync::Arc;

use crate::{Entry, Revision};

/// What code branches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A compare or a deletion wanted a key that is absent. Nothing was changed.
    KeyNotFound,
    /// A creation found the key present. Nothing was changed. [`Error::current`] has it.
    KeyExists,
    /// A compare found another revision. Nothing was changed. [`Error::current`] has it.
    Conflict,
    /// The revision asked for is older than the window. [`Error::revision`] is the oldest one that can be asked for.
    Compacted,
    /// The revision asked for has not happened yet. [`Error::revision`] is the newest one.
    FutureRevision,
    /// The transaction can never succeed: a key twice, an empty key, more than the log takes. Nothing was changed.
    Invalid,
    /// The log cannot be used, or is closed. For a commit: the outcome is unknown.
    Unreachable,
    /// The log did not answer in time. For a commit: the outcome is unknown.
    Timeout,
    /// The disk failed to sync earlier: nothing is written until the process starts anew, reads go on. Nothing was changed.
    SyncFailed,
    /// What is on disk is damaged. Nothing is served from it.
    Corrupt,
    /// The log is not the one the view was made from: another cluster, or one put back to an earlier state. Nothing is served from it.
    Diverged,
    /// The log is of a version that cannot be relied on.
    Unsupported,
    /// Another process has the data directory.
    Locked,
    /// The disk is full: the write was refused. Later writes work once there is space.
    NoSpace,
}

/// Why the store could not do what was asked. Cheap to clone: one disk error answers a whole batch of commits.
#[derive(Clone, Debug)]
pub struct Error {
    /// What to branch on.
    pub kind: ErrorKind,
    /// The key, or for `Corrupt`, `Locked`, `NoSpace`, `SyncFailed` and `Unreachable` the file or directory, if one is concerned.
    pub key: Option<Arc<str>>,
    /// The revision concerned; see the kinds.
    pub revision: Revision,
    /// The object that made a compare fail, as the view serves it now; `None` if it is gone meanwhile.
    pub current: Option<Arc<Entry>>,
    /// What lies below.
    pub source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Error {
        Error { kind, key: None, revision: Revision::ZERO, current: None, source: None }
    }

    /// A compare found the key written at another revision than `wanted`; revision 0 is an absent key.
    pub(crate) fn compare_failed(key: &Arc<str>, found: Revision, wanted: Revision) -> Error {
        let kind = match (found, wanted) {
            (Revision::ZERO, _) => ErrorKind::KeyNotFound,
            (_, Revision::ZERO) => ErrorKind::KeyExists,
            _ => ErrorKind::Conflict,
        };
        Error::new(kind).on(key.clone()).at(found)
    }

    pub(crate) fn on(mut self, key: impl Into<Arc<str>>) -> Error {
        self.key = Some(key.into());
        self
    }

    pub(crate) fn at(mut self, revision: Revision) -> Error {
        self.revision = revision;
        self
    }

    pub(crate) fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        self.source = Some(Arc::new(source));
        self
    }

    /// True if nobody answered.
    pub(crate) fn is_silence(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable | ErrorKind::Timeout)
    }

    /// True if a compare failed: the caller may read again and try again.
    pub fn is_compare_failed(&self) -> bool {
        matches!(self.kind, ErrorKind::KeyNotFound | ErrorKind::KeyExists | ErrorKind::Conflict)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.as_deref().unwrap_or("?");
        match self.kind {
            ErrorKind::KeyNotFound => write!(f, "key not found: {key}")?,
            ErrorKind::KeyExists => write!(f, "key exists already: {key} (revision {})", self.revision)?,
            ErrorKind::Conflict => write!(f, "key was changed meanwhile: {key} (revision {})", self.revision)?,
            ErrorKind::Compacted => {
                write!(f, "revision has been compacted; the oldest available is {}", self.revision)?
            }
            ErrorKind::FutureRevision => write!(f, "revision is in the future; the newest is {}", self.revision)?,
            ErrorKind::Invalid => write!(f, "the transaction is invalid at {key:?}")?,
            ErrorKind::Unreachable => match &self.key {
                Some(place) => write!(f, "the store at {place} cannot be used")?,
                None => f.write_str("the store is closed")?,
            },
            ErrorKind::Timeout => f.write_str("the store did not answer in time")?,
            ErrorKind::SyncFailed => write!(
                f,
                "the disk of {key} failed to sync earlier: nothing is written any more, reads go on; check the disk and restart krab"
            )?,
            ErrorKind::Corrupt => write!(
                f,
                "the store file {key} is damaged and was left untouched; bring a backup back with `krab store restore`"
            )?,
            ErrorKind::Diverged => write!(
                f,
                "the etcd at {key} is not what this server began with, and is refused; restart krab and what watches it once this is wanted"
            )?,
            ErrorKind::Unsupported => write!(f, "the etcd at {key} cannot be used")?,
            ErrorKind::Locked => write!(
                f,
                "the data directory {key} is in use by another krab; stop that one or choose another --data-dir"
            )?,
            ErrorKind::NoSpace => write!(
                f,
                "no space left on the disk of {key}: the write was refused, nothing is lost; free some space and write again"
            )?,
        }
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

/// What lies below is told by the text already: who prints a chain of errors would say it twice.
impl std::error::Error for Error {}
