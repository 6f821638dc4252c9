//! Claims about what is forgotten, and when.

use super::*;

const SECOND: u64 = 1000;

pub(crate) async fn compacted_revisions_are_refused(backend: &impl Backend) {
    let store = open(backend);
    let states = super::reads::churn(&store, 20).await;
    let mut behind = store.watch("/r/", after(5)).unwrap();
    let mut abreast = store.watch("/r/", after(10)).unwrap();
    store.compact(after(10)).await.unwrap();
    assert_eq!(store.compacted(), after(10));
    let error = store.snapshot_at(after(9)).unwrap_err();
    assert_eq!((error.kind, error.revision), (ErrorKind::Compacted, after(10)));
    assert_eq!(show(&store.snapshot_at(after(10)).unwrap(), ""), states[10]);
    assert_eq!(kind(store.watch("/r/", after(9))), ErrorKind::Compacted);
    assert_eq!(drain(&mut store.watch("/r/", after(10)).unwrap(), &store).await.len(), 10);
    assert_eq!(kind(soon(behind.next()).await), ErrorKind::Compacted);
    assert_eq!(drain(&mut abreast, &store).await.len(), 10);
    // Once more, and further back, changes nothing.
    store.compact(after(10)).await.unwrap();
    store.compact(after(3)).await.unwrap();
    assert_eq!((store.compacted(), store.revision()), (after(10), after(20)));
}

/// etcd#18089: a watch lost a deletion when the revision of the deletion was compacted.
pub(crate) async fn deletes_after_compaction_are_not_lost(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/a", "1").await;
    put(&store, "/r/b", "1").await;
    let deleted = delete(&store, "/r/a").await;
    put(&store, "/r/b", "2").await;
    store.compact(Revision(deleted.0 - 1)).await.unwrap();
    let mut watch = store.watch("/r/", Revision(deleted.0 - 1)).unwrap();
    assert_eq!(drain(&mut watch, &store).await, ["-/r/a=1@3", "+/r/b=2@4"]);
    store.compact(deleted).await.unwrap();
    assert_eq!(kind(store.watch("/r/", Revision(deleted.0 - 1))), ErrorKind::Compacted);
    assert_eq!(show(&store.snapshot_at(deleted).unwrap(), ""), ["/r/b=1@2"]);
}

pub(crate) async fn window_is_bounded_by_events(backend: &impl Backend) {
    let store = backend.open(Window { events: 20, ..WIDE }).unwrap();
    for n in 0..100 {
        put(&store, "/r/a", &n.to_string()).await;
    }
    assert_eq!(store.compacted(), after(80));
    assert_eq!(kind(store.watch("/r/", after(79))), ErrorKind::Compacted);
    assert_eq!(drain(&mut store.watch("/r/", after(80)).unwrap(), &store).await.len(), 20);
    assert_eq!(show(&store.snapshot_at(after(80)).unwrap(), ""), ["/r/a=79@80"]);
}

pub(crate) async fn window_is_bounded_by_bytes(backend: &impl Backend) {
    let store = backend.open(Window { bytes: 64 << 10, ..WIDE }).unwrap();
    let value = "x".repeat(8 << 10);
    for _ in 0..50 {
        put(&store, "/r/a", &value).await;
    }
    let kept = store.revision().0 - store.compacted().0;
    assert!((6..=8).contains(&kept), "{kept}");
    // What is live is no part of it.
    for n in 0..50 {
        put(&store, &format!("/r/b{n}"), &value).await;
    }
    let kept = store.revision().0 - store.compacted().0;
    assert!((50..=58).contains(&kept), "{kept}");
}

pub(crate) async fn window_is_bounded_by_age(backend: &impl Backend) {
    let store = backend.open(Window { age: Duration::from_secs(60), ..WIDE }).unwrap();
    for minute in 1..=5 {
        put(&store, "/r/a", "1").await;
        store.tick(Timestamp(minute * 60 * SECOND)).await.unwrap();
    }
    assert_eq!(store.compacted(), after(4));
    assert_eq!(drain(&mut store.watch("/r/", after(4)).unwrap(), &store).await.len(), 1);
}

pub(crate) async fn slow_watch_falls_out_of_the_window(backend: &impl Backend) {
    let store = backend.open(Window { events: 10, ..WIDE }).unwrap();
    let mut slow = store.watch("/r/", Revision::FIRST).unwrap();
    let mut slow_elsewhere = store.watch("/s/", Revision::FIRST).unwrap();
    put(&store, "/s/a", "1").await;
    for n in 0..50 {
        put(&store, "/r/a", &n.to_string()).await;
    }
    let error = soon(slow.next()).await.unwrap_err();
    assert_eq!((error.kind, error.revision), (ErrorKind::Compacted, store.compacted()));
    assert_eq!(kind(soon(slow.next()).await), ErrorKind::Compacted);
    // A quiet prefix may keep what it has a little longer, but what it returns has no gap.
    match slow_elsewhere.try_next() {
        Ok(batch) => assert_eq!(show_batch(&batch.unwrap()), ["+/s/a=1@1"]),
        Err(error) => assert_eq!(error.kind, ErrorKind::Compacted),
    }
}

pub(crate) async fn clock_that_jumps_makes_no_history_old(backend: &impl Backend) {
    let store = backend.open(Window { age: Duration::from_secs(600), ..WIDE }).unwrap();
    for now in [10, 11, 10_000, 10_001, 5, 6, 20_000] {
        put(&store, "/r/a", "1").await;
        store.tick(Timestamp(now * SECOND)).await.unwrap();
    }
    assert_eq!(store.compacted(), Revision::FIRST);
}

pub(crate) async fn closed_store_says_so(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
    let mut idle = store.watch("/s/", Revision::FIRST).unwrap();
    put(&store, "/r/a", "1").await;
    let waiting = store.snapshot_at_least(after(100));
    let (waited, idled, closed) = soon(async { tokio::join!(waiting, idle.next(), store.close()) }).await;
    closed.unwrap();
    assert_eq!((kind(waited), kind(idled)), (ErrorKind::Unreachable, ErrorKind::Unreachable));
    assert_eq!(kind(store.commit(Txn::create("/r/b", bytes("1"), None)).await), ErrorKind::Unreachable);
    assert_eq!(kind(store.tick(Timestamp(1)).await), ErrorKind::Unreachable);
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["+/r/a=1@1"]);
    assert_eq!(kind(soon(watch.next()).await), ErrorKind::Unreachable);
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
}
