//! The check that the view shows what etcd has: every few minutes all keys, with the revision of their last write, are compared at one
//! revision.
//!
//! Both are immutable at a revision, so nothing is held up and nothing has to rest. Keys come without values, a page at a time. What differs
//! is named in the log; the follower then brings the view to etcd's state and tells watches of it (`Follower::catch_up`).
//! Upstream: storage/cacher/consistency, which compares a hash of the same pairs, a resource at a time, and stops serving what differs.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use tokio::sync::{Notify, watch as signal};

use super::keys::Keys;
use super::load;
use super::members::Members;
use crate::{Check, Difference, Error, Revision, Snapshot, View};

/// How many differences a warning names.
const NAMED: usize = 10;

/// Looks for differences.
#[derive(Debug)]
pub(super) struct Checker {
    pub(super) members: Arc<Members>,
    pub(super) keys: Keys,
    pub(super) view: Arc<View>,
    /// How often; zero: never.
    pub(super) interval: Duration,
    /// Where the outcome is told.
    pub(super) outcome: signal::Sender<Option<Arc<Check>>>,
    /// Tells the follower that the view has to be mended.
    pub(super) differs: Arc<Notify>,
}

impl Checker {
    /// Does not end.
    pub(super) async fn run(self) {
        if self.interval.is_zero() {
            return std::future::pending().await;
        }
        loop {
            // Servers on one etcd do not ask all at once.
            let jitter = rand::rng().random_range(1.0..1.5);
            tokio::time::sleep(self.interval.mul_f64(jitter)).await;
            self.check().await;
        }
    }

    /// Compares once, at the revision the view shows now.
    pub(super) async fn check(&self) {
        let snapshot = self.view.snapshot();
        let revision = snapshot.revision();
        let found = differences(&self.members, &self.keys, &snapshot).await;
        match &found {
            Err(error) => tracing::warn!(%error, %revision, "store: the view could not be compared with etcd"),
            Ok(differences) if differences.is_empty() => {
                tracing::debug!(%revision, "store: the view shows what etcd has")
            }
            Ok(differences) => {
                let named: Vec<String> = differences.iter().take(NAMED).map(Difference::to_string).collect();
                tracing::warn!(
                    %revision, count = differences.len(), keys = named.join(", "),
                    "store: the view does not show what etcd has and is mended"
                );
                self.differs.notify_one();
            }
        }
        self.outcome.send_replace(Some(Arc::new(Check { revision, found })));
    }
}

/// What etcd and the view do not agree on at the revision of the view.
async fn differences(members: &Members, keys: &Keys, snapshot: &Snapshot) -> Result<Vec<Difference>, Error> {
    let mut found = Vec::new();
    let mut ours = contents(snapshot).into_iter().peekable();
    load::names(members, keys, snapshot.revision(), |key, theirs| {
        missing_before(&mut ours, Some(&key), &mut found);
        let shown = ours.next_if(|(name, _)| ***name == *key).map(|(_, revision)| revision);
        if shown != Some(theirs) {
            found.push(Difference { key, shown, stored: Some(theirs) });
        }
    })
    .await?;
    missing_before(&mut ours, None, &mut found);
    Ok(found)
}

/// What the view shows before a key that etcd has, in the order of keys.
fn missing_before<'a>(
    ours: &mut Peekable<impl Iterator<Item = (&'a Arc<str>, Revision)>>,
    end: Option<&str>,
    found: &mut Vec<Difference>,
) {
    while let Some((key, shown)) = ours.next_if(|(name, _)| end.is_none_or(|end| &***name < end)) {
        found.push(Difference { key: key.clone(), shown: Some(shown), stored: None });
    }
}

/// All keys of the view, those that cannot be read as well, in their order.
fn contents(snapshot: &Snapshot) -> Vec<(&Arc<str>, Revision)> {
    let readable = snapshot.range("", None).map(|entry| (&entry.key, entry.mod_revision));
    let mut all: Vec<_> = readable.collect();
    let readable = all.len();
    all.extend(snapshot.unreadable("").map(|object| (&object.key, object.mod_revision)));
    if all.len() > readable {
        all.sort_unstable();
    }
    all
}
