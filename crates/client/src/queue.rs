//! The work queue of a controller: keys, not events.
//!
//! A key is handed to one worker at a time; a key added while it is being worked on comes again afterwards, once.
//! Failures back off per key. Upstream: `client-go/util/workqueue` (`RateLimitingInterface`).

mod metrics;

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use metrics::Counted;
pub use metrics::QueueMetrics;

/// First wait after a failure, doubled with each further one; where nobody says otherwise.
const BASE_DELAY: Duration = Duration::from_millis(5);
/// The longest wait after a failure, likewise.
const MAX_DELAY: Duration = Duration::from_secs(1000);

/// A queue of keys, shared by cloning.
#[derive(Debug)]
pub struct WorkQueue<Key> {
    shared: Arc<Shared<Key>>,
}

impl<Key> Clone for WorkQueue<Key> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

#[derive(Debug)]
struct Shared<Key> {
    state: Mutex<State<Key>>,
    changed: Notify,
    /// Nothing for a queue nobody measures.
    counted: Option<Counted>,
}

#[derive(Debug)]
struct State<Key> {
    /// Ready keys, oldest first; each is in `dirty` too.
    ready: VecDeque<Key>,
    /// Keys that need work, ready or waiting for their worker to finish, since when.
    dirty: HashMap<Key, Instant>,
    /// Keys a worker holds, since when.
    processing: HashMap<Key, Instant>,
    /// Keys to add at a time; a key may appear again with a later time, which then adds nothing new.
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed_keys: HashMap<u64, Key>,
    next_delay: u64,
    failures: HashMap<Key, u32>,
    /// The first and the longest wait after a failure.
    waits: (Duration, Duration),
    stopped: bool,
}

impl<Key: Clone + Eq + Hash> Default for WorkQueue<Key> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Key: Clone + Eq + Hash> WorkQueue<Key> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::counting(None)
    }

    /// An empty queue whose work is counted as that of `name`.
    pub fn measured(name: &str, metrics: &QueueMetrics) -> Self {
        Self::counting(Some(metrics.of(name)))
    }

    fn counting(counted: Option<Counted>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashMap::new(),
            processing: HashMap::new(),
            delayed: BinaryHeap::new(),
            delayed_keys: HashMap::new(),
            next_delay: 0,
            failures: HashMap::new(),
            waits: (BASE_DELAY, MAX_DELAY),
            stopped: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new(), counted }) }
    }

    /// Waits this long after a first failure, doubled with each further one, and never longer than `longest`.
    pub fn wait_after_failures(&self, first: Duration, longest: Duration) {
        self.state().waits = (first, longest);
    }

    /// Marks a key as needing work.
    pub fn add(&self, key: Key) {
        self.state().add(key, self.counted());
        self.shared.changed.notify_one();
    }

    /// Adds a key after a while.
    pub fn add_after(&self, key: Key, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        {
            let mut state = self.state();
            let id = state.next_delay;
            state.next_delay += 1;
            state.delayed.push(Reverse((Instant::now() + delay, id)));
            state.delayed_keys.insert(id, key);
        }
        self.shared.changed.notify_one();
    }

    /// Adds a key after a wait that doubles with each failure since the last [`forget`](Self::forget).
    pub fn add_rate_limited(&self, key: Key) {
        if let Some(counted) = self.counted() {
            counted.retried();
        }
        let delay = {
            let mut state = self.state();
            let (first, longest) = state.waits;
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let delay = first.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX)).min(longest);
            *failures = failures.saturating_add(1);
            delay
        };
        self.add_after(key, delay);
    }

    /// Ends a key's back-off.
    pub fn forget(&self, key: &Key) {
        self.state().failures.remove(key);
    }

    /// How often a key failed since the last [`forget`](Self::forget).
    pub fn failures(&self, key: &Key) -> u32 {
        self.state().failures.get(key).copied().unwrap_or(0)
    }

    /// The next key; it is the caller's until [`done`](Self::done). `None` after [`shut_down`](Self::shut_down).
    /// Cancel safe. Any number of workers may wait.
    pub async fn get(&self) -> Option<Key> {
        loop {
            let changed = self.shared.changed.notified();
            let wake_at = {
                let mut state = self.state();
                let now = Instant::now();
                state.take_due(now, self.counted());
                if let Some(key) = state.take_ready(now, self.counted()) {
                    if !state.ready.is_empty() || !state.delayed.is_empty() {
                        // Another worker may take the next one, or watch over the next delay.
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                if state.stopped {
                    self.shared.changed.notify_one();
                    return None;
                }
                state.delayed.peek().map(|Reverse((at, _))| *at)
            };
            match wake_at {
                Some(at) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Gives a key back; if it was added meanwhile it is ready again.
    pub fn done(&self, key: &Key) {
        {
            let mut state = self.state();
            let since = state.processing.remove(key);
            if let (Some(counted), Some(since)) = (self.counted(), since) {
                counted.worked(since.elapsed());
            }
            if state.dirty.contains_key(key) {
                state.ready.push_back(key.clone());
                state.tell_depth(self.counted());
            }
        }
        self.shared.changed.notify_one();
    }

    /// Lets every worker end once the ready keys are handed out.
    pub fn shut_down(&self) {
        self.state().stopped = true;
        self.shared.changed.notify_one();
    }

    /// Ready keys.
    pub fn len(&self) -> usize {
        self.state().ready.len()
    }

    /// True when no key is ready.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn counted(&self) -> Option<&Counted> {
        self.shared.counted.as_ref()
    }

    fn state(&self) -> MutexGuard<'_, State<Key>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key: Clone + Eq + Hash> State<Key> {
    fn add(&mut self, key: Key, counted: Option<&Counted>) {
        if self.stopped {
            return;
        }
        let Entry::Vacant(place) = self.dirty.entry(key.clone()) else { return };
        place.insert(Instant::now());
        if let Some(counted) = counted {
            counted.added();
        }
        if !self.processing.contains_key(&key) {
            self.ready.push_back(key);
            self.tell_depth(counted);
        }
    }

    fn take_ready(&mut self, now: Instant, counted: Option<&Counted>) -> Option<Key> {
        let key = self.ready.pop_front()?;
        let since = self.dirty.remove(&key);
        if let (Some(counted), Some(since)) = (counted, since) {
            counted.waited(now.duration_since(since));
        }
        self.processing.insert(key.clone(), now);
        self.tell_depth(counted);
        Some(key)
    }

    fn tell_depth(&self, counted: Option<&Counted>) {
        if let Some(counted) = counted {
            counted.depth(self.ready.len());
        }
    }

    fn take_due(&mut self, now: Instant, counted: Option<&Counted>) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied() {
            if at > now {
                break;
            }
            self.delayed.pop();
            if let Some(key) = self.delayed_keys.remove(&id) {
                self.add(key, counted);
            }
        }
    }
}

#[cfg(test)]
mod tests;
