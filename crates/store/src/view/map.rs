//! All objects of one revision: by key, the keys by what can be looked for in their values, and how many there are where.
//!
//! All are immutable trees that share what has not changed, so a copy costs a few pointers.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::{Entry, Term, Unreadable};

#[derive(Clone, Default)]
pub(super) struct Map {
    by_key: OrdMap<Arc<str>, Arc<Entry>>,
    /// Sorted by term, then key.
    by_term: OrdSet<(Term, Arc<str>)>,
    /// How many keys lie under each folder of [`folders`]; none is there with nothing in it.
    counts: OrdMap<Arc<str>, usize>,
    /// By key. None of them is in the others.
    unreadable: OrdMap<Arc<str>, Arc<Unreadable>>,
}

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Arc<Entry>> {
        self.by_key.get(key)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Puts an entry under its key; returns the one it takes the place of.
    pub(super) fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        let old = self.by_key.insert(entry.key.clone(), entry.clone());
        if old.is_none() {
            for folder in folders(&entry.key) {
                match self.counts.get_mut(folder) {
                    Some(count) => *count += 1,
                    None => drop(self.counts.insert(folder.into(), 1)),
                }
            }
        }
        let before = old.as_ref().map_or(&[][..], |old| &old.terms);
        // Most changes of an object leave its terms as they are.
        if *before != *entry.terms {
            self.forget(&entry.key, before.iter().filter(|term| !entry.terms.contains(term)));
            for term in entry.terms.iter().filter(|term| !before.contains(term)) {
                self.by_term.insert((*term, entry.key.clone()));
            }
        }
        old
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Arc<Entry>> {
        let old = self.by_key.remove(key)?;
        self.forget(&old.key, old.terms.iter());
        for folder in folders(key) {
            match self.counts.get_mut(folder) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.counts.remove(folder)),
            }
        }
        Some(old)
    }

    fn forget<'a>(&mut self, key: &Arc<str>, terms: impl Iterator<Item = &'a Term>) {
        for term in terms {
            self.by_term.remove(&(*term, key.clone()));
        }
    }

    /// See [`super::Snapshot::count`].
    pub(super) fn count(&self, prefix: &str) -> usize {
        match folders(prefix).last() {
            Some(folder) if folder == prefix => self.counts.get(folder).copied().unwrap_or_default(),
            _ => self.range(prefix, None).count(),
        }
    }

    /// Keeps what cannot be read.
    pub(super) fn set_aside(&mut self, object: Arc<Unreadable>) {
        self.unreadable.insert(object.key.clone(), object);
    }

    /// An object that could not be read is gone, or can be read now: returns the last of it that could be.
    pub(super) fn take_back(&mut self, key: &str) -> Option<Arc<Entry>> {
        self.unreadable.remove(key).and_then(|object| object.last.clone())
    }

    /// See [`super::Snapshot::unreadable`].
    pub(super) fn unreadable(&self, prefix: &str) -> impl Iterator<Item = &Arc<Unreadable>> {
        let from = self.unreadable.range::<_, str>((Bound::Included(prefix), Bound::Unbounded));
        from.map(|(_, object)| object).take_while(move |object| object.key.starts_with(prefix))
    }

    /// See [`super::Snapshot::range`].
    pub(super) fn range(&self, prefix: &str, start_after: Option<&str>) -> impl Iterator<Item = &Arc<Entry>> {
        let end = successor(prefix);
        let lower = match start_after {
            Some(key) if key >= prefix => Bound::Excluded(key),
            _ => Bound::Included(prefix),
        };
        // A start beyond the end would be an invalid range for the map.
        let empty = matches!((lower, &end), (Bound::Excluded(key), Some(end)) if key >= end.as_str());
        let lower = if empty { Bound::Included(prefix) } else { lower };
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.by_key.range::<_, str>((lower, upper)).take(if empty { 0 } else { usize::MAX }).map(|(_, entry)| entry)
    }

    /// See [`super::Snapshot::find`].
    pub(super) fn find(
        &self,
        term: Term,
        prefix: &str,
        start_after: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        let lower = match start_after {
            Some(key) if key >= prefix => Bound::Excluded((term, key.into())),
            _ => Bound::Included((term, prefix.into())),
        };
        self.by_term
            .range((lower, Bound::Unbounded))
            .take_while(move |(found, key)| *found == term && key.starts_with(prefix))
            .filter_map(|(_, key)| self.by_key.get(key))
    }
}

/// The folders a key lies in, from the one of its resource on: `/registry/pods/` and `/registry/pods/default/`.
fn folders(key: &str) -> impl Iterator<Item = &str> {
    const ABOVE: usize = 2;
    key.match_indices('/').skip(ABOVE).map(|(at, slash)| &key[..at + slash.len()])
}

/// The least string greater than every string that starts with `prefix`; none if there is no such string.
fn successor(prefix: &str) -> Option<String> {
    let mut head = prefix.chars();
    while let Some(last) = head.next_back() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            _ => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            let mut end = head.as_str().to_owned();
            end.push(next);
            return Some(end);
        }
    }
    None
}
