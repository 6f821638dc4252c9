//! The contract: what every backend must do, told as tests over a way to open it.
//!
//! Each backend runs [`contract`] (and [`contract_of_ticks`] and [`contract_of_durable`] as far as they hold for it) over its [`Backend`]; the property test of `model`
//! compares long random runs with a plain map.

pub(crate) mod commits;
pub(crate) mod expiry;
pub(crate) mod history;
pub(crate) mod model;
pub(crate) mod reads;
pub(crate) mod restart;
pub(crate) mod watches;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{
    Batch, Committed, Draft, Error, ErrorKind, EventKind, Operation, Revision, Snapshot, Store, Timestamp, Txn, Watch,
    Window,
};

/// A way to open a store, empty at first.
pub(crate) trait Backend {
    /// Opens it; again after a close, with what was kept.
    fn open(&self, window: Window) -> Result<Store, Error>;
}

/// Makes a `#[tokio::test]` of each claim every backend must meet.
macro_rules! contract {
    ($backend:expr) => {
        $crate::testing::claims! { $backend;
            commits: created_object_is_read_back, creating_again_says_key_exists, stale_update_conflicts_and_gives_current,
                update_of_missing_key_is_not_found, delete_of_missing_key_is_not_found, recreated_key_starts_over,
                refused_commit_leaves_no_trace, transaction_is_all_or_nothing, one_revision_for_all_operations,
                key_given_twice_is_invalid, transaction_without_operations_only_checks,
                concurrent_commits_get_revisions_of_their_own, one_of_many_rivals_wins, dropped_commit_does_no_harm;
            reads: range_is_ordered_and_bounded_by_prefix, range_goes_on_after_a_key, snapshot_does_not_change,
                every_revision_of_the_window_can_be_read, future_revisions_are_refused, consistent_read_shows_acknowledged_commits,
                waiting_for_a_revision_ends_when_it_comes, slot_is_made_once_and_shared;
            watches: watch_from_any_revision_has_no_gap_and_no_duplicate, watch_sees_its_prefix_only,
                watch_of_a_partial_name_sees_what_starts_with_it, revision_is_never_split, deletion_carries_the_last_value,
                progress_is_never_ahead_of_events, quiet_watch_makes_progress, idle_watch_outlives_the_window,
                watch_is_never_ahead_of_the_snapshot, many_watches_under_load_see_the_same, dropped_next_loses_nothing;
            history: compacted_revisions_are_refused, deletes_after_compaction_are_not_lost, window_is_bounded_by_events,
                window_is_bounded_by_bytes, window_is_bounded_by_age, slow_watch_falls_out_of_the_window,
                clock_that_jumps_makes_no_history_old, closed_store_says_so;
        }
    };
}

/// As `contract!`, for backends whose keys expire by the time the ticks tell.
macro_rules! contract_of_ticks {
    ($backend:expr) => {
        $crate::testing::claims! { $backend;
            expiry: key_expires_with_time, later_write_replaces_the_expiry, clock_that_was_ahead_expires_nothing_later,
                each_expired_key_has_its_own_revision;
        }
    };
}

/// As `contract!`, for backends that keep what they are given.
macro_rules! contract_of_durable {
    ($backend:expr) => {
        $crate::testing::claims! { $backend;
            restart: objects_and_revisions_survive_a_restart, watch_resumes_after_a_restart,
                revision_does_not_go_back_when_nothing_is_left, compaction_survives_a_restart,
                trimmed_history_leaves_the_live_objects, every_revision_of_the_window_can_be_read_after_a_restart;
        }
    };
}

macro_rules! claims {
    ($backend:expr; $($area:ident: $($claim:ident),+;)+) => {
        $(mod $area {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                $crate::testing::$area::$claim(&$backend).await;
            })+
        })+
    };
}

pub(crate) use {claims, contract, contract_of_durable, contract_of_ticks};

/// A window nothing falls out of; with few revisions between its older maps, so that short runs meet some.
pub(crate) const WIDE: Window =
    Window { events: 1 << 30, bytes: 1 << 40, age: Duration::from_secs(1 << 30), checkpoint_every: 16 };

pub(crate) fn open(backend: &impl Backend) -> Store {
    backend.open(WIDE).unwrap()
}

pub(crate) async fn put(store: &Store, key: &str, value: &str) -> Revision {
    put_until(store, key, value, None).await
}

pub(crate) async fn put_until(store: &Store, key: &str, value: &str, expires: Option<Timestamp>) -> Revision {
    let operations = vec![Operation::Put { key: key.into(), value: bytes(value), expires }];
    store.commit(Txn { compare: vec![], operations }).await.unwrap().revision
}

pub(crate) async fn delete(store: &Store, key: &str) -> Revision {
    let operations = vec![Operation::Delete { key: key.into() }];
    store.commit(Txn { compare: vec![], operations }).await.unwrap().revision
}

pub(crate) fn bytes(value: &str) -> Draft {
    Bytes::copy_from_slice(value.as_bytes()).into()
}

/// The revision of a fresh store after so many commits.
pub(crate) fn after(commits: u64) -> Revision {
    Revision(Revision::FIRST.0 + commits)
}

/// How many commits made this revision.
pub(crate) fn commits(revision: Revision) -> u64 {
    revision.0 - Revision::FIRST.0
}

pub(crate) fn text(value: &Bytes) -> String {
    String::from_utf8(value.to_vec()).unwrap()
}

/// `key=value@commit` of all objects under a prefix.
pub(crate) fn show(snapshot: &Snapshot, prefix: &str) -> Vec<String> {
    let one =
        |entry: &Arc<crate::Entry>| format!("{}={}@{}", entry.key, text(&entry.value), commits(entry.mod_revision));
    snapshot.range(prefix, None).map(one).collect()
}

/// `+key=value@commit` or `-key=last@commit` of all events.
pub(crate) fn show_batch(batch: &Batch) -> Vec<String> {
    let sign = |kind| if kind == EventKind::Put { '+' } else { '-' };
    batch
        .events()
        .iter()
        .map(|event| {
            format!("{}{}={}@{}", sign(event.kind), event.entry.key, text(&event.entry.value), commits(event.revision))
        })
        .collect()
}

/// Everything the watch has up to the newest revision, checking what no watch may break on the way.
pub(crate) async fn drain(watch: &mut Watch, store: &Store) -> Vec<String> {
    let mut seen = Vec::new();
    let until = store.revision();
    let mut last = Revision::ZERO;
    while watch.progress() < until {
        let batch = soon(watch.next()).await.unwrap();
        assert!(!batch.events().is_empty(), "a batch is never empty");
        for event in batch.events() {
            assert!(event.revision >= last, "events are in order");
            assert_eq!(event.revision, event.entry.mod_revision);
            assert_eq!(event.prev.is_none(), event.kind == EventKind::Put && event.entry.version == 1);
        }
        assert!(batch.events()[0].revision > last || last == Revision::ZERO, "no revision is split");
        last = batch.events().last().unwrap().revision;
        assert!(batch.revision >= last);
        assert!(batch.revision <= store.revision(), "never ahead of what can be read");
        seen.extend(show_batch(&batch));
    }
    assert!(watch.try_next().unwrap().is_none(), "progress is never ahead of events");
    seen
}

/// Fails instead of hanging. On a machine that is busy with other things everything takes its time.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(90), future).await.expect("did not happen in time")
}

pub(crate) fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.expect_err("should have failed").kind
}

pub(crate) fn only(committed: &Committed) -> &crate::Entry {
    assert_eq!(committed.entries.len(), 1);
    &committed.entries[0]
}
