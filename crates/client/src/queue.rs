//! The work queue of a controller: keys, not events.
//!
//! A key is handed to one worker at a time; a key added while it is being worked on comes again afterwards, once.
//! Failures back off per key. Upstream: `client-go/util/workqueue` (`RateLimitingInterface`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// First wait after a failure, doubled with each further one.
const BASE_DELAY: Duration = Duration::from_millis(5);
/// The longest wait after a failure.
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
}

#[derive(Debug)]
struct State<Key> {
    /// Ready keys, oldest first; each is in `dirty` too.
    ready: VecDeque<Key>,
    /// Keys that need work, ready or waiting for their worker to finish.
    dirty: HashSet<Key>,
    /// Keys a worker holds.
    processing: HashSet<Key>,
    /// Keys to add at a time; a key may appear again with a later time, which then adds nothing new.
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    delayed_keys: HashMap<u64, Key>,
    next_delay: u64,
    failures: HashMap<Key, u32>,
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
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            delayed: BinaryHeap::new(),
            delayed_keys: HashMap::new(),
            next_delay: 0,
            failures: HashMap::new(),
            stopped: false,
        };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }) }
    }

    /// Marks a key as needing work.
    pub fn add(&self, key: Key) {
        self.state().add(key);
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
        let delay = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let delay = BASE_DELAY.saturating_mul(1_u32.checked_shl(*failures).unwrap_or(u32::MAX)).min(MAX_DELAY);
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
                state.take_due(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.processing.insert(key.clone());
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
            state.processing.remove(key);
            if state.dirty.contains(key) {
                state.ready.push_back(key.clone());
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

    fn state(&self) -> MutexGuard<'_, State<Key>> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Key: Clone + Eq + Hash> State<Key> {
    fn add(&mut self, key: Key) {
        if self.stopped || !self.dirty.insert(key.clone()) {
            return;
        }
        if !self.processing.contains(&key) {
            self.ready.push_back(key);
        }
    }

    fn take_due(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.delayed.peek().copied() {
            if at > now {
                break;
            }
            self.delayed.pop();
            if let Some(key) = self.delayed_keys.remove(&id) {
                self.add(key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
