//! Several servers on one etcd, and what etcd does by itself.

use std::sync::Arc;

use super::super::compactor::Compactor;
use super::super::members::Members;
use super::*;
use crate::testing::{WIDE, bytes, open as open_store, put, show, show_batch, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_on_one_etcd_read_what_the_others_wrote() {
    let server = Server::start();
    let (a, b) = (open_store(&server), open_store(&server));
    let mut watch = b.watch("/r/", b.revision()).unwrap();
    for n in 0..20 {
        let (writer, reader) = if n % 2 == 0 { (&a, &b) } else { (&b, &a) };
        put(writer, "/r/a", &n.to_string()).await;
        let read = soon(reader.consistent()).await.unwrap();
        assert_eq!(show(&read, ""), [format!("/r/a={n}@{}", n + 1)]);
    }
    let mut seen = 0;
    while seen < 20 {
        seen += soon(watch.next()).await.unwrap().events().len();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_others_are_none_of_ours_but_reads_do_not_wait_for_them() {
    let server = Server::start();
    let ours = || open(Config { prefix: "/one".to_owned(), root: "/registry".to_owned(), ..server.config() }).unwrap();
    let (store, second, others) = (ours(), ours(), open_store(&server));
    for n in 0..5 {
        let mine = put(&store, "/registry/a", &n.to_string()).await;
        let elsewhere = put(&others, "/two/a", "x").await;
        assert!(elsewhere > mine);
        let read = soon(second.consistent()).await.unwrap();
        assert!(read.revision() >= elsewhere, "told by progress, not by an event");
        assert_eq!(read.len(), 1);
    }
    assert_eq!(show(&others.snapshot(), "/one/a").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_expire_by_their_lease() {
    let server = Server::start();
    let store = open_store(&server);
    let now = server.config().now;
    let mut watch = store.watch("/r/", store.revision()).unwrap();
    let expires = Some(Timestamp(now.0 + 1000));
    let operations = ["/r/a", "/r/b"].map(|key| Operation::Put { key: key.into(), value: bytes("1"), expires });
    store.commit(Txn { compare: vec![], operations: operations.into() }).await.unwrap();
    put(&store, "/r/a", "2").await;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        seen.extend(show_batch(&soon(watch.next()).await.unwrap()));
    }
    assert_eq!(seen, ["+/r/a=1@1", "+/r/b=1@1", "+/r/a=2@2", "-/r/b=1@3"], "a later write replaces the expiry");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_all_servers_compacts() {
    let server = Server::start();
    let store = open(Config { window: WIDE, ..server.config() }).unwrap();
    let members = Arc::new(Members::new(&server.config()).await.unwrap());
    let compactor = || Compactor::new(members.clone(), Duration::ZERO);
    let (mut first, mut second) = (compactor(), compactor());
    put(&store, "/r/a", "1").await;
    assert_eq!(first.turn().await.unwrap(), None, "nobody compacts in its first interval");
    assert_eq!(second.turn().await.unwrap(), None);
    put(&store, "/r/a", "2").await;
    let compacted = first.turn().await.unwrap().expect("it is its turn");
    assert_eq!(second.turn().await.unwrap(), None, "it is another's");
    assert_eq!(second.turn().await.unwrap().map(|later| later > compacted), Some(true), "the other one is gone");
    let late = open(Config { window: WIDE, ..server.config() }).unwrap();
    assert!(late.compacted() > compacted, "history begins where etcd has it");
}
