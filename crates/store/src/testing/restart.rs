//! Claims about what is there after the store was closed and opened again.

use super::*;

async fn reopen(backend: &impl Backend, store: Store) -> Store {
    reopen_with(backend, store, WIDE).await
}

async fn reopen_with(backend: &impl Backend, store: Store, window: Window) -> Store {
    store.close().await.unwrap();
    backend.open(window).unwrap()
}

pub(crate) async fn objects_and_revisions_survive_a_restart(backend: &impl Backend) {
    let store = open(backend);
    super::reads::churn(&store, 100).await;
    let before = store.snapshot();
    let store = reopen(backend, store).await;
    let after = store.snapshot();
    assert_eq!(after.revision(), before.revision());
    let facts = |snapshot: &Snapshot| {
        let of = |entry: &Arc<crate::Entry>| {
            (entry.key.clone(), entry.value.clone(), entry.create_revision, entry.mod_revision, entry.version)
        };
        snapshot.range("", None).map(of).collect::<Vec<_>>()
    };
    assert_eq!(facts(&after), facts(&before));
    assert_eq!(put(&store, "/r/new", "1").await, super::after(101));
    let error = store.commit(Txn::create("/r/new", bytes("1"), None)).await.unwrap_err();
    assert_eq!((error.kind, error.revision), (ErrorKind::KeyExists, super::after(101)));
}

pub(crate) async fn watch_resumes_after_a_restart(backend: &impl Backend) {
    let store = open(backend);
    super::reads::churn(&store, 60).await;
    let operations =
        (0..3).map(|n| Operation::Put { key: format!("/r/x{n}").into(), value: bytes("x"), expires: None });
    store.commit(Txn { compare: vec![], operations: operations.collect() }).await.unwrap();
    delete(&store, "/r/x1").await;
    let all = drain(&mut store.watch("/r/", Revision::FIRST).unwrap(), &store).await;
    let store = reopen(backend, store).await;
    assert_eq!(drain(&mut store.watch("/r/", Revision::FIRST).unwrap(), &store).await, all);
    put(&store, "/r/x0", "y").await;
    assert_eq!(
        drain(&mut store.watch("/r/", after(60)).unwrap(), &store).await,
        ["+/r/x0=x@61", "+/r/x1=x@61", "+/r/x2=x@61", "-/r/x1=x@62", "+/r/x0=y@63"]
    );
}

pub(crate) async fn revision_does_not_go_back_when_nothing_is_left(backend: &impl Backend) {
    let mut store = open(backend);
    for round in 0..3 {
        put(&store, "/r/a", "1").await;
        let last = delete(&store, "/r/a").await;
        store.compact(last).await.unwrap();
        store = reopen(backend, store).await;
        assert_eq!(store.revision(), after(2 * (round + 1)));
        assert_eq!(store.compacted(), last);
        assert!(store.snapshot().is_empty());
    }
}

pub(crate) async fn expiry_survives_a_restart(backend: &impl Backend) {
    let store = open(backend);
    put_until(&store, "/r/a", "1", Some(Timestamp(10))).await;
    put_until(&store, "/r/b", "1", Some(Timestamp(20))).await;
    store.compact(after(1)).await.unwrap();
    let store = reopen(backend, store).await;
    store.tick(Timestamp(15)).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/b=1@2"]);
    let store = reopen(backend, store).await;
    store.tick(Timestamp(20)).await.unwrap();
    assert_eq!((store.snapshot().len(), store.revision()), (0, after(4)));
}

pub(crate) async fn compaction_survives_a_restart(backend: &impl Backend) {
    let store = open(backend);
    let states = super::reads::churn(&store, 50).await;
    store.compact(after(30)).await.unwrap();
    let store = reopen(backend, store).await;
    assert_eq!(store.compacted(), after(30));
    assert_eq!(kind(store.watch("/r/", after(29))), ErrorKind::Compacted);
    assert_eq!(drain(&mut store.watch("/r/", after(30)).unwrap(), &store).await.len(), 20);
    assert_eq!(show(&store.snapshot_at(after(30)).unwrap(), ""), states[30]);
    assert_eq!(show(&store.snapshot(), ""), states[50]);
}

pub(crate) async fn trimmed_history_leaves_the_live_objects(backend: &impl Backend) {
    let narrow = Window { events: 50, ..WIDE };
    let mut store = backend.open(narrow).unwrap();
    for n in 0..20 {
        put(&store, &format!("/r/old/{n}"), "1").await;
    }
    let commits = (0..1500).map(|n| {
        let key = format!("/r/{}", n % 30);
        let operations = vec![Operation::Put { key: key.into(), value: bytes(&n.to_string()), expires: None }];
        store.commit(Txn { compare: vec![], operations })
    });
    let committed = futures::future::join_all(commits).await;
    assert!(committed.into_iter().all(|result| result.is_ok()));
    for n in 0..15 {
        delete(&store, &format!("/r/old/{n}")).await;
    }
    for _ in 0..3 {
        let before = show(&store.snapshot(), "");
        store = reopen_with(backend, store, narrow).await;
        assert_eq!(show(&store.snapshot(), ""), before);
        assert_eq!(before.len(), 35);
        for n in 0..300 {
            put(&store, &format!("/r/{}", n % 30), "later").await;
        }
    }
}

pub(crate) async fn every_revision_of_the_window_can_be_read_after_a_restart(backend: &impl Backend) {
    let store = open(backend);
    let states = super::reads::churn(&store, 300).await;
    store.compact(after(100)).await.unwrap();
    let store = reopen(backend, store).await;
    for revision in (100..=300).step_by(7) {
        assert_eq!(show(&store.snapshot_at(after(revision as u64)).unwrap(), ""), states[revision]);
    }
}
