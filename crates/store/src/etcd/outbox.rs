//! Commits of this process that etcd has not yet told of.
//!
//! Every change comes back by the watch, those made here as well. One that is recognised by its bytes is not decoded again, and the commit
//! that waits for it gets the very entry that the view shows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::{Decoded, Draft, Event, EventKind, Operation, Revision};

/// What is on its way, by key. The lock is held for look-ups only.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<HashMap<Arc<str>, Vec<Arc<Sent>>>>);

/// One operation on its way.
#[derive(Debug)]
struct Sent {
    /// None: a deletion.
    value: Option<Draft>,
    /// What happened to the key meanwhile; the revision tells which of it is this operation.
    seen: Mutex<Vec<Arc<Event>>>,
    commit: Arc<Notify>,
}

/// The operations of one commit; they are forgotten when it is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    outbox: Arc<Outbox>,
    operations: Vec<(Arc<str>, Arc<Sent>)>,
    changed: Arc<Notify>,
}

impl Outbox {
    /// Notes what is about to be sent.
    pub(super) fn note(self: &Arc<Self>, operations: &[Operation]) -> Waiting {
        let changed = Arc::new(Notify::new());
        let sent = |operation: &Operation| {
            let value = match operation {
                Operation::Put { value, .. } => Some(value.clone()),
                Operation::Delete { .. } => None,
            };
            let sent = Sent { value, seen: Mutex::default(), commit: changed.clone() };
            (operation.key().clone(), Arc::new(sent))
        };
        let operations: Vec<_> = operations.iter().map(sent).collect();
        let mut all = lock(&self.0);
        for (key, sent) in &operations {
            all.entry(key.clone()).or_default().push(sent.clone());
        }
        drop(all);
        Waiting { outbox: self.clone(), operations, changed }
    }

    /// The decoded form of a value, if it was written here.
    pub(super) fn recognise(&self, key: &str, stored: &Bytes) -> Option<Decoded> {
        let all = lock(&self.0);
        let drafts = all.get(key)?.iter().filter_map(|sent| sent.value.as_ref());
        drafts.filter(|draft| draft.stored == stored).find_map(|draft| draft.ready.clone())
    }

    /// Hands events, which the view shows already, to the commits that may have made them.
    pub(super) fn deliver(&self, events: &[Arc<Event>]) {
        let all = lock(&self.0);
        if all.is_empty() {
            return;
        }
        for event in events {
            for sent in all.get(&event.entry.key).into_iter().flatten() {
                if sent.value.is_some() == (event.kind == EventKind::Put) {
                    lock(&sent.seen).push(event.clone());
                    sent.commit.notify_one();
                }
            }
        }
    }
}

impl Waiting {
    /// The events of the commit, once the view shows it. Waits as long as that takes.
    pub(super) async fn events(&self, revision: Revision) -> Vec<Arc<Event>> {
        loop {
            let found: Option<Vec<_>> = self.operations.iter().map(|(_, sent)| sent.at(revision)).collect();
            if let Some(events) = found {
                return events;
            }
            self.changed.notified().await;
        }
    }
}

impl Sent {
    fn at(&self, revision: Revision) -> Option<Arc<Event>> {
        lock(&self.seen).iter().find(|event| event.revision == revision).cloned()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut all = lock(&self.outbox.0);
        for (key, sent) in &self.operations {
            if let Some(of_key) = all.get_mut(key) {
                of_key.retain(|other| !Arc::ptr_eq(other, sent));
                if of_key.is_empty() {
                    all.remove(key);
                }
            }
        }
    }
}

/// What is behind these locks is whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
