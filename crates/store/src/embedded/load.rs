//! Fills the feed with what is on disk.

use std::collections::HashMap;
use std::sync::Arc;

use super::disk::Disk;
use super::plan::meta;
use super::record::{Damage, Head, Meta, Place, Record};
use crate::{Change, Error, Event, EventKind, Feed, Loaded, Operation, Revision};

/// How many changes of the window are shown at once.
const SHOW_STEP: usize = 1024;

/// Reads a whole store into a fresh feed. Returns the places of records that nobody needs any more.
///
/// Records up to the compacted revision give the first state, later ones are history, shown as if they had just been committed.
pub(super) fn load(disk: &Disk, feed: &mut Feed) -> Result<Vec<Place>, Error> {
    let none = Head { compacted: Revision::ZERO, revision: Revision::ZERO };
    let head = disk.head()?.unwrap_or(none);
    let mut base = Some(Base::default());
    let mut garbage = Vec::new();
    let mut history = History::default();
    disk.read(Revision::ZERO, &mut |record| {
        if record.meta.place.revision <= head.compacted {
            if let Some(base) = &mut base {
                base.add(record, &mut garbage);
            }
            return Ok(());
        }
        if let Some(base) = base.take() {
            feed.load(base.live.into_values(), head.compacted);
        }
        history.add(record, feed, &mut garbage)
    })?;
    if let Some(base) = base {
        feed.load(base.live.into_values(), head.compacted);
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

/// The live objects at the compacted revision. Records that were superseded by then may still be there: their removal lags behind.
#[derive(Default)]
struct Base {
    live: HashMap<Arc<str>, Loaded>,
}

impl Base {
    fn add(&mut self, record: Record, garbage: &mut Vec<Place>) {
        let Record { meta, expires, key, value, .. } = record;
        let before = match value {
            Some(value) => {
                let loaded = Loaded {
                    key: key.clone(),
                    value,
                    create_revision: meta.create_revision,
                    mod_revision: meta.place.revision,
                    index: meta.place.index,
                    version: meta.version,
                    expires,
                };
                self.live.insert(key, loaded)
            }
            None => {
                let before = self.live.remove(&key);
                garbage.extend(before.as_ref().map(Loaded::place));
                garbage.push(meta.place);
                return;
            }
        };
        garbage.extend(before.as_ref().map(Loaded::place));
    }
}

impl Loaded {
    fn place(&self) -> Place {
        Place { revision: self.mod_revision, index: self.index }
    }
}

/// Changes read but not yet shown: whole revisions are shown together.
#[derive(Default)]
struct History {
    changes: Vec<Change>,
    /// What the record of each change says of it and of the one it supersedes.
    facts: Vec<(Meta, Place)>,
}

impl History {
    fn add(&mut self, record: Record, feed: &mut Feed, garbage: &mut Vec<Place>) -> Result<(), Damage> {
        let revision = record.meta.place.revision;
        if self.changes.len() >= SHOW_STEP && self.changes.last().is_some_and(|last| last.revision < revision) {
            self.show(feed, garbage)?;
        }
        let Record { meta, superseded, expires, key, value } = record;
        let operation = match value {
            Some(value) => Operation::Put { key, value, expires },
            None => Operation::Delete { key },
        };
        self.changes.push(Change { revision, operation });
        self.facts.push((meta, superseded));
        Ok(())
    }

    fn show(&mut self, feed: &mut Feed, garbage: &mut Vec<Place>) -> Result<(), Damage> {
        let published = feed.apply(std::mem::take(&mut self.changes));
        garbage.extend(published.trimmed.iter().flat_map(|event| superseded(event)));
        let mut events = published.events.iter();
        for (said, superseded) in self.facts.drain(..) {
            let shown = events.next().map(|event| {
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
