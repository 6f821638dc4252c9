//! Claims about what is forgotten, and when.

use super::*;

const SECOND: u64 = 1000;

pub(crate) async fn compacted_revisions_are_refused(backend: &impl Backend) {
    let store = open(backend);
    let states = super::reads::churn(&store, 20).await;
    let mut behind = store.watch("/r/", Revision(5)).unwrap();
    let mut abreast = store.watch("/r/", Revision(10)).unwrap();
    store.compact(Revision(10)).await.unwrap();
    assert_eq!(store.compacted(), Revision(10));
    let error = store.snapshot_at(Revision(9)).unwrap_err();
    assert_eq!((error.kind, error.revision), (ErrorKind::Compacted, Revision(10)));
    assert_eq!(show(&store.snapshot_at(Revision(10)).unwrap(), ""), states[10]);
    assert_eq!(kind(store.watch("/r/", Revision(9))), ErrorKind::Compacted);
    assert_eq!(drain(&mut store.watch("/r/", Revision(10)).unwrap(), &store).await.len(), 10);
    assert_eq!(kind(soon(behind.next()).await), ErrorKind::Compacted);
    assert_eq!(drain(&mut abreast, &store).await.len(), 10);
    // Once more, and further back, changes nothing.
    store.compact(Revision(10)).await.unwrap();
    store.compact(Revision(3)).await.unwrap();
    assert_eq!((store.compacted(), store.revision()), (Revision(10), Revision(20)));
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
    assert_eq!(store.compacted(), Revision(80));
    assert_eq!(kind(store.watch("/r/", Revision(79))), ErrorKind::Compacted);
    assert_eq!(drain(&mut store.watch("/r/", Revision(80)).unwrap(), &store).await.len(), 20);
    assert_eq!(show(&store.snapshot_at(Revision(80)).unwrap(), ""), ["/r/a=79@80"]);
}

pub(crate) async fn window_is_bounded_by_bytes(backend: &impl Backend) {
    let store = backend.open(Window { bytes: 64 << 10, ..WIDE }).unwrap();
    let value = "x".repeat(8 << 10);
    for _ in 0..50 {
        put(&store, "/r/a", &value).await;
    }
    let kept = store.revision().0 - store.compacted().0;
    assert!((6..=8).contains(&kept), "{kept}");
}

pub(crate) async fn window_is_bounded_by_age(backend: &impl Backend) {
    let store = backend.open(Window { age: Duration::from_secs(60), ..WIDE }).unwrap();
    for minute in 1..=5 {
        put(&store, "/r/a", "1").await;
        store.tick(Timestamp(minute * 60 * SECOND)).await.unwrap();
    }
    assert_eq!(store.compacted(), Revision(4));
    assert_eq!(drain(&mut store.watch("/r/", Revision(4)).unwrap(), &store).await.len(), 1);
}

pub(crate) async fn slow_watch_falls_out_of_the_window(backend: &impl Backend) {
    let store = backend.open(Window { events: 10, ..WIDE }).unwrap();
    let mut slow = store.watch("/r/", Revision::ZERO).unwrap();
    let mut slow_elsewhere = store.watch("/s/", Revision::ZERO).unwrap();
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

pub(crate) async fn key_expires_with_time(backend: &impl Backend) {
    let store = open(backend);
    put_until(&store, "/r/events/a", "1", Some(Timestamp(10 * SECOND))).await;
    put(&store, "/r/pods/a", "1").await;
    store.tick(Timestamp(10 * SECOND - 1)).await.unwrap();
    assert_eq!(store.snapshot().len(), 2);
    let mut watch = store.watch("/r/events/", store.revision()).unwrap();
    store.tick(Timestamp(10 * SECOND)).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/pods/a=1@2"]);
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["-/r/events/a=1@3"]);
}

pub(crate) async fn later_write_replaces_the_expiry(backend: &impl Backend) {
    let store = open(backend);
    for (key, expires) in [("/r/later", Some(Timestamp(20 * SECOND))), ("/r/never", None)] {
        put_until(&store, key, "1", Some(Timestamp(10 * SECOND))).await;
        put_until(&store, key, "2", expires).await;
    }
    put_until(&store, "/r/deleted", "1", Some(Timestamp(10 * SECOND))).await;
    delete(&store, "/r/deleted").await;
    put(&store, "/r/deleted", "again").await;
    store.tick(Timestamp(15 * SECOND)).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/deleted=again@7", "/r/later=2@2", "/r/never=2@4"]);
    store.tick(Timestamp(25 * SECOND)).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/deleted=again@7", "/r/never=2@4"]);
}

pub(crate) async fn clock_that_was_ahead_expires_nothing_later(backend: &impl Backend) {
    let store = open(backend);
    store.tick(Timestamp(100 * SECOND)).await.unwrap();
    put_until(&store, "/r/a", "1", Some(Timestamp(50 * SECOND))).await;
    store.tick(Timestamp(SECOND)).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
    store.tick(Timestamp(50 * SECOND)).await.unwrap();
    assert!(store.snapshot().is_empty());
}

pub(crate) async fn clock_that_jumps_makes_no_history_old(backend: &impl Backend) {
    let store = backend.open(Window { age: Duration::from_secs(600), ..WIDE }).unwrap();
    for now in [10, 11, 10_000, 10_001, 5, 6, 20_000] {
        put(&store, "/r/a", "1").await;
        store.tick(Timestamp(now * SECOND)).await.unwrap();
    }
    assert_eq!(store.compacted(), Revision::ZERO);
}

pub(crate) async fn each_expired_key_has_its_own_revision(backend: &impl Backend) {
    let store = open(backend);
    for n in 0..1500 {
        let operations =
            vec![Operation::Put { key: format!("/r/{n}").into(), value: bytes("1"), expires: Some(Timestamp(SECOND)) }];
        if n % 500 == 0 {
            store.commit(Txn { compare: vec![], operations }).await.unwrap();
        } else {
            let _ = futures::FutureExt::now_or_never(store.commit(Txn { compare: vec![], operations }));
        }
    }
    put(&store, "/r/last", "1").await;
    let before = store.revision();
    let expiring = store.snapshot().len() as u64 - 1;
    store.tick(Timestamp(2 * SECOND)).await.unwrap();
    assert_eq!(store.revision().0, before.0 + expiring);
    assert_eq!(store.snapshot().len(), 1);
}

pub(crate) async fn closed_store_says_so(backend: &impl Backend) {
    let store = open(backend);
    let mut watch = store.watch("/r/", Revision::ZERO).unwrap();
    let mut idle = store.watch("/s/", Revision::ZERO).unwrap();
    put(&store, "/r/a", "1").await;
    let waiting = store.snapshot_at_least(Revision(100));
    let (waited, idled, closed) = soon(async { tokio::join!(waiting, idle.next(), store.close()) }).await;
    closed.unwrap();
    assert_eq!((kind(waited), kind(idled)), (ErrorKind::Unreachable, ErrorKind::Unreachable));
    assert_eq!(kind(store.commit(Txn::create("/r/b", bytes("1"), None)).await), ErrorKind::Unreachable);
    assert_eq!(kind(store.tick(Timestamp(1)).await), ErrorKind::Unreachable);
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["+/r/a=1@1"]);
    assert_eq!(kind(soon(watch.next()).await), ErrorKind::Unreachable);
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
}
