//! Claims about keys that expire, of backends that go by the time they are told.

use super::*;

const SECOND: u64 = 1000;

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
