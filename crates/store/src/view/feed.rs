//! The write end of the view.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::buckets::Bucket;
use super::snapshot::Snapshot;
use super::{State, View, Window, lock};
use crate::{
    Draft, Entry, Error, ErrorKind, Event, EventKind, Operation, Revision, Timestamp, Transform, Undecodable,
    Unreadable,
};

/// How much older a tick may make history, in milliseconds. If the clock says that more has passed, it has jumped, or nobody ticked:
/// in neither case had the watches that time to follow.
const TICK_MAX: u64 = 60_000;

/// What an event and its entry take beyond key and value.
const EVENT_OVERHEAD: usize = 384;

/// A committed change, as the log knows it.
#[derive(Clone, Debug)]
pub struct Change {
    /// The revision of the commit; all its changes have it.
    pub revision: Revision,
    /// What was done.
    pub operation: Operation,
    /// How the object was written, where that does not follow from what this view has seen.
    pub written: Option<Written>,
}

/// The log's own account of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// When it was created.
    pub create_revision: Revision,
    /// When it was last written; older than the change that tells of it if that was missed.
    pub mod_revision: Revision,
    /// How often it was written.
    pub version: u64,
}

/// An object that is there when the feed begins.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The full key.
    pub key: Arc<str>,
    /// The value.
    pub value: Draft,
    /// How it was written.
    pub written: Written,
    /// Which operation of its last commit wrote it.
    pub index: u32,
    /// When it is to disappear.
    pub expires: Option<Timestamp>,
}

/// The only thing that changes a [`View`]. Dropping it ends all watches with `Unreachable`.
pub struct Feed {
    view: Arc<View>,
    transform: Arc<dyn Transform>,
    window: Window,
    /// The state to be published next; ahead of the view only within a call.
    state: State,
    /// The bytes that are kept for `state.history` alone.
    bytes: usize,
    /// The time of the last tick.
    told: Option<Timestamp>,
    /// What the ticks add up to, in milliseconds: unlike the clock it does not jump.
    ticked: u64,
    /// What the revision was at recent ticks, by `ticked`.
    marks: VecDeque<(u64, Revision)>,
}

/// What a publication did. The view shows it already.
#[must_use = "watches sleep until it is dropped"]
#[derive(Debug, Default)]
pub struct Published {
    /// One for each change, in order; none for what cannot be read.
    pub events: Vec<Arc<Event>>,
    /// Events that have left the window.
    pub trimmed: Vec<Arc<Event>>,
    /// The watches to be woken: last, so that those who wait for their commit can be answered before.
    pub wake: Wake,
}

/// Watches that sleep and have something to see. They are woken when it is dropped, on any thread.
#[must_use = "watches sleep until it is dropped"]
#[derive(Debug, Default)]
pub struct Wake(Vec<Arc<Bucket>>);

impl Wake {
    /// How many there are.
    pub fn watches(&self) -> usize {
        self.0.iter().map(|bucket| bucket.wake.receiver_count()).sum()
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        for bucket in &self.0 {
            bucket.wake.send_replace(());
        }
    }
}

impl Feed {
    pub(super) fn new(view: Arc<View>, state: State, window: Window, transform: Arc<dyn Transform>) -> Feed {
        Feed { view, transform, window, state, bytes: 0, told: None, ticked: 0, marks: VecDeque::new() }
    }

    /// Puts an object into a fresh view, before [`Feed::begin`]. Returns the one of the same key it takes the place of.
    pub fn seed(&mut self, object: Loaded) -> Option<Arc<Entry>> {
        let Written { create_revision, mod_revision, version } = object.written;
        let mut entry = match self.served(&object.key, object.value, mod_revision, object.index) {
            Ok(entry) => entry,
            Err(reason) => return self.set_aside(object.key, mod_revision, &reason),
        };
        entry.create_revision = create_revision;
        entry.version = version;
        entry.expires = object.expires;
        self.state.map.insert(Arc::new(entry))
    }

    /// Takes an object out again, before [`Feed::begin`].
    pub fn unseed(&mut self, key: &str) -> Option<Arc<Entry>> {
        self.state.map.remove(key)
    }

    /// Shows the seeded objects as the state at `revision`. History begins there.
    pub fn begin(&mut self, revision: Revision) {
        self.state.revision = revision;
        self.state.compacted = revision;
        drop(self.publish(Vec::new(), Vec::new()));
    }

    /// The newest state, as readers see it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.state.map.clone(), self.state.revision)
    }

    /// The newest object under a key.
    pub fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.state.map.get(key)
    }

    /// The newest revision.
    pub fn revision(&self) -> Revision {
        self.state.revision
    }

    /// The revision below which history is given up.
    pub fn compacted(&self) -> Revision {
        self.state.compacted
    }

    /// Shows committed changes, all at once. Revisions must be newer than all before and must not go back within; the changes of one
    /// revision must come in one call and name no key twice. Deletions of keys that are not there are left out.
    pub fn apply(&mut self, changes: impl IntoIterator<Item = Change>) -> Published {
        let mut events = Vec::new();
        let mut index = 0;
        for Change { revision, operation, written } in changes {
            debug_assert!(revision >= self.state.revision, "revisions go forward");
            index = if revision == self.state.revision { index + 1 } else { 0 };
            self.state.revision = revision;
            if let Some(event) = self.change(revision, operation, written, index) {
                self.bytes += cost(&event);
                self.state.history.push_back(event.clone());
                events.push(event);
            }
        }
        let last = self.state.checkpoints.last().map_or(self.state.compacted, Snapshot::revision);
        if last.0.saturating_add(self.window.checkpoint_every) <= self.state.revision.0 {
            self.state.checkpoints.push_back(self.snapshot());
        }
        let trimmed = self.trim();
        self.publish(events, trimmed)
    }

    fn change(
        &mut self,
        revision: Revision,
        operation: Operation,
        written: Option<Written>,
        index: u32,
    ) -> Option<Arc<Event>> {
        let event = match operation {
            Operation::Put { key, value, expires } => {
                let mod_revision = written.map_or(revision, |written| written.mod_revision);
                let mut entry = match self.served(&key, value, mod_revision, index) {
                    Ok(entry) => entry,
                    Err(reason) => {
                        self.set_aside(key, mod_revision, &reason);
                        return None;
                    }
                };
                entry.expires = expires;
                let prev = self.state.map.get(&key).cloned().or_else(|| self.state.map.take_back(&key));
                if let Some(prev) = &prev {
                    entry.key = prev.key.clone();
                    entry.create_revision = prev.create_revision;
                    entry.version = prev.version + 1;
                }
                if let Some(Written { create_revision, version, .. }) = written {
                    (entry.create_revision, entry.version) = (create_revision, version);
                }
                let entry = Arc::new(entry);
                self.state.map.insert(entry.clone());
                Event { kind: EventKind::Put, revision, entry, prev }
            }
            Operation::Delete { key } => {
                let prev = self.state.map.remove(&key).or_else(|| self.state.map.take_back(&key))?;
                let value = self.transform.serve_deleted(&prev.key, &prev.value, revision);
                let mut entry = Entry::new(prev.key.clone(), value, revision, index);
                entry.create_revision = prev.create_revision;
                entry.version = prev.version;
                entry.expires = prev.expires;
                Event { kind: EventKind::Delete, revision, entry: Arc::new(entry), prev: Some(prev) }
            }
        };
        Some(Arc::new(event))
    }

    /// The entry of a value.
    fn served(&self, key: &Arc<str>, value: Draft, revision: Revision, index: u32) -> Result<Entry, Undecodable> {
        let decoded = match value.ready {
            Some(ready) => ready,
            None => self.transform.decode(key, &value.stored)?,
        };
        let value = self.transform.serve(key, decoded.value, revision);
        let mut entry = Entry::new(key.clone(), value, revision, index);
        entry.terms = decoded.terms;
        Ok(entry)
    }

    /// Keeps an object that cannot be read apart. Returns the one of the same key that could be.
    fn set_aside(&mut self, key: Arc<str>, revision: Revision, reason: &Undecodable) -> Option<Arc<Entry>> {
        tracing::error!(%key, %revision, %reason, "store: an object cannot be read and is left out of lists");
        let last = self.state.map.remove(&key).or_else(|| self.state.map.take_back(&key));
        let unreadable = Unreadable { key, mod_revision: revision, reason: reason.to_string(), last: last.clone() };
        self.state.map.set_aside(Arc::new(unreadable));
        last
    }

    /// Says that nothing more will come up to `revision`: a log that is shared with others hears of revisions that change nothing here.
    pub fn advance(&mut self, revision: Revision) {
        if revision > self.state.revision {
            self.state.revision = revision;
            drop(self.publish(Vec::new(), Vec::new()));
        }
    }

    /// Gives up history before `revision`.
    pub fn compact(&mut self, revision: Revision) -> Result<Published, Error> {
        if revision > self.state.revision {
            return Err(Error::new(ErrorKind::FutureRevision).at(self.state.revision));
        }
        if revision <= self.state.compacted {
            return Ok(Published::default());
        }
        let trimmed = self.forget(revision);
        Ok(self.publish(Vec::new(), trimmed))
    }

    /// Gives up history that is too old by now.
    pub fn tick(&mut self, now: Timestamp) -> Published {
        self.ticked += self.told.map_or(0, |told| now.0.saturating_sub(told.0)).min(TICK_MAX);
        self.told = Some(now);
        if self.marks.back().is_none_or(|(last, _)| self.ticked >= last.saturating_add(1000)) {
            self.marks.push_back((self.ticked, self.state.revision));
        }
        let age = u64::try_from(self.window.age.as_millis()).unwrap_or(u64::MAX);
        let mut old = None;
        while let Some((_, revision)) = self.marks.pop_front_if(|(then, _)| then.saturating_add(age) <= self.ticked) {
            old = Some(revision);
        }
        match old {
            Some(revision) if revision > self.state.compacted => {
                let trimmed = self.forget(revision);
                self.publish(Vec::new(), trimmed)
            }
            _ => Published::default(),
        }
    }

    /// Ends the feed: watches get `error` once they have returned what was there, and so do those who wait for a revision.
    pub fn close(&mut self, error: Error) {
        if self.state.closed.is_some() {
            return;
        }
        self.state.closed = Some(error);
        let mut published = self.publish(Vec::new(), Vec::new());
        published.wake = Wake(lock(&self.view.buckets).all());
    }

    /// Drops events while there are too many, whole revisions at a time.
    fn trim(&mut self) -> Vec<Arc<Event>> {
        let mut trimmed = Vec::new();
        while self.state.history.len() > self.window.events || self.bytes > self.window.bytes {
            let Some(oldest) = self.state.history.front().map(|event| event.revision) else { break };
            trimmed.extend(self.forget(oldest));
        }
        trimmed
    }

    /// Drops all events up to and with `revision`.
    fn forget(&mut self, revision: Revision) -> Vec<Arc<Event>> {
        let mut trimmed = Vec::new();
        while self.state.history.front().is_some_and(|event| event.revision <= revision) {
            let Some(event) = self.state.history.pop_front() else { break };
            self.bytes -= cost(&event);
            trimmed.push(event);
        }
        while self.state.checkpoints.front().is_some_and(|checkpoint| checkpoint.revision() < revision) {
            self.state.checkpoints.pop_front();
        }
        self.state.compacted = revision;
        trimmed
    }

    fn publish(&mut self, events: Vec<Arc<Event>>, trimmed: Vec<Arc<Event>>) -> Published {
        let wake = {
            let mut buckets = lock(&self.view.buckets);
            let wake = buckets.push(&events, self.state.compacted);
            if !trimmed.is_empty() {
                buckets.trim(self.state.compacted, (self.window.events / 16) as u64);
            }
            self.view.state.store(Arc::new(self.state.clone()));
            wake
        };
        if !trimmed.is_empty() {
            lock(&self.view.rebuilt).retain(|snapshot| snapshot.revision() >= self.state.compacted);
        }
        self.view.reached.send_replace(self.state.revision);
        Published { events, trimmed, wake: Wake(wake) }
    }
}

/// What is given back when an event leaves the window: the value it superseded, which no older event is left to show, and the copy that
/// tells of a deletion.
fn cost(event: &Event) -> usize {
    let superseded = event.prev.as_ref().map_or(0, |prev| prev.value.len());
    let deleted = if event.kind == EventKind::Delete { event.entry.value.len() } else { 0 };
    superseded + deleted + event.entry.key.len() + EVENT_OVERHEAD
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.close(Error::new(ErrorKind::Unreachable));
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("view", &self.view).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
