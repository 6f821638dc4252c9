//! Claims about reading.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

pub(crate) async fn range_is_ordered_and_bounded_by_prefix(backend: &impl Backend) {
    let store = open(backend);
    for key in ["/r/b/2", "/r/b/10", "/r/bc/1", "/r/a/1", "/r/b", "/r/b/é", "/r/b/~"] {
        put(&store, key, "1").await;
    }
    let snapshot = store.snapshot();
    let keys = |prefix| snapshot.range(prefix, None).map(|entry| entry.key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys("/r/b/"), ["/r/b/10", "/r/b/2", "/r/b/~", "/r/b/é"]);
    assert_eq!(keys("/r/b"), ["/r/b", "/r/b/10", "/r/b/2", "/r/b/~", "/r/b/é", "/r/bc/1"]);
    assert_eq!(keys("/r/c"), [""; 0]);
    assert_eq!((snapshot.count(""), snapshot.count("/r/b/"), snapshot.len()), (7, 4, 7));
}

pub(crate) async fn range_goes_on_after_a_key(backend: &impl Backend) {
    let store = open(backend);
    for n in 0..25 {
        put(&store, &format!("/r/p/{n:02}"), "1").await;
    }
    put(&store, "/r/q/0", "1").await;
    let snapshot = store.snapshot();
    let mut pages = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page: Vec<_> =
            snapshot.range("/r/p/", after.as_deref()).take(10).map(|entry| entry.key.to_string()).collect();
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        pages.push(page.len());
    }
    assert_eq!(pages, [10, 10, 5]);
    // Starts outside of the prefix.
    assert_eq!(snapshot.range("/r/p/", Some("/r/a")).count(), 25);
    assert_eq!(snapshot.range("/r/p/", Some("/r/z")).count(), 0);
    assert_eq!(snapshot.range("/r/p/", Some("/r/p0")).count(), 0);
    assert_eq!(snapshot.range("/r/p/", Some("/r/p/04x")).count(), 20);
}

pub(crate) async fn snapshot_does_not_change(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/a", "1").await;
    put(&store, "/r/b", "1").await;
    let snapshot = store.snapshot();
    put(&store, "/r/a", "2").await;
    delete(&store, "/r/b").await;
    assert_eq!(show(&snapshot, ""), ["/r/a=1@1", "/r/b=1@2"]);
    assert_eq!(snapshot.revision(), after(2));
}

/// Writes for a while; returns what was there at each revision.
pub(crate) async fn churn(store: &Store, revisions: u64) -> Vec<Vec<String>> {
    let mut states = vec![show(&store.snapshot(), "")];
    for n in 0..revisions {
        let key = format!("/r/{}", n * 7 % 13);
        if n % 5 == 4 && store.snapshot().get(&key).is_some() {
            delete(store, &key).await;
        } else {
            put(store, &key, &n.to_string()).await;
        }
        states.push(show(&store.snapshot(), ""));
    }
    states
}

pub(crate) async fn every_revision_of_the_window_can_be_read(backend: &impl Backend) {
    let store = open(backend);
    let states = churn(&store, 700).await;
    for (revision, state) in states.iter().enumerate().rev().step_by(9).chain([(0, &Vec::new())]) {
        let snapshot = store.snapshot_at(after(revision as u64)).unwrap();
        assert_eq!(&show(&snapshot, ""), state);
        assert_eq!(snapshot.revision(), after(revision as u64));
    }
}

pub(crate) async fn future_revisions_are_refused(backend: &impl Backend) {
    let store = open(backend);
    let now = put(&store, "/r/a", "1").await;
    let error = store.snapshot_at(now.next()).unwrap_err();
    assert_eq!((error.kind, error.revision), (ErrorKind::FutureRevision, now));
    assert_eq!(kind(store.watch("/r/", now.next())), ErrorKind::FutureRevision);
    assert_eq!(kind(store.compact(now.next()).await), ErrorKind::FutureRevision);
}

pub(crate) async fn consistent_read_shows_acknowledged_commits(backend: &impl Backend) {
    let store = open(backend);
    for n in 0..20 {
        let revision = put(&store, "/r/a", &n.to_string()).await;
        assert!(store.snapshot().revision() >= revision);
        assert_eq!(text(&soon(store.consistent()).await.unwrap().get("/r/a").unwrap().value), n.to_string());
    }
}

pub(crate) async fn waiting_for_a_revision_ends_when_it_comes(backend: &impl Backend) {
    let store = open(backend);
    let waiting = store.snapshot_at_least(after(3));
    let writing = async {
        for _ in 0..4 {
            put(&store, "/r/a", "1").await;
        }
    };
    let (snapshot, ()) = soon(async { tokio::join!(waiting, writing) }).await;
    assert!(snapshot.unwrap().revision() >= after(3));
}

pub(crate) async fn slot_is_made_once_and_shared(backend: &impl Backend) {
    struct Length(usize);
    struct Twice(usize);
    let store = open(backend);
    put(&store, "/r/a", "abc").await;
    let made = AtomicUsize::new(0);
    let length = |entry: &crate::Entry| {
        made.fetch_add(1, Ordering::Relaxed);
        Length(entry.value.len())
    };
    for _ in 0..3 {
        let entry = store.snapshot().get("/r/a").unwrap();
        assert_eq!(entry.slot(|entry| Twice(2 * entry.slot(length).0)).0, 6);
        assert_eq!(entry.slot(length).0, 3);
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
}
