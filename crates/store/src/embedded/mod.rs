//! The embedded log: one writer thread, group commit, one durable file.
//!
//! - `writer`: the thread; `plan`: what a group of transactions does, pure; `disk`: the file, one table of records (redb) behind a
//!   `journal`;
//!   `record`: their form; `load`: from the file to the view; `directory`: lock and file of a data directory;
//!   `backup`: copies, and putting them back.
//!
//! Everything is read from the view; the file is read once, when the store is opened. Upstream counterpart: etcd's `mvcc` and `wal`.

mod backup;
mod directory;
mod disk;
mod journal;
mod load;
mod plan;
mod record;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, fs, io, thread};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

pub use backup::{Summary, backup, check, restore};
pub use directory::{FILE, create_at};

use crate::{AsStored, Committed, Error, ErrorKind, Log, Revision, Store, Timestamp, Transform, Txn, View, Window};
use directory::Lock;
use disk::Disk;
use writer::{Answer, Request, Writer};

/// How many requests may wait for the writer; more callers wait to get in line.
const WAITING: usize = 1024;

/// How an embedded store is opened.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory that belongs to the store; made if absent.
    pub dir: PathBuf,
    /// How much history is kept.
    pub window: Window,
    /// The form in which values are served.
    pub transform: Arc<dyn Transform>,
}

impl Config {
    /// The defaults for a store in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Config {
        Config { dir: dir.into(), window: Window::default(), transform: Arc::new(AsStored) }
    }
}

/// Opens or creates the store in a directory. Blocks while it reads the file: call it at start, or from `spawn_blocking`.
///
/// Fails with `Locked` if another process has it, with `Corrupt` if the file is damaged, with `NoSpace` or `Unreachable`.
pub fn open(config: Config) -> Result<Store, Error> {
    let (disk, lock) = directory::open(&config.dir)?;
    start(config.window, config.transform, Some((disk, Some(lock))), Some(config.dir.join(FILE)))
}

/// A store that behaves the same and keeps nothing, for tests.
pub fn memory(window: Window, transform: Arc<dyn Transform>) -> Result<Store, Error> {
    start(window, transform, None, None)
}

fn start(
    window: Window,
    transform: Arc<dyn Transform>,
    disk: Option<(Disk, Option<Lock>)>,
    file: Option<PathBuf>,
) -> Result<Store, Error> {
    let (view, feed) = View::new(window, transform);
    let writer = Writer::open(feed, disk)?;
    let (requests, waiting) = mpsc::channel(WAITING);
    thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || writer.run(waiting))
        .map_err(|error: io::Error| Error::new(ErrorKind::Unreachable).on("its writer thread").because(error))?;
    let log = Embedded { view: view.clone(), requests, file };
    Ok(Store::new(view, Arc::new(log)))
}

/// The asking side of the writer. The writer ends when this is dropped.
struct Embedded {
    view: Arc<View>,
    requests: mpsc::Sender<Request>,
    /// Where the disk is a file of this name.
    file: Option<PathBuf>,
}

impl Embedded {
    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, Error> {
        let closed = || Error::new(ErrorKind::Unreachable);
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(closed()))
    }
}

impl Log for Embedded {
    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, Error>> {
        self.ask(|answer| Request::Commit(txn, answer)).boxed()
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        // Commits are shown before they are answered, and nobody else writes.
        let revision = self.view.revision();
        async move { Ok(revision) }.boxed()
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(move |answer| Request::Compact(revision, answer)).boxed()
    }

    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(move |answer| Request::Tick(now, answer)).boxed()
    }

    fn size(&self) -> BoxFuture<'_, Result<u64, Error>> {
        let size = self.file.as_deref().map_or(Ok(0), |file| fs::metadata(file).map(|file| file.len()));
        let size = size.map_err(|error| Error::new(ErrorKind::Unreachable).on("its file").because(error));
        async move { size }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(Request::Close).boxed()
    }
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("view", &self.view).finish_non_exhaustive()
    }
}
