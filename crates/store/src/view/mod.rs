//! The memory view: all live objects, and what happened lately, at any revision of the window, for readers that take no lock.
//!
//! - `State` is one immutable version of everything: the map, the history of recent events in revision order, a few older maps
//!   (`checkpoints`). The feed builds the next one and swaps it in; whoever holds an old one keeps it, sharing all that is unchanged.
//! - [`Feed`] is the write end. There is one, owned by the log, so the order of publication is the order of its calls.
//! - [`Snapshot`] is a map at a revision. Older revisions are rebuilt by undoing events from the next newer map.
//! - [`Watch`] is a cursor. Events are sorted once, when published, into buckets of the prefixes that are being watched; all watches of
//!   a prefix share its bucket, and sleep until that bucket gets something.
//!
//! The mutex `buckets` is taken by the feed for each publication and by [`View::watch`], briefly; never by reads or running watches.

mod buckets;
mod feed;
mod map;
mod snapshot;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use imbl::Vector;
use tokio::sync::watch as signal;

pub use feed::{Change, Feed, Loaded, Published, Wake, Written};
pub use snapshot::Snapshot;
pub use watch::Watch;

use crate::{Error, ErrorKind, Event, Revision, Transform};
use buckets::Buckets;
use map::Map;

/// How much history is kept for watches to resume from and for pages to be read at. Whichever bound is met first counts.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The number of events.
    pub events: usize,
    /// The bytes that are kept for them alone: values that are live no longer, and what an event itself takes. What is live is there anyway.
    pub bytes: usize,
    /// Events older than this are given up, by the time the ticks tell; counted from a restart for those from before it.
    /// Clients count on less than ten minutes: upstream compacts every five what is older than five.
    pub age: Duration,
    /// How many revisions lie between two older maps that are kept to begin from when an older state is asked for.
    pub checkpoint_every: u64,
}

impl Default for Window {
    fn default() -> Self {
        Window { events: 50_000, bytes: 20 << 20, age: Duration::from_secs(300), checkpoint_every: 4096 }
    }
}

/// One version of everything, never changed once published.
#[derive(Clone)]
struct State {
    revision: Revision,
    compacted: Revision,
    map: Map,
    /// All events after `compacted`, in revision order.
    history: Vector<Arc<Event>>,
    /// Older maps within the window, in revision order, some hundred revisions apart.
    checkpoints: Vector<Snapshot>,
    /// Why no more changes will come.
    closed: Option<Error>,
}

impl State {
    /// The index of the first event after `revision`.
    fn history_after(&self, revision: Revision) -> usize {
        partition_point(&self.history, |event| event.revision <= revision)
    }
}

/// How many of the leading items hold `before`, which must hold for a leading part and for no later one.
fn partition_point<T: Clone>(items: &Vector<T>, before: impl Fn(&T) -> bool) -> usize {
    let by = |item: &T| if before(item) { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
    match items.binary_search_by(by) {
        Ok(index) | Err(index) => index,
    }
}

/// The read end. See the module header.
pub struct View {
    state: ArcSwap<State>,
    buckets: Mutex<Buckets>,
    /// Tells those who wait for a revision; carries it.
    reached: signal::Sender<Revision>,
    /// Older maps that were asked for lately: the next page asks for the same one.
    rebuilt: Mutex<VecDeque<Snapshot>>,
}

impl View {
    /// An empty view at revision 0 and the one feed that fills it.
    pub fn new(window: Window, transform: Arc<dyn Transform>) -> (Arc<View>, Feed) {
        let state = State {
            revision: Revision::ZERO,
            compacted: Revision::ZERO,
            map: Map::default(),
            history: Vector::new(),
            checkpoints: Vector::new(),
            closed: None,
        };
        let view = Arc::new(View {
            state: ArcSwap::from_pointee(state.clone()),
            buckets: Mutex::default(),
            reached: signal::Sender::new(Revision::ZERO),
            rebuilt: Mutex::default(),
        });
        let feed = Feed::new(view.clone(), state, window, transform);
        (view, feed)
    }

    /// The newest state.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state.load();
        Snapshot::new(state.map.clone(), state.revision)
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.state.load().revision
    }

    /// The revision below which history is given up.
    pub fn compacted(&self) -> Revision {
        self.state.load().compacted
    }

    /// Fails with the reason once the feed has ended: no change will come any more.
    pub fn ended(&self) -> Result<(), Error> {
        self.state.load().closed.clone().map_or(Ok(()), Err)
    }

    /// The newest state once it has reached `revision`; waits without limit. `Unreachable` if the feed ended before.
    pub async fn snapshot_at_least(&self, revision: Revision) -> Result<Snapshot, Error> {
        let mut reached = self.reached.subscribe();
        loop {
            reached.borrow_and_update();
            {
                let state = self.state.load();
                if state.revision >= revision {
                    return Ok(Snapshot::new(state.map.clone(), state.revision));
                }
                if let Some(error) = &state.closed {
                    return Err(error.clone());
                }
            }
            if reached.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Unreachable));
            }
        }
    }

    /// The state exactly at `revision`. Takes a moment for the first who asks for an older one, nothing for those who follow.
    pub fn snapshot_at(&self, revision: Revision) -> Result<Snapshot, Error> {
        let state = self.state.load_full();
        if revision > state.revision {
            return Err(Error::new(ErrorKind::FutureRevision).at(state.revision));
        }
        if revision < state.compacted {
            return Err(Error::new(ErrorKind::Compacted).at(state.compacted));
        }
        if revision == state.revision {
            return Ok(Snapshot::new(state.map.clone(), revision));
        }
        if let Some(found) = lock(&self.rebuilt).iter().find(|snapshot| snapshot.revision() == revision) {
            return Ok(found.clone());
        }
        let rebuilt = snapshot::rebuild(&state, revision);
        let mut cache = lock(&self.rebuilt);
        if cache.len() == snapshot::REBUILT_KEPT {
            cache.pop_front();
        }
        cache.push_back(rebuilt.clone());
        Ok(rebuilt)
    }

    /// Every change of keys that start with `prefix`, after revision `after`.
    pub fn watch(self: &Arc<Self>, prefix: &str, after: Revision) -> Result<Watch, Error> {
        // The state is read under the lock, so that nothing is published between it and the bucket's first event.
        let (bucket, state) = {
            let mut buckets = lock(&self.buckets);
            let state = self.state.load_full();
            (buckets.join(prefix, state.revision), state)
        };
        if after > state.revision {
            return Err(Error::new(ErrorKind::FutureRevision).at(state.revision));
        }
        if after < state.compacted {
            return Err(Error::new(ErrorKind::Compacted).at(state.compacted));
        }
        Ok(Watch::new(self.clone(), bucket, prefix, after))
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.load();
        f.debug_struct("View")
            .field("revision", &state.revision.0)
            .field("compacted", &state.compacted.0)
            .field("entries", &state.map.len())
            .field("history", &state.history.len())
            .finish_non_exhaustive()
    }
}

/// A poisoned lock here guards data that is whole at every step: a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
