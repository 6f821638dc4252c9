//! The two numbers everything is ordered by: revisions (given by the log) and time (given by the caller).

use std::fmt;

/// A point in the history of the whole store. Every commit takes the next one; it never goes back, over restarts either.
///
/// Revision 0 is before everything and, in a [`Compare`](crate::Compare), stands for "the key is absent".
/// Upstream: etcd's `mod_revision`, which the API calls `resourceVersion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Before everything: no store is ever at it.
    pub const ZERO: Revision = Revision(0);

    /// That of a store nothing was ever written to, as etcd's: to clients, 0 means any.
    pub const FIRST: Revision = Revision(1);

    /// The revision after this one.
    pub fn next(self) -> Revision {
        Revision(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment, in milliseconds since the Unix epoch. The store has no clock: the caller says when a key expires and what time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);
