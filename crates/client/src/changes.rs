//! What an informer tells its subscribers: changes in order, with repeated updates of one object folded into one.
//!
//! The queue of a slow subscriber grows with distinct additions and deletions only: an update that is still waiting is
//! replaced by the next one of the same object (its `old` stays), so that a busy object costs one entry.
//! Additions and deletions are never folded: controllers count them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::Key;

/// One change of an object, as a subscriber sees it.
#[derive(Debug)]
pub enum Change<K> {
    /// Added (`old` is none) or updated.
    Applied {
        /// The object as the subscriber last saw it.
        old: Option<Arc<K>>,
        /// The object now.
        new: Arc<K>,
    },
    /// Deleted; the last state that was seen.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    /// The object after the change, or its last state.
    pub fn object(&self) -> &Arc<K> {
        match self {
            Self::Applied { new, .. } | Self::Deleted(new) => new,
        }
    }
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Applied { old, new } => Self::Applied { old: old.clone(), new: new.clone() },
            Self::Deleted(object) => Self::Deleted(object.clone()),
        }
    }
}

/// The sending half, held by the informer; shared with one [`Subscription`].
#[derive(Debug)]
pub(crate) struct Channel<K> {
    pending: Mutex<Pending<K>>,
    changed: Notify,
}

#[derive(Debug)]
struct Pending<K> {
    changes: VecDeque<(Key, Change<K>)>,
    /// Sequence number of the first element of `changes`.
    first: u64,
    /// Sequence number of the waiting `Applied` of a key, which a later update is folded into.
    waiting: HashMap<Key, u64>,
    closed: bool,
}

impl<K> Channel<K> {
    pub(crate) fn new() -> Arc<Self> {
        let pending = Pending { changes: VecDeque::new(), first: 0, waiting: HashMap::new(), closed: false };
        Arc::new(Self { pending: Mutex::new(pending), changed: Notify::new() })
    }

    pub(crate) fn send(&self, key: &Key, change: Change<K>) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).push(key, change);
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_one();
    }
}

impl<K> Pending<K> {
    fn push(&mut self, key: &Key, change: Change<K>) {
        match change {
            Change::Applied { old: Some(old), new } => {
                let place = self.waiting.get(key).and_then(|seq| usize::try_from(seq - self.first).ok());
                if let Some((_, Change::Applied { new: waiting, .. })) = place.and_then(|at| self.changes.get_mut(at)) {
                    *waiting = new;
                    return;
                }
                self.append(key, Change::Applied { old: Some(old), new });
            }
            added @ Change::Applied { .. } => self.append(key, added),
            deleted @ Change::Deleted(_) => {
                self.waiting.remove(key);
                self.changes.push_back((key.clone(), deleted));
            }
        }
    }

    fn append(&mut self, key: &Key, change: Change<K>) {
        self.waiting.insert(key.clone(), self.first + self.changes.len() as u64);
        self.changes.push_back((key.clone(), change));
    }

    fn pop(&mut self) -> Option<Change<K>> {
        let (key, change) = self.changes.pop_front()?;
        if self.waiting.get(&key) == Some(&self.first) {
            self.waiting.remove(&key);
        }
        self.first += 1;
        Some(change)
    }
}

/// The receiving half: the present objects first, as additions, then every change.
#[derive(Debug)]
pub struct Subscription<K> {
    pub(crate) channel: Arc<Channel<K>>,
}

impl<K> Subscription<K> {
    /// The next change; `None` once the informer has stopped and everything was handed out. Cancel safe.
    pub async fn next(&mut self) -> Option<Change<K>> {
        loop {
            {
                let mut pending = self.channel.pending.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(change) = pending.pop() {
                    return Some(change);
                }
                if pending.closed {
                    return None;
                }
            }
            self.channel.changed.notified().await;
        }
    }

    /// A change that is already there.
    pub fn try_next(&mut self) -> Option<Change<K>> {
        self.channel.pending.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(channel: &Channel<u32>) -> Vec<(Option<u32>, u32, bool)> {
        let mut pending = channel.pending.lock().unwrap();
        std::iter::from_fn(|| pending.pop())
            .map(|change| match change {
                Change::Applied { old, new } => (old.map(|old| *old), *new, true),
                Change::Deleted(object) => (None, *object, false),
            })
            .collect()
    }

    fn applied(old: Option<u32>, new: u32) -> Change<u32> {
        Change::Applied { old: old.map(Arc::new), new: Arc::new(new) }
    }

    #[test]
    fn waiting_updates_of_one_object_fold_and_keep_the_first_old() {
        let channel = Channel::new();
        let (a, b) = (Key::new("", "a"), Key::new("", "b"));
        channel.send(&a, applied(Some(1), 2));
        channel.send(&b, applied(None, 10));
        channel.send(&a, applied(Some(2), 3));
        assert_eq!(drain(&channel), [(Some(1), 3, true), (None, 10, true)]);
        channel.send(&a, applied(Some(3), 4));
        assert_eq!(drain(&channel), [(Some(3), 4, true)]);
    }

    #[test]
    fn additions_and_deletions_are_all_delivered() {
        let channel = Channel::new();
        let a = Key::new("", "a");
        channel.send(&a, applied(None, 1));
        channel.send(&a, Change::Deleted(Arc::new(1)));
        channel.send(&a, applied(None, 2));
        channel.send(&a, applied(Some(2), 3));
        assert_eq!(drain(&channel), [(None, 1, true), (None, 1, false), (None, 3, true)]);
    }
}
