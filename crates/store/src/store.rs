//! The store as the API server holds it: a view and the log that feeds it.

use std::sync::Arc;

use tokio::sync::watch as signal;

use crate::{Check, Committed, Error, Log, Revision, Snapshot, Timestamp, Txn, View, Watch};

/// A [`View`] fed by a [`Log`]. Share it as `Arc<Store>`.
///
/// Cancellation: every future may be dropped at any time. A dropped commit may still happen.
#[derive(Debug)]
pub struct Store {
    view: Arc<View>,
    log: Arc<dyn Log>,
}

impl Store {
    /// Joins a view and the log that was given its feed. Backends call this; others call [`crate::embedded::open`] or [`crate::etcd::open`].
    pub fn new(view: Arc<View>, log: Arc<dyn Log>) -> Store {
        Store { view, log }
    }

    /// Applies a transaction; resolves when it is durable and [`Store::snapshot`] shows it.
    ///
    /// Fails with `KeyNotFound`, `KeyExists`, `Conflict`, `Invalid`, `NoSpace` or `SyncFailed` when nothing was changed, and with
    /// `Unreachable` or `Timeout` when that is unknown. Never retried here.
    pub async fn commit(&self, txn: Txn) -> Result<Committed, Error> {
        self.log.commit(txn).await
    }

    /// The newest state the view has. Costs two reference counts; takes no lock.
    pub fn snapshot(&self) -> Snapshot {
        self.view.snapshot()
    }

    /// The newest revision the view has.
    pub fn revision(&self) -> Revision {
        self.view.revision()
    }

    /// A state not older than the log was at the time of the call: shows every commit acknowledged before.
    pub async fn consistent(&self) -> Result<Snapshot, Error> {
        let revision = self.log.current_revision().await?;
        self.view.snapshot_at_least(revision).await
    }

    /// The newest state once the view has reached `revision`. Waits as long as that takes: put your own limit around it.
    pub async fn snapshot_at_least(&self, revision: Revision) -> Result<Snapshot, Error> {
        if self.is_shared() && revision > self.revision() {
            // Somebody else may have heard of it first, and it may concern nothing here: the log finds out how far it is.
            self.log.current_revision().await?;
        }
        self.view.snapshot_at_least(revision).await
    }

    /// The state exactly at `revision`, if that lies within the window: else `Compacted` or `FutureRevision`.
    pub fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, Error> {
        self.view.snapshot_at(revision)
    }

    /// Every change of keys that start with `prefix`, after revision `after`. Fails with `Compacted` or `FutureRevision`.
    ///
    /// A prefix that ends in `/` is cheapest: changes outside of it then cost the watch nothing.
    pub fn watch(&self, prefix: &str, after: Revision) -> Result<Watch, Error> {
        self.view.watch(prefix, after)
    }

    /// The revision below which history is given up: the oldest `snapshot_at` and the oldest `after` of a watch.
    pub fn compacted(&self) -> Revision {
        self.view.compacted()
    }

    /// Gives up history before `revision`. Fails with `FutureRevision`; compacting again what is compacted does nothing.
    pub async fn compact(&self, revision: Revision) -> Result<(), Error> {
        self.log.compact(revision).await
    }

    /// Tells the store the time: expires keys, and lets history grow old. Call it about once a second.
    pub async fn tick(&self, now: Timestamp) -> Result<(), Error> {
        self.log.tick(now).await
    }

    /// True if other programs read and write the same log: values must be in the form all of them know.
    pub fn is_shared(&self) -> bool {
        self.log.is_shared()
    }

    /// What the last comparison of the view with the log found, from now on. None for a log that is not compared: the embedded one feeds
    /// the view from the task that wrote, under the lock of its directory.
    pub fn checks(&self) -> Option<signal::Receiver<Option<Arc<Check>>>> {
        self.log.checks()
    }

    /// How many bytes the log's file has: etcd's database or the embedded one; 0 if there is none.
    ///
    /// Upstream: `etcd3.Monitor`, for `apiserver_storage_size_bytes`.
    pub async fn size(&self) -> Result<u64, Error> {
        self.log.size().await
    }

    /// Finishes what was begun and gives back files and locks. Later commits and idle watches answer `Unreachable`; reads still work.
    pub async fn close(&self) -> Result<(), Error> {
        self.log.close().await
    }
}
