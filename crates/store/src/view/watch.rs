//! A cursor into the window.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch as signal;

use super::buckets::{Bucket, Chunk, last_revision};
use super::{State, View};
use crate::{Batch, Error, ErrorKind, Event, Revision};

/// How many events of other prefixes a catching-up watch looks at before it lets others run.
const SCAN_STEP: usize = 4096;

/// Every change under a prefix, once, in revision order, no revision split, none before a snapshot would show it.
///
/// It owns no events: a watch that is not polled costs nothing and delays nobody. If it falls behind by more than the window, it gets
/// `Compacted` and is over.
///
/// ```text
///   history of the view:  ... ○ ● ○ ○ ● │               catching up: scan, cursor < bucket.since
///   bucket of the prefix:               │ ● ● ●         then: read the bucket, sleep at its end
///                                 bucket.since
/// ```
pub struct Watch {
    view: Arc<View>,
    bucket: Arc<Bucket>,
    /// Subscribed before the first look, so that nothing that comes after a look is missed.
    wake: signal::Receiver<()>,
    /// All events up to and with this revision have been returned.
    cursor: Revision,
    prefix: Box<str>,
    /// The prefix is not a folder: the bucket has more than what was asked for.
    partial: bool,
}

/// What a look at the bucket found.
enum Next {
    Found(Batch),
    /// Nothing more up to the revision the view shows.
    Idle,
    Lost,
}

/// What a step of scanning found.
struct Scan {
    found: Vec<Arc<Event>>,
    /// All events up to and with this revision were looked at.
    reached: Revision,
}

impl Watch {
    pub(super) fn new(view: Arc<View>, bucket: Arc<Bucket>, prefix: &str, after: Revision) -> Watch {
        let wake = bucket.wake.subscribe();
        let partial = !prefix.is_empty() && !prefix.ends_with('/');
        Watch { view, bucket, wake, cursor: after, prefix: prefix.into(), partial }
    }

    /// The next events; waits for them. `Compacted` if the watch fell out of the window, `Unreachable` when the feed has ended and all
    /// events were returned.
    ///
    /// Cancel safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Batch, Error> {
        loop {
            self.wake.borrow_and_update();
            let state = self.view.state.load_full();
            if let Some(batch) = self.advance(&state)? {
                return Ok(batch);
            }
            if self.cursor < self.bucket.since {
                tokio::task::consume_budget().await;
                continue;
            }
            if let Some(error) = &state.closed {
                return Err(error.clone());
            }
            drop(state);
            if self.wake.changed().await.is_err() {
                return Err(Error::new(ErrorKind::Unreachable));
            }
        }
    }

    /// The next events, if some are there now. `None` also while it is still catching up: see [`Watch::next`].
    pub fn try_next(&mut self) -> Result<Option<Batch>, Error> {
        self.advance(&self.view.state.load_full())
    }

    /// Returns what there is up to the revision of `state`; of a catching-up watch, what one step of scanning finds.
    fn advance(&mut self, state: &State) -> Result<Option<Batch>, Error> {
        let compacted = || Error::new(ErrorKind::Compacted).at(state.compacted);
        if self.cursor < self.bucket.since {
            if self.cursor < state.compacted {
                return Err(compacted());
            }
            let Scan { found, reached } = self.scan(state, self.cursor);
            self.cursor = reached;
            return Ok((!found.is_empty()).then(|| whole(found.into(), reached)));
        }
        loop {
            match self.look(state, self.cursor) {
                Next::Lost => return Err(compacted()),
                Next::Idle => return Ok(None),
                Next::Found(batch) => {
                    self.cursor = batch.revision;
                    if !self.partial {
                        return Ok(Some(batch));
                    }
                    let mine: Vec<_> = batch.events().iter().filter(|event| self.wants(event)).cloned().collect();
                    if !mine.is_empty() {
                        return Ok(Some(whole(mine.into(), batch.revision)));
                    }
                }
            }
        }
    }

    /// A revision up to which nothing is missing: all changes of the prefix up to it have been returned. For bookmarks.
    ///
    /// It is that of the view, also if the prefix has long been quiet, unless there are events still to be returned.
    pub fn progress(&self) -> Revision {
        let state = self.view.state.load_full();
        if self.cursor < self.bucket.since {
            let scan = self.scan(&state, self.cursor);
            let missing = !scan.found.is_empty() || self.cursor < state.compacted;
            return if missing { self.cursor } else { scan.reached };
        }
        let mut reached = self.cursor;
        loop {
            match self.look(&state, reached) {
                Next::Idle => return state.revision.max(reached),
                Next::Found(batch) if !batch.events().iter().any(|event| self.wants(event)) => reached = batch.revision,
                Next::Found(_) | Next::Lost => return reached,
            }
        }
    }

    fn wants(&self, event: &Event) -> bool {
        event.entry.key.starts_with(&*self.prefix)
    }

    /// Reads the view's history from `cursor` on, a step at most.
    fn scan(&self, state: &State, cursor: Revision) -> Scan {
        let mut scan = Scan { found: Vec::new(), reached: cursor };
        let start = state.history_after(cursor);
        for (scanned, event) in state.history.focus().narrow(start..).into_iter().enumerate() {
            if scanned >= SCAN_STEP && event.revision > scan.reached {
                return scan;
            }
            scan.reached = event.revision;
            if self.wants(event) {
                scan.found.push(event.clone());
            }
        }
        scan.reached = state.revision.max(cursor);
        scan
    }

    /// Looks for the first chunk of the bucket after `cursor` that the view already shows.
    fn look(&self, state: &State, cursor: Revision) -> Next {
        let recent = self.bucket.recent.load();
        if cursor < recent.lost {
            return Next::Lost;
        }
        match recent.after(cursor) {
            Some(chunk) if last_revision(chunk) <= state.revision => {
                let start = chunk.partition_point(|event| event.revision <= cursor);
                Next::Found(Batch { shared: chunk.clone(), range: start..chunk.len(), revision: last_revision(chunk) })
            }
            _ => Next::Idle,
        }
    }
}

fn whole(events: Chunk, revision: Revision) -> Batch {
    Batch { range: 0..events.len(), shared: events, revision }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("prefix", &self.prefix).field("cursor", &self.cursor.0).finish_non_exhaustive()
    }
}
