//! Events sorted by watched prefix, so that a change wakes only those who watch it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use imbl::Vector;
use tokio::sync::watch as signal;

use super::partition_point;
use crate::{Event, Revision};

/// Events of one publication for one prefix: shared by all its watches.
pub(super) type Chunk = Arc<[Arc<Event>]>;

/// The recent events of one prefix, which ends in `/` or is empty. Lives as long as somebody watches it.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Has every event after this revision; earlier ones are in the view's history.
    pub(super) since: Revision,
    pub(super) recent: ArcSwap<Recent>,
    /// Signalled after the view shows a new chunk, and when the feed ends.
    pub(super) wake: signal::Sender<()>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    /// The newest revision of which events were given up.
    pub(super) lost: Revision,
    /// In revision order, none empty.
    pub(super) chunks: Vector<Chunk>,
}

impl Recent {
    /// The first chunk that has events after `revision`.
    pub(super) fn after(&self, revision: Revision) -> Option<&Chunk> {
        self.chunks.get(partition_point(&self.chunks, |chunk| last_revision(chunk) <= revision))
    }

    fn give_up(&mut self, compacted: Revision) -> bool {
        let mut changed = false;
        while let Some(front) = self.chunks.front() {
            let last = last_revision(front);
            if last > compacted {
                break;
            }
            self.lost = last;
            self.chunks.pop_front();
            changed = true;
        }
        changed
    }
}

pub(super) fn last_revision(chunk: &Chunk) -> Revision {
    chunk.last().map_or(Revision::ZERO, |event| event.revision)
}

/// The prefixes being watched.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    by_prefix: HashMap<Box<str>, Weak<Bucket>>,
    /// The size at which buckets that nobody watches any more are looked for.
    sweep_at: usize,
    /// What was compacted when all buckets were last trimmed.
    trimmed: Revision,
}

impl Buckets {
    /// The bucket for watches of `prefix`: that of the prefix up to its last `/`. A new one has everything after `since`.
    pub(super) fn join(&mut self, prefix: &str, since: Revision) -> Arc<Bucket> {
        let folder = folder(prefix);
        if let Some(bucket) = self.by_prefix.get(folder).and_then(Weak::upgrade) {
            return bucket;
        }
        if self.by_prefix.len() >= self.sweep_at {
            self.by_prefix.retain(|_, bucket| bucket.strong_count() > 0);
            self.sweep_at = (2 * self.by_prefix.len()).max(256);
        }
        let recent = Recent { lost: since, chunks: Vector::new() };
        let bucket = Arc::new(Bucket { since, recent: ArcSwap::from_pointee(recent), wake: signal::Sender::new(()) });
        self.by_prefix.insert(folder.into(), Arc::downgrade(&bucket));
        bucket
    }

    /// Sorts new events into the buckets. Returns those that got some, to be woken once the view shows the events.
    pub(super) fn push(&mut self, events: &[Arc<Event>], compacted: Revision) -> Vec<Arc<Bucket>> {
        let mut touched: HashMap<&str, (Arc<Bucket>, Vec<Arc<Event>>)> = HashMap::new();
        for event in events {
            for folder in folders(&event.entry.key) {
                if let Some((_, events)) = touched.get_mut(folder) {
                    events.push(event.clone());
                } else if let Some(bucket) = self.by_prefix.get(folder).and_then(Weak::upgrade) {
                    touched.insert(folder, (bucket, vec![event.clone()]));
                }
            }
        }
        let fill = |(bucket, events): (Arc<Bucket>, Vec<Arc<Event>>)| {
            let mut recent = Recent::clone(&bucket.recent.load());
            recent.give_up(compacted);
            recent.chunks.push_back(events.into());
            bucket.recent.store(Arc::new(recent));
            bucket
        };
        touched.into_values().map(fill).collect()
    }

    /// Gives up what is compacted in all buckets, the quiet ones too, when that has moved by `step` revisions since the last time.
    pub(super) fn trim(&mut self, compacted: Revision, step: u64) {
        if compacted.0 < self.trimmed.0.saturating_add(step) {
            return;
        }
        self.trimmed = compacted;
        for bucket in self.by_prefix.values().filter_map(Weak::upgrade) {
            let mut recent = Recent::clone(&bucket.recent.load());
            if recent.give_up(compacted) {
                bucket.recent.store(Arc::new(recent));
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_prefix.len()
    }

    /// All that are watched.
    pub(super) fn all(&self) -> Vec<Arc<Bucket>> {
        self.by_prefix.values().filter_map(Weak::upgrade).collect()
    }
}

/// The part of a prefix up to and with its last `/`.
fn folder(prefix: &str) -> &str {
    &prefix[..prefix.rfind('/').map_or(0, |at| at + 1)]
}

/// Every folder a key lies in: "", "/", "/registry/", "/registry/pods/" ...
fn folders(key: &str) -> impl Iterator<Item = &str> {
    std::iter::once("").chain(key.match_indices('/').map(|(at, _)| &key[..=at]))
}
