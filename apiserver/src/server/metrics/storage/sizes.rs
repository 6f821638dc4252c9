//! How many bytes the objects of each resource have.
//!
//! The store does not keep it, and no write pays for it: who asks reads the changes since the last look out of the store's window.
//! The store itself is walked over the first time, and when so much was changed that the window no longer reaches back.

use std::collections::BTreeMap;
use std::ops::Bound;

use store::{Entry, EventKind, Revision, Snapshot, Store};

/// The sizes at one revision, by the prefix of a resource's keys.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    at: Revision,
    by_prefix: BTreeMap<String, usize>,
}

impl Sizes {
    /// The bytes under a prefix that was followed.
    pub(super) fn of(&self, prefix: &str) -> usize {
        self.by_prefix.get(prefix).copied().unwrap_or_default()
    }

    /// Brings all up to date with a snapshot of the store, for these prefixes; none lies in another.
    pub(super) fn follow(&mut self, store: &Store, now: &Snapshot, prefixes: impl Iterator<Item = String>) {
        if self.read_changes(store, now.revision()).is_err() {
            self.by_prefix.clear();
        }
        self.at = now.revision();
        let mut before = std::mem::take(&mut self.by_prefix);
        for prefix in prefixes {
            let size = before.remove(&prefix);
            let size = size.unwrap_or_else(|| now.range(&prefix, None).map(|entry| entry.value.len()).sum());
            self.by_prefix.insert(prefix, size);
        }
    }

    /// Adds up what changed up to a revision. What comes after it is left for the next time.
    fn read_changes(&mut self, store: &Store, until: Revision) -> Result<(), store::Error> {
        let mut changes = store.watch("", self.at)?;
        while changes.progress() < until {
            let Some(batch) = changes.try_next()? else { continue };
            for event in batch.events().iter().filter(|event| event.revision <= until) {
                let after = (event.kind == EventKind::Put).then_some(&event.entry);
                self.change(&event.entry.key, event.prev.as_deref(), after.map(AsRef::as_ref));
            }
        }
        Ok(())
    }

    fn change(&mut self, key: &str, before: Option<&Entry>, after: Option<&Entry>) {
        let below = (Bound::Unbounded, Bound::Included(key));
        let nearest = self.by_prefix.range_mut::<str, _>(below).next_back();
        let Some((_, size)) = nearest.filter(|(prefix, _)| key.starts_with(prefix.as_str())) else { return };
        let length = |entry: Option<&Entry>| entry.map_or(0, |entry| entry.value.len());
        *size = (*size + length(after)).saturating_sub(length(before));
    }
}

#[cfg(test)]
mod tests;
