//! Claims about writing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::Compare;

pub(crate) async fn created_object_is_read_back(backend: &impl Backend) {
    let store = open(backend);
    let before = store.revision();
    let committed = store.commit(Txn::create("/r/pods/a", bytes("1"), None)).await.unwrap();
    assert!(committed.revision > before);
    let entry = only(&committed);
    assert_eq!((&*entry.key, text(&entry.value).as_str(), entry.version), ("/r/pods/a", "1", 1));
    assert_eq!((entry.create_revision, entry.mod_revision), (committed.revision, committed.revision));
    assert_eq!(store.revision(), committed.revision);
    assert_eq!(text(&store.snapshot().get("/r/pods/a").unwrap().value), "1");
    assert!(store.snapshot().get("/r/pods/").is_none());
}

pub(crate) async fn creating_again_says_key_exists(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/pods/a", "1").await;
    let error = store.commit(Txn::create("/r/pods/a", bytes("2"), None)).await.unwrap_err();
    assert_eq!((error.kind, error.key.as_deref(), error.revision), (ErrorKind::KeyExists, Some("/r/pods/a"), first));
    assert_eq!(text(&error.current.unwrap().value), "1");
}

pub(crate) async fn stale_update_conflicts_and_gives_current(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/pods/a", "1").await;
    let second = store.commit(Txn::update("/r/pods/a", bytes("2"), first, None)).await.unwrap();
    assert_eq!((only(&second).create_revision, only(&second).version), (first, 2));
    let error = store.commit(Txn::update("/r/pods/a", bytes("3"), first, None)).await.unwrap_err();
    assert!(error.is_compare_failed());
    assert_eq!((error.kind, error.revision), (ErrorKind::Conflict, second.revision));
    assert_eq!(text(&error.current.unwrap().value), "2");
    assert_eq!(kind(store.commit(Txn::delete("/r/pods/a", first)).await), ErrorKind::Conflict);
}

pub(crate) async fn update_of_missing_key_is_not_found(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/pods/a", "1").await;
    delete(&store, "/r/pods/a").await;
    let error = store.commit(Txn::update("/r/pods/a", bytes("2"), first, None)).await.unwrap_err();
    assert_eq!((error.kind, error.current.is_none()), (ErrorKind::KeyNotFound, true));
}

pub(crate) async fn delete_of_missing_key_is_not_found(backend: &impl Backend) {
    let store = open(backend);
    let operations = vec![Operation::Delete { key: "/r/pods/a".into() }];
    let error = store.commit(Txn { compare: vec![], operations }).await.unwrap_err();
    assert_eq!((error.kind, error.key.as_deref()), (ErrorKind::KeyNotFound, Some("/r/pods/a")));
}

pub(crate) async fn recreated_key_starts_over(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/pods/a", "1").await;
    let second = put(&store, "/r/pods/a", "2").await;
    let deleted = store.commit(Txn::delete("/r/pods/a", second)).await.unwrap();
    assert_eq!((text(&only(&deleted).value).as_str(), only(&deleted).mod_revision), ("2", deleted.revision));
    assert!(store.snapshot().get("/r/pods/a").is_none());
    let again = store.commit(Txn::create("/r/pods/a", bytes("3"), None)).await.unwrap();
    assert_eq!((only(&again).create_revision, only(&again).version), (again.revision, 1));
}

pub(crate) async fn refused_commit_leaves_no_trace(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/pods/a", "1").await;
    let mut watch = store.watch("/r/", first).unwrap();
    assert_eq!(kind(store.commit(Txn::create("/r/pods/a", bytes("2"), None)).await), ErrorKind::KeyExists);
    assert_eq!(store.revision(), first);
    assert!(watch.try_next().unwrap().is_none());
    assert_eq!(put(&store, "/r/pods/b", "1").await, first.next());
}

pub(crate) async fn transaction_is_all_or_nothing(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/a", "1").await;
    let operations = |value: &str| {
        vec![
            Operation::Put { key: "/r/b".into(), value: bytes(value), expires: None },
            Operation::Delete { key: "/r/a".into() },
        ]
    };
    let on = |revision| vec![Compare::ModRevision { key: "/r/c".into(), revision }];
    assert_eq!(
        kind(store.commit(Txn { compare: on(first), operations: operations("no") }).await),
        ErrorKind::KeyNotFound
    );
    let mut missing = operations("no");
    missing.push(Operation::Delete { key: "/r/missing".into() });
    assert_eq!(kind(store.commit(Txn { compare: vec![], operations: missing }).await), ErrorKind::KeyNotFound);
    assert_eq!(show(&store.snapshot(), ""), ["/r/a=1@1"]);
    store.commit(Txn { compare: on(Revision::ZERO), operations: operations("yes") }).await.unwrap();
    assert_eq!(show(&store.snapshot(), ""), ["/r/b=yes@2"]);
}

pub(crate) async fn one_revision_for_all_operations(backend: &impl Backend) {
    let store = open(backend);
    put(&store, "/r/a", "1").await;
    let operations = vec![
        Operation::Put { key: "/r/z".into(), value: bytes("z"), expires: None },
        Operation::Delete { key: "/r/a".into() },
        Operation::Put { key: "/r/m".into(), value: bytes("m"), expires: None },
    ];
    let committed = store.commit(Txn { compare: vec![], operations }).await.unwrap();
    let keys: Vec<_> = committed.entries.iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["/r/z", "/r/a", "/r/m"]);
    assert!(committed.entries.iter().all(|entry| entry.mod_revision == committed.revision));
    assert_eq!(show(&store.snapshot(), ""), ["/r/m=m@2", "/r/z=z@2"]);
}

pub(crate) async fn key_given_twice_is_invalid(backend: &impl Backend) {
    let store = open(backend);
    let put = |key: &str| Operation::Put { key: key.into(), value: bytes("1"), expires: None };
    for operations in [vec![put("/r/a"), put("/r/b"), put("/r/a")], vec![put("")], vec![put(&"k".repeat(1 << 20))]] {
        assert_eq!(kind(store.commit(Txn { compare: vec![], operations }).await), ErrorKind::Invalid);
    }
    assert_eq!(store.revision(), Revision::FIRST);
}

pub(crate) async fn transaction_without_operations_only_checks(backend: &impl Backend) {
    let store = open(backend);
    let first = put(&store, "/r/a", "1").await;
    let check =
        |revision| Txn { compare: vec![Compare::ModRevision { key: "/r/a".into(), revision }], operations: vec![] };
    let committed = store.commit(check(first)).await.unwrap();
    assert_eq!((committed.revision, committed.entries.len()), (first, 0));
    assert_eq!(kind(store.commit(check(Revision::ZERO)).await), ErrorKind::KeyExists);
    assert_eq!(store.revision(), first);
}

pub(crate) async fn concurrent_commits_get_revisions_of_their_own(backend: &impl Backend) {
    let store = Arc::new(open(backend));
    let commits = (0..100).map(|n| {
        let store = store.clone();
        async move { put(&store, &format!("/r/{n}"), "1").await }
    });
    let revisions: BTreeSet<_> = futures::future::join_all(commits).await.into_iter().collect();
    assert_eq!(revisions, (1..=100).map(after).collect());
}

pub(crate) async fn one_of_many_rivals_wins(backend: &impl Backend) {
    let store = Arc::new(open(backend));
    let mut revision = put(&store, "/r/a", "0").await;
    for _ in 0..10 {
        let rivals = (0..16).map(|n| store.commit(Txn::update("/r/a", bytes(&n.to_string()), revision, None)));
        let (won, lost): (Vec<_>, Vec<_>) =
            futures::future::join_all(rivals).await.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 15));
        assert!(lost.into_iter().all(|result| kind(result) == ErrorKind::Conflict));
        revision = won[0].as_ref().unwrap().revision;
    }
}

pub(crate) async fn dropped_commit_does_no_harm(backend: &impl Backend) {
    let store = open(backend);
    for n in 0..20 {
        let commit = store.commit(Txn::create(format!("/r/{n}"), bytes("1"), None));
        drop(futures::FutureExt::now_or_never(commit));
    }
    put(&store, "/r/last", "1").await;
    // Some of them may still be under way: each is in a state whole, with a revision of its own, or not at all.
    let state = store.snapshot();
    assert!(state.get("/r/last").is_some());
    assert_eq!(commits(state.revision()), state.len() as u64);
}
