//! Revisions, the memory view, watch and compaction: everything the API server asks of etcd, with the backend behind one trait.
//!
//! A [`Store`] is a [`View`] fed by a [`Log`]. The log (the [`embedded`] one, or [`etcd`]) decides the order of commits and makes them
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
//! What this crate never does: read a clock or sleep outside of the client of etcd ([`Timestamp`] is passed in by [`Store::tick`]), retry a commit whose outcome is unknown,
//! queue without a bound, hold a lock across an await, keep a buffer for one watcher, drop damaged data in silence, know about JSON.
//!
//! Upstream: `k8s.io/apiserver/pkg/storage` (etcd3 and cacher) and etcd's `server/storage/mvcc`.
#![warn(missing_docs, clippy::cast_possible_truncation)]

mod check;
pub mod embedded;
mod entry;
mod error;
pub mod etcd;
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
mod waker;

pub use check::{Check, Difference};
pub use entry::{Entry, Unreadable};
pub use error::{Error, ErrorKind};
pub use event::{Batch, Event, EventKind};
pub use log::Log;
pub use revision::{Revision, Timestamp};
pub use store::Store;
pub use term::Term;
pub use transform::{AsStored, Transform, Undecodable};
pub use txn::{Committed, Compare, Decoded, Draft, Operation, Txn};
pub use view::{Change, Feed, Loaded, Published, Snapshot, View, Wake, Watch, Window, Written};
