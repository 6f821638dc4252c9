//! From etcd to the view: the first state, and what changed while nobody was listening.
//!
//! A state is read in pages, all at one revision. What etcd still has of history is then read by the watch, as if it had just happened, so
//! that clients resume after a restart.

use std::collections::HashMap;
use std::sync::Arc;

use etcd_client::{EventType, GetOptions, KeyValue, WatchOptions, WatchResponse};
use futures::FutureExt;

use super::keys::Keys;
use super::members::{Member, Members, mod_revision, number, position, revision};
use crate::{Change, Error, ErrorKind, Feed, Loaded, Operation, Revision, Snapshot, Written};

/// How many objects come in one answer.
const PAGE: i64 = 1000;
/// How many names.
const PAGE_OF_KEYS: i64 = 10_000;

/// Fills a fresh feed with the oldest state etcd still has, not more than `history` revisions before `newest`.
pub(super) async fn load(
    members: &Members,
    keys: &Keys,
    feed: &mut Feed,
    newest: Revision,
    history: usize,
) -> Result<(), Error> {
    let oldest = Revision(newest.0.saturating_sub(history as u64).max(Revision::FIRST.0));
    let start = match seed(members, keys, feed, oldest).await {
        Ok(()) => oldest,
        Err(error) if error.kind == ErrorKind::Compacted => {
            let start = compacted(members, keys, oldest).await?;
            seed(members, keys, feed, start).await?;
            start
        }
        Err(error) => return Err(error),
    };
    feed.begin(start);
    Ok(())
}

async fn seed(members: &Members, keys: &Keys, feed: &mut Feed, at: Revision) -> Result<(), Error> {
    let options = GetOptions::new().with_limit(PAGE).with_revision(number(at));
    pages(members, keys, &options, |found| {
        let Some(key) = keys.inward(found.key()) else { return warn_of(found) };
        feed.seed(Loaded {
            key,
            value: found.value().to_vec().into(),
            written: written(found),
            index: 0,
            expires: None,
        });
    })
    .await
}

/// The oldest revision etcd has; `wanted` is older than that. Only a watch is told the number.
async fn compacted(members: &Members, keys: &Keys, wanted: Revision) -> Result<Revision, Error> {
    let watch = |member: &Member| {
        let (mut watching, prefix, options) =
            (member.client.watch_client(), keys.prefix().to_vec(), options(keys, wanted));
        async move {
            let mut stream = watching.watch(prefix, Some(options)).await?;
            while let Some(answer) = stream.message().await? {
                if answer.canceled() || !answer.events().is_empty() {
                    return Ok(answer.compact_revision());
                }
            }
            Ok(0)
        }
        .boxed()
    };
    let found = revision(members.ask(watch).await?);
    if found < wanted {
        Err(Error::new(ErrorKind::Unreachable).on("etcd: compacted, and does not say to where"))
    } else {
        Ok(found)
    }
}

/// A watch of everything from a revision on.
pub(super) fn options(keys: &Keys, from: Revision) -> WatchOptions {
    WatchOptions::new().with_range(keys.end()).with_start_revision(number(from)).with_progress_notify()
}

/// What lies between the feed's state and the state at `now`, where it was not told: the newest write of each key that was written since,
/// or that the feed does not know as it is, and the deletions; all as late as they may have happened.
pub(super) async fn difference(
    members: &Members,
    keys: &Keys,
    feed: &Feed,
    now: Revision,
) -> Result<Vec<Change>, Error> {
    let then = feed.snapshot();
    let mut present = HashMap::new();
    names(members, keys, now, |key, at| {
        present.insert(key, at);
    })
    .await?;
    let mut changes = Vec::new();
    let since = GetOptions::new()
        .with_limit(PAGE)
        .with_revision(number(now))
        .with_min_mod_revision(number(then.revision().next()));
    pages(members, keys, &since, |found| {
        let Some(key) = keys.inward(found.key()) else { return warn_of(found) };
        let written = written(found);
        // It was deleted and made again: watchers must hear of both.
        if then.get(&key).is_some_and(|entry| entry.create_revision != written.create_revision) {
            let operation = Operation::Delete { key: key.clone() };
            let revision = Revision(written.create_revision.0 - 1);
            changes.push(Change { revision, operation, written: None });
        }
        changes.push(put(key, found, written.mod_revision));
    })
    .await?;
    // Of what was written before, the feed has heard; unless something went wrong.
    for (key, _) in present.iter().filter(|(key, at)| **at <= then.revision() && shown(&then, key) != Some(**at)) {
        let at_now = GetOptions::new().with_revision(number(now));
        let answer = members.get(&keys.outward(key), at_now).await?;
        changes.extend(answer.kvs().first().map(|found| put(key.clone(), found, now)));
    }
    let known = then.range("", None).map(|entry| &entry.key).chain(then.unreadable("").map(|object| &object.key));
    for key in known.filter(|key| !present.contains_key(*key)) {
        changes.push(Change { revision: now, operation: Operation::Delete { key: key.clone() }, written: None });
    }
    changes.sort_by_key(|change| change.revision);
    Ok(changes)
}

/// A write that is told of at a revision.
fn put(key: Arc<str>, found: &KeyValue, revision: Revision) -> Change {
    let operation = Operation::Put { key, value: found.value().to_vec().into(), expires: None };
    Change { revision, operation, written: Some(written(found)) }
}

fn written(found: &KeyValue) -> Written {
    Written {
        create_revision: revision(found.create_revision()),
        mod_revision: mod_revision(found),
        version: u64::try_from(found.version()).unwrap_or_default(),
    }
}

/// When a key was last written, as a snapshot has it.
fn shown(snapshot: &Snapshot, key: &str) -> Option<Revision> {
    let unreadable = || snapshot.unreadable(key).find(|object| &*object.key == key).map(|object| object.mod_revision);
    snapshot.get(key).map(|entry| entry.mod_revision).or_else(unreadable)
}

/// Hands over every key as it is at a revision, with the revision of its last write, in the order of keys.
pub(super) async fn names(
    members: &Members,
    keys: &Keys,
    at: Revision,
    mut each: impl FnMut(Arc<str>, Revision),
) -> Result<(), Error> {
    let options = GetOptions::new().with_limit(PAGE_OF_KEYS).with_revision(number(at)).with_keys_only();
    pages(members, keys, &options, |found| {
        if let Some(key) = keys.inward(found.key()) {
            each(key, mod_revision(found));
        }
    })
    .await
}

/// Hands over every key, page by page.
async fn pages(
    members: &Members,
    keys: &Keys,
    options: &GetOptions,
    mut each: impl FnMut(&KeyValue),
) -> Result<(), Error> {
    let mut from = keys.prefix().to_vec();
    loop {
        let page = members.get(&from, options.clone().with_range(keys.end())).await?;
        position(&page)?;
        page.kvs().iter().for_each(&mut each);
        let Some(last) = page.kvs().last().filter(|_| page.more()) else { return Ok(()) };
        from = [last.key(), &[0]].concat();
    }
}

/// The changes a watch tells of, of which the feed has not heard.
pub(super) fn changes(answer: &WatchResponse, keys: &Keys, heard: Revision) -> Vec<Change> {
    let change = |event: &etcd_client::Event| {
        let found = event.kv().filter(|found| mod_revision(found) > heard)?;
        let Some(key) = keys.inward(found.key()) else {
            warn_of(found);
            return None;
        };
        let operation = match event.event_type() {
            EventType::Put => Operation::Put { key, value: found.value().to_vec().into(), expires: None },
            EventType::Delete => Operation::Delete { key },
        };
        Some(Change { revision: mod_revision(found), operation, written: None })
    };
    answer.events().iter().filter_map(change).collect()
}

fn warn_of(found: &KeyValue) {
    let key = String::from_utf8_lossy(found.key());
    tracing::error!(%key, "store: a key in etcd is no text and cannot be served");
}
