//! Expectations: what a controller did and has not yet seen in its cache.
//!
//! A controller that creates pods and then looks at a cache that does not show them yet would create them again. So it
//! records, before writing, how many creations and which deletions it expects to observe; while some are open the key is
//! not acted upon. Deletions are tracked by pod, so that the several updates of one dying pod count once. Expectations
//! older than five minutes count as met: a lost event must not stop a controller for ever.
//!
//! Upstream: controller.UIDTrackingControllerExpectations.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;

const TIMEOUT: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
struct Expected {
    creations: i64,
    deletions: HashSet<String>,
    since: Timestamp,
}

/// Open expectations per controller key. The lock is held for map operations only.
#[derive(Debug)]
pub struct Expectations<Key> {
    open: Mutex<HashMap<Key, Expected>>,
}

impl<Key: Eq + Hash + Clone> Default for Expectations<Key> {
    fn default() -> Self {
        Self { open: Mutex::new(HashMap::new()) }
    }
}

impl<Key: Eq + Hash + Clone> Expectations<Key> {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Key, Expected>) -> T) -> T {
        // A panic while holding the lock cannot leave the map half changed: every action is one map operation.
        act(&mut self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// True if nothing is awaited for `key`, so that the cache may be trusted.
    pub fn satisfied(&self, key: &Key, now: Timestamp) -> bool {
        self.with(|open| match open.get(key) {
            None => true,
            Some(expected) => {
                (expected.creations <= 0 && expected.deletions.is_empty())
                    || now.duration_since(expected.since).unsigned_abs() > TIMEOUT
            }
        })
    }

    /// `count` objects are about to be created; replaces what was open.
    pub fn expect_creations(&self, key: &Key, count: usize, now: Timestamp) {
        let creations = i64::try_from(count).unwrap_or(i64::MAX);
        self.with(|open| open.insert(key.clone(), Expected { creations, deletions: HashSet::new(), since: now }));
    }

    /// These objects are about to be deleted; replaces what was open.
    pub fn expect_deletions(&self, key: &Key, objects: impl IntoIterator<Item = String>, now: Timestamp) {
        let deletions = objects.into_iter().collect();
        self.with(|open| open.insert(key.clone(), Expected { creations: 0, deletions, since: now }));
    }

    /// Adds expectations to those open.
    pub fn raise(&self, key: &Key, creations: usize, deletions: impl IntoIterator<Item = String>, now: Timestamp) {
        self.with(|open| {
            let entry = open.entry(key.clone()).or_insert_with(|| Expected {
                creations: 0,
                deletions: HashSet::new(),
                since: now,
            });
            entry.creations = entry.creations.max(0) + i64::try_from(creations).unwrap_or(i64::MAX);
            entry.deletions.extend(deletions);
            entry.since = now;
        });
    }

    /// One creation was seen, or will never come.
    pub fn creation_observed(&self, key: &Key) {
        self.with(|open| {
            if let Some(expected) = open.get_mut(key) {
                expected.creations -= 1;
            }
        });
    }

    /// One deletion was seen, or will never come.
    pub fn deletion_observed(&self, key: &Key, object: &str) {
        self.with(|open| {
            if let Some(expected) = open.get_mut(key) {
                expected.deletions.remove(object);
            }
        });
    }

    /// Drops everything about `key`: its owner is gone.
    pub fn forget(&self, key: &Key) {
        self.with(|open| open.remove(key));
    }
}
