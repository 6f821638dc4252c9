//! Revisions, the memory view, watch and compaction: everything the API server asks of etcd, with the backend behind one trait.
//!
//! A [`Store`] is a [`View`] fed by a [`Log`]. The log (the [`embedded`] one now, etcd later) decides the order of commits and makes them
//! durable. The view holds every live object at the newest revision in an immutable ordered map, and a bounded window of recent changes.
//! All reads and watches are served from the view: a [`Snapshot`] costs two pointers and takes no lock, a [`Watch`] is a cursor into the
//! window. Values are opaque bytes.
//!
//! ```text
//!   commit ──▶ Log (order, compare, fsync) ──▶ Feed ──▶ View ──▶ Snapshot (get, range, count)
//!     ▲                                                  └─────▶ Watch    (batches of events, by prefix)
//!     └── answered after the view shows the commit
//! ```
//!
//! What this crate never does: read a clock or sleep ([`Timestamp`] is passed in by [`Store::tick`]), retry a commit whose outcome is unknown,
//! queue without a bound, hold a lock across an await, keep a buffer for one watcher, drop damaged data in silence, know about JSON.
//!
//! Upstream: `k8s.io/apiserver/pkg/storage` (etcd3 and cacher) and etcd's `server/storage/mvcc`.
#![warn(missing_docs, clippy::cast_possible_truncation)]

pub mod embedded;
mod entry;
mod error;
mod event;
mod log;
mod revision;
mod store;
mod term;
#[cfg(test)]
mod testing;
mod transform;
mod txn;
mod view;

pub use entry::Entry;
pub use error::{Error, ErrorKind};
pub use event::{Batch, Event, EventKind};
pub use log::Log;
pub use revision::{Revision, Timestamp};
pub use store::Store;
pub use term::Term;
pub use transform::{AsStored, Transform};
pub use txn::{Committed, Compare, Operation, Txn};
pub use view::{Change, Feed, Loaded, Published, Snapshot, View, Wake, Watch, Window};
