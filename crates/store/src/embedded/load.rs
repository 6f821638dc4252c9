//! Fills the feed with what is on disk.

use std::collections::HashSet;
use std::sync::Arc;

use super::disk::Disk;
use super::plan::meta;
use super::record::{Damage, Head, Meta, Place, Record};
use crate::{Change, Error, Event, EventKind, Feed, Loaded, Operation, Revision, Written};

/// How many changes of the window are shown at once.
const SHOW_STEP: usize = 1024;

/// Reads a whole store into a fresh feed. Returns the places of records that nobody needs any more.
///
/// Records up to the compacted revision give the first state, later ones are history, shown as if they had just been committed.
pub(super) fn load(disk: &Disk, feed: &mut Feed) -> Result<Vec<Place>, Error> {
    let none = Head { compacted: Revision::FIRST, revision: Revision::FIRST };
    let head = disk.head()?.unwrap_or(none);
    let mut begun = false;
    let mut garbage = Vec::new();
    let mut history = History::default();
    disk.read(Revision::ZERO, &mut |record| {
        if record.meta.place.revision <= head.compacted {
            seed(record, feed, &mut garbage);
            return Ok(());
        }
        if !begun {
            feed.begin(head.compacted);
            begun = true;
        }
        history.add(record, feed, &mut garbage)
    })?;
    if !begun {
        feed.begin(head.compacted);
    }
    history.show(feed, &mut garbage).map_err(|damage| disk.damaged(damage))?;
    feed.advance(head.revision);
    Ok(garbage)
}

/// Shows what a write of unknown outcome left on disk after all.
pub(super) fn catch_up(disk: &Disk, feed: &mut Feed) -> Result<Vec<Place>, Error> {
    let mut garbage = Vec::new();
    let mut history = History::default();
    disk.read(feed.revision(), &mut |record| history.add(record, feed, &mut garbage))?;
    history.show(feed, &mut garbage).map_err(|damage| disk.damaged(damage))?;
    Ok(garbage)
}

/// The places of the records that are of no more use once `event` has left the window; in the order in which they must go, or a deleted
/// key could come back.
pub(super) fn superseded(event: &Event) -> impl Iterator<Item = Place> {
    let before = event.prev.as_ref().map(|prev| meta(prev).place);
    let deletion = (event.kind == EventKind::Delete).then(|| meta(&event.entry).place);
    before.into_iter().chain(deletion)
}

/// Takes a record into the state at the compacted revision. Records that were superseded by then may still be there: their removal lags
/// behind.
fn seed(record: Record, feed: &mut Feed, garbage: &mut Vec<Place>) {
    let Record { meta: of, expires, key, value, .. } = record;
    let deletion = value.is_none().then_some(of.place);
    let before = match value {
        Some(value) => feed.seed(Loaded {
            key,
            value: value.into(),
            written: Written {
                create_revision: of.create_revision,
                mod_revision: of.place.revision,
                version: of.version,
            },
            index: of.place.index,
            expires,
        }),
        None => feed.unseed(&key),
    };
    garbage.extend(before.map(|before| meta(&before).place).into_iter().chain(deletion));
}

/// Changes read but not yet shown: whole revisions are shown together.
#[derive(Default)]
struct History {
    changes: Vec<Change>,
    /// What the record of each change says of it and of the one it supersedes.
    facts: Vec<(Arc<str>, Meta, Place)>,
}

impl History {
    fn add(&mut self, record: Record, feed: &mut Feed, garbage: &mut Vec<Place>) -> Result<(), Damage> {
        let revision = record.meta.place.revision;
        if self.changes.len() >= SHOW_STEP && self.changes.last().is_some_and(|last| last.revision < revision) {
            self.show(feed, garbage)?;
        }
        let Record { meta, superseded, expires, key, value } = record;
        self.facts.push((key.clone(), meta, superseded));
        let operation = match value {
            Some(value) => Operation::Put { key, value: value.into(), expires },
            None => Operation::Delete { key },
        };
        self.changes.push(Change { revision, operation, written: None });
        Ok(())
    }

    fn show(&mut self, feed: &mut Feed, garbage: &mut Vec<Place>) -> Result<(), Damage> {
        let published = feed.apply(std::mem::take(&mut self.changes));
        garbage.extend(published.trimmed.iter().flat_map(|event| superseded(event)));
        let unreadable: HashSet<_> = feed.snapshot().unreadable("").map(|object| object.key.clone()).collect();
        let mut events = published.events.iter();
        for (key, said, superseded) in self.facts.drain(..) {
            // What could not be read made no event, and what came before it is not known.
            if unreadable.contains(&key) {
                continue;
            }
            let shown = events.by_ref().find(|event| !unreadable.contains(&event.entry.key)).map(|event| {
                let before = event.prev.as_ref().map_or(Place::ZERO, |prev| meta(prev).place);
                (meta(&event.entry), before)
            });
            if shown != Some((said, superseded)) {
                return Err(Damage::Chain(said.place));
            }
        }
        Ok(())
    }
}
