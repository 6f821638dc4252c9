//! The border to a backend.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::watch as signal;

use crate::{Check, Committed, Error, Revision, Timestamp, Txn};

/// What orders commits and makes them durable: the embedded store or etcd.
///
/// A log is made with the [`Feed`](crate::Feed) of a view, the only thing that may change it, and pushes every committed change into it, in
/// revision order, whoever made it. What it promises:
///
/// - A commit is answered once, after it is durable and after the feed has been given it, so that the next read shows it.
/// - A commit whose outcome is unknown is answered with `Unreachable` or `Timeout` and is never tried again by the log: a retry could
///   overwrite what others did meanwhile. The caller reads and decides.
/// - Revisions never go back, over restarts either, and a refused commit leaves no trace.
/// - Dropping the future of a commit does not undo it.
pub trait Log: Send + Sync + fmt::Debug {
    /// Applies a transaction. Commits that wait at the same time may share one disk write but never a revision.
    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, Error>>;

    /// A revision not older than any commit acknowledged, by anyone, before this call.
    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>>;

    /// Gives up history before `revision`: after it the oldest snapshot is at `revision`, and watches start after it.
    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>>;

    /// Tells the time: history grows old, and keys that expire at `now` or before are deleted, each at a revision of its own; by a log with
    /// a clock of its own, when that says so.
    /// A time earlier than the last one is taken as the last one.
    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<(), Error>>;

    /// True if other programs read and write what is in it, so that values must be in the form all of them know.
    fn is_shared(&self) -> bool {
        false
    }

    /// What the last comparison of the view with the log found; None if nothing lies between the two that could lose something.
    fn checks(&self) -> Option<signal::Receiver<Option<Arc<Check>>>> {
        None
    }

    /// How many bytes what is stored takes where it is stored; 0 if it is only in memory.
    fn size(&self) -> BoxFuture<'_, Result<u64, Error>>;

    /// Finishes what was begun, gives back files and locks. Every later call answers `Unreachable`.
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
