//! A view that shows something else than etcd has: found, named, mended, and told to watches.

use super::*;
use crate::testing::{WIDE, delete, open as open_store, put, show, show_batch, soon};
use crate::{Difference, Loaded, Written};

/// A store whose thread the test plays itself, at a state that has these keys and no history.
async fn started(server: &Server, direct: &Store) -> Started {
    for key in ["/r/a", "/r/b", "/r/c", "/r/d"] {
        put(direct, key, "1").await;
    }
    put(direct, "/r/b", "2").await;
    let last = delete(direct, "/r/d").await;
    direct.compact(last).await.expect("etcd is up");
    start(Config { window: WIDE, ..server.config() }).await.expect("etcd is up")
}

/// As a bug would leave it: without a, with b as it was once, with d that is deleted.
fn damage(feed: &mut crate::Feed) {
    let as_of = |key: &str, revision: u64| Loaded {
        key: key.into(),
        value: "1".to_owned().into(),
        written: Written { create_revision: Revision(revision), mod_revision: Revision(revision), version: 1 },
        index: 0,
        expires: None,
    };
    feed.unseed("/r/a");
    feed.seed(as_of("/r/b", 3));
    feed.seed(as_of("/r/d", 5));
    feed.begin(feed.revision());
}

fn named(checker: &Checker) -> Vec<String> {
    let check = checker.outcome.borrow().clone().expect("there was a check");
    check.found.as_ref().expect("etcd answers").iter().map(Difference::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_view_is_found_and_mended_and_watches_are_told() {
    let server = Server::start();
    let direct = open_store(&server);
    let Started { store, mut follower, commits, questions, checker, .. } = started(&server, &direct).await;
    checker.check().await;
    assert_eq!(named(&checker), Vec::<String>::new());
    damage(&mut follower.feed);
    let mut watch = store.watch("/r/", store.revision()).unwrap();
    tokio::task::spawn(follower.run());
    tokio::task::spawn(commits.run());
    tokio::task::spawn(questions.run());
    checker.check().await;
    assert_eq!(
        named(&checker),
        ["/r/a (not shown, stored 2)", "/r/b (shown 3, stored 6)", "/r/d (shown 5, not stored)"]
    );
    // At a revision that watches have heard of already they could not be told.
    put(&direct, "/r/c", "2").await;
    let mut told = Vec::new();
    while told.len() < 4 {
        told.extend(show_batch(&soon(watch.next()).await.unwrap()));
    }
    told.sort();
    assert_eq!(told, ["+/r/a=1@7", "+/r/b=2@7", "+/r/c=2@7", "-/r/d=1@7"]);
    let mended = soon(store.consistent()).await.unwrap();
    assert_eq!(show(&mended, ""), show(&direct.snapshot(), ""));
    assert_eq!(mended.get("/r/b").unwrap().version, 2);
    checker.check().await;
    assert_eq!(named(&checker), Vec::<String>::new());
    // What is mended can be written: its revision is etcd's.
    store.commit(Txn::update("/r/b", "3", Revision(6), None)).await.unwrap();
    assert_eq!(show_batch(&soon(watch.next()).await.unwrap()), ["+/r/b=3@8"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_is_made_by_itself_and_its_outcome_told() {
    let server = Server::start();
    let store = open(Config { check_interval: Duration::from_millis(10), ..server.config() }).unwrap();
    put(&store, "/r/a", "1").await;
    let mut checks = store.checks().expect("etcd is compared");
    for _ in 0..3 {
        soon(checks.changed()).await.unwrap();
        let check = checks.borrow_and_update().clone().expect("there was a check");
        assert_eq!(check.found.as_ref().expect("etcd answers"), &[]);
    }
}
