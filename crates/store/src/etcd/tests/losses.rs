//! Losing the connection, history, a member, or the whole past.

use super::gate::Gate;
use super::*;
use crate::testing::{WIDE, bytes, delete, kind, open as open_store, put, show_batch, soon};

fn through(gate: &Gate, server: &Server) -> Store {
    open(Config { endpoints: vec![gate.url()], window: WIDE, ..server.config() }).expect("etcd is up")
}

/// What a watch tells until it has seen a key.
async fn until(watch: &mut crate::Watch, key: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while !seen.iter().any(|event: &String| event[1..].starts_with(&format!("{key}="))) {
        seen.extend(show_batch(&soon(watch.next()).await.expect("the watch goes on")));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_goes_on_where_it_was_when_the_connection_is_lost() {
    let server = Server::start();
    let (gate, direct) = (Gate::to(&server.url), open_store(&server));
    let store = through(&gate, &server);
    let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
    put(&direct, "/r/a", "1").await;
    assert_eq!(until(&mut watch, "/r/a").await, ["+/r/a=1@1"]);
    for round in 0..3 {
        gate.cut();
        put(&direct, "/r/a", "2").await;
        delete(&direct, "/r/a").await;
        gate.open();
        let last = format!("/r/last{round}");
        put(&direct, &last, "x").await;
        let n = 1 + 3 * round;
        let expected = [format!("+/r/a=2@{}", n + 1), format!("-/r/a=2@{}", n + 2), format!("+{last}=x@{}", n + 3)];
        assert_eq!(until(&mut watch, &last).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_while_history_was_given_up_is_told() {
    let server = Server::start();
    let (gate, direct) = (Gate::to(&server.url), open_store(&server));
    for key in ["/r/changed", "/r/deleted", "/r/kept", "/r/replaced"] {
        put(&direct, key, "old").await;
    }
    let store = through(&gate, &server);
    let mut watch = store.watch("/r/", store.revision()).unwrap();
    gate.cut();
    put(&direct, "/r/changed", "between").await;
    put(&direct, "/r/changed", "new").await;
    delete(&direct, "/r/deleted").await;
    delete(&direct, "/r/replaced").await;
    put(&direct, "/r/replaced", "new").await;
    let last = put(&direct, "/r/made", "new").await;
    direct.compact(last).await.unwrap();
    gate.open();
    let told = until(&mut watch, "/r/deleted").await;
    // The deletion is told as late as it may have been.
    let expected =
        ["+/r/changed=new@6", "-/r/replaced=old@8", "+/r/replaced=new@9", "+/r/made=new@10", "-/r/deleted=old@10"];
    assert_eq!(told, expected);
    assert_eq!(crate::testing::show(&store.snapshot(), ""), crate::testing::show(&direct.snapshot(), ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_of_unknown_outcome_is_not_sent_again() {
    let server = Server::start();
    let (gate, direct) = (Gate::to(&server.url), open_store(&server));
    let store = through(&gate, &server);
    put(&store, "/r/before", "1").await;
    gate.mute();
    let mut watch = direct.watch("/r/a", direct.revision()).unwrap();
    let commit = store.commit(Txn { compare: vec![], operations: vec![write("/r/a")] });
    let lose = async {
        soon(watch.next()).await.unwrap();
        gate.cut();
        gate.open();
    };
    let (answer, ()) = tokio::join!(commit, lose);
    assert_eq!(kind(answer), ErrorKind::Unreachable);
    let entry = soon(store.consistent()).await.unwrap().get("/r/a").unwrap();
    assert_eq!(entry.version, 1, "written once");
}

fn write(key: &str) -> Operation {
    Operation::Put { key: key.into(), value: bytes("1"), expires: None }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_that_went_back_is_refused_and_what_was_read_stays() {
    let mut server = Server::start();
    let store = open_store(&server);
    put(&store, "/r/a", "1").await;
    let mut watch = store.watch("/r/", store.revision()).unwrap();
    server.begin_anew();
    assert_eq!(kind(soon(watch.next()).await), ErrorKind::Diverged);
    assert_eq!(kind(store.commit(Txn::create("/r/b", "1", None)).await), ErrorKind::Diverged);
    assert_eq!(kind(store.consistent().await), ErrorKind::Diverged);
    let error = store.tick(Timestamp(1)).await.unwrap_err();
    assert!(error.to_string().contains("put back to a backup?"), "{error}");
    assert_eq!(store.snapshot().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_may_be_lost() {
    let mut servers = Server::cluster();
    let endpoints: Vec<String> = servers.iter().map(|server| server.url.clone()).collect();
    let store = open(Config { endpoints, window: WIDE, ..servers[0].config() }).unwrap();
    let mut watch = store.watch("/r/", Revision::FIRST).unwrap();
    put(&store, "/r/0", "1").await;
    drop(servers.remove(0));
    let mut written = 0;
    while written < 20 {
        // While the others elect, or before the loss is noticed, a write may fail; whether it happened is seen below.
        let commit = store.commit(Txn::create(format!("/r/{}", written + 1), "1", None)).await;
        match commit {
            Ok(_) => written += 1,
            Err(error) if error.kind == ErrorKind::KeyExists => written += 1,
            Err(error) => assert!(matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Timeout), "{error}"),
        }
    }
    let seen = until(&mut watch, "/r/20").await;
    let expected: Vec<String> = (0..=20).map(|n| format!("+/r/{n}=1@{}", n + 1)).collect();
    assert_eq!(seen, expected);
}
