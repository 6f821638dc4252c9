//! The one thread that changes an embedded store.
//!
//! It takes all commits that wait, plans them on its own newest state, writes them as one durable transaction, shows them in the view and
//! answers everyone; meanwhile the next ones gather. Each commit has its own revision.
//!
//! Crash story: nothing is answered or shown before it is durable, so after a crash at any point every answered commit is there; a commit
//! under way may or may not be. Removal of superseded records lags behind and is only tidying: the loader takes either.
//! Cancellation: a caller that goes away is not noticed; its commit happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::directory::Lock;
use super::disk::{Disk, Step};
use super::load;
use super::plan::{Accepted, Plan};
use super::record::{Head, Place};
use crate::waker::Waker;
use crate::{Committed, Error, Event, EventKind, Feed, Operation, Revision, Timestamp, Txn};

/// The most commits in one durable transaction, and the bytes after which no more are taken.
const GROUP_COMMITS: usize = 1024;
const GROUP_BYTES: usize = 8 << 20;

/// Superseded records are removed when this many have gathered, and at most so many at once. Few in tests, so that short runs get there.
const REMOVE_MIN: usize = if cfg!(test) { 8 } else { 256 };
const REMOVE_MAX: usize = if cfg!(test) { 12 } else { 2048 };

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What is asked of the writer.
#[derive(Debug)]
pub(super) enum Request {
    Commit(Txn, Answer<Committed>),
    Compact(Revision, Answer<()>),
    Tick(Timestamp, Answer<()>),
    Close(Answer<()>),
}

#[derive(Debug)]
pub(super) struct Writer {
    feed: Feed,
    /// None: nothing is kept.
    disk: Option<(Disk, Option<Lock>)>,
    expiring: BTreeSet<(Timestamp, Arc<str>)>,
    /// Places to be removed from disk, in the order in which they must go.
    garbage: Vec<Place>,
    waker: Waker,
}

/// Commits taken into a group, with what the plan said of each.
type Group = Vec<(Answer<Committed>, Result<Accepted, Error>)>;

impl Writer {
    /// Fills the feed from the disk, if there is one.
    pub(super) fn open(mut feed: Feed, disk: Option<(Disk, Option<Lock>)>) -> Result<Writer, Error> {
        let garbage = match &disk {
            Some((disk, _)) => load::load(disk, &mut feed)?,
            None => {
                feed.begin(Revision::FIRST);
                Vec::new()
            }
        };
        let expiring = expiring(&feed);
        Ok(Writer { feed, disk, expiring, garbage, waker: Waker::default() })
    }

    /// Serves requests until told to close or until nobody can ask any more.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut next = None;
        while let Some(request) = next.take().or_else(|| requests.blocking_recv()) {
            match request {
                Request::Commit(txn, answer) => next = self.commits(txn, answer, &mut requests),
                // Nobody listening to an answer is no reason to stop.
                Request::Compact(revision, answer) => drop(answer.send(self.compact(revision))),
                Request::Tick(now, answer) => drop(answer.send(self.tick(now))),
                Request::Close(answer) => {
                    requests.close();
                    drop(self);
                    drop(answer.send(Ok(())));
                    return;
                }
            }
        }
    }

    /// Commits everything that waits, up to the next request of another kind, which is returned.
    fn commits(
        &mut self,
        txn: Txn,
        answer: Answer<Committed>,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Option<Request> {
        // Before planning: it may show what an earlier write did after all.
        let usable = self.repair();
        let mut plan = Plan::new(self.feed.snapshot());
        let mut group = Group::new();
        let mut bytes = 0;
        let mut next = Some(Request::Commit(txn, answer));
        while let Some(Request::Commit(txn, answer)) = next {
            bytes += size(&txn);
            let outcome = plan.add(txn);
            group.push((answer, outcome));
            if group.len() == GROUP_COMMITS || bytes > GROUP_BYTES {
                next = None;
                break;
            }
            next = requests.try_recv().ok();
        }
        match usable.and_then(|()| self.persist(&plan)) {
            Ok(()) => self.show(plan, group),
            Err(error) => {
                for (answer, _) in group {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
        next
    }

    /// Shows a group that is durable, and answers.
    fn show(&mut self, plan: Plan, group: Group) {
        let published = self.feed.apply(plan.changes);
        self.note(&published.events);
        self.discard(&published.trimmed);
        let mut events = published.events.iter();
        for (answer, outcome) in group {
            let result = match outcome {
                Ok(Accepted { revision, changes }) => {
                    let entries = events.by_ref().take(changes).map(|event| event.entry.clone()).collect();
                    Ok(Committed { revision, entries })
                }
                Err(mut error) => {
                    error.current = error.key.as_deref().and_then(|key| self.feed.get(key)).cloned();
                    Err(error)
                }
            };
            let _ = answer.send(result);
        }
        self.waker.wake(published.wake);
    }

    /// Writes a group. An error means that nothing of it happened; except for `Unreachable`, where that is unknown.
    fn persist(&mut self, plan: &Plan) -> Result<(), Error> {
        if plan.changes.is_empty() {
            return Ok(());
        }
        if self.garbage.len() >= REMOVE_MIN {
            return self.write(&plan.records, plan.revision());
        }
        let Some((disk, _)) = &mut self.disk else { return Ok(()) };
        let written = disk.write(&Step { records: &plan.records, ..Step::default() });
        self.settle(written, plan.revision())
    }

    /// Writes records and tidies up.
    fn write(&mut self, records: &[(Place, Vec<u8>)], revision: Revision) -> Result<(), Error> {
        let Some((disk, _)) = &mut self.disk else {
            self.garbage.clear();
            return Ok(());
        };
        let some = self.garbage.len().min(REMOVE_MAX);
        let head = Some(Head { compacted: self.feed.compacted(), revision });
        let written = disk.write(&Step { records, remove: &self.garbage[..some], head });
        self.settle(written, revision)?;
        self.garbage.drain(..some);
        Ok(())
    }

    /// After a failed write, finds out at once whether it happened after all.
    fn settle(&mut self, written: Result<(), Error>, revision: Revision) -> Result<(), Error> {
        let Err(error) = written else { return Ok(()) };
        let Some((disk, _)) = &mut self.disk else { return Ok(()) };
        tracing::error!(%error, "store: write failed");
        if disk.reopen().is_err() {
            return Err(error);
        }
        let mut newest = disk.head()?.map_or(Revision::ZERO, |head| head.revision);
        disk.read(self.feed.revision(), &mut |record| {
            newest = newest.max(record.meta.place.revision);
            Ok(())
        })?;
        if newest >= revision { Ok(()) } else { Err(error) }
    }

    /// Opens the file again if a write failed and it could not be opened then; shows what that write did after all.
    fn repair(&mut self) -> Result<(), Error> {
        let Some((disk, _)) = &mut self.disk else { return Ok(()) };
        if !disk.is_broken() {
            return Ok(());
        }
        disk.reopen()?;
        let garbage = load::catch_up(disk, &mut self.feed)?;
        self.garbage.extend(garbage);
        self.expiring = expiring(&self.feed);
        tracing::info!("store: usable again");
        Ok(())
    }

    fn compact(&mut self, revision: Revision) -> Result<(), Error> {
        self.repair()?;
        let published = self.feed.compact(revision)?;
        self.discard(&published.trimmed);
        self.write(&[], self.feed.revision())
    }

    fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        // So that a store is well again, or known to be ill, without waiting for the next commit.
        self.repair()?;
        while self.expiring.first().is_some_and(|(at, _)| *at <= now) {
            let mut plan = Plan::new(self.feed.snapshot());
            let due = self.expiring.iter().take_while(|(at, _)| *at <= now).take(GROUP_COMMITS);
            for (_, key) in due {
                let delete = Txn { compare: Vec::new(), operations: vec![Operation::Delete { key: key.clone() }] };
                plan.add(delete)?;
            }
            self.persist(&plan)?;
            self.show(plan, Group::new());
        }
        let published = self.feed.tick(now);
        self.discard(&published.trimmed);
        Ok(())
    }

    /// Keeps account of what expires when.
    fn note(&mut self, events: &[Arc<Event>]) {
        for event in events {
            if let Some(at) = event.prev.as_ref().and_then(|prev| prev.expires) {
                self.expiring.remove(&(at, event.entry.key.clone()));
            }
            if let (EventKind::Put, Some(at)) = (event.kind, event.entry.expires) {
                self.expiring.insert((at, event.entry.key.clone()));
            }
        }
    }

    fn discard(&mut self, trimmed: &[Arc<Event>]) {
        if self.disk.is_some() {
            self.garbage.extend(trimmed.iter().flat_map(|event| load::superseded(event)));
        }
    }
}

/// When which keys expire.
fn expiring(feed: &Feed) -> BTreeSet<(Timestamp, Arc<str>)> {
    let all = feed.snapshot();
    all.range("", None).filter_map(|entry| entry.expires.map(|at| (at, entry.key.clone()))).collect()
}

fn size(txn: &Txn) -> usize {
    let of = |operation: &Operation| match operation {
        Operation::Put { key, value, .. } => key.len() + value.stored.len(),
        Operation::Delete { key } => key.len(),
    };
    txn.operations.iter().map(of).sum()
}
