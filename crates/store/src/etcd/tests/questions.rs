//! One question for many readers.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::*;
use crate::testing::{open as open_store, put, soon};

/// How many reads the etcd has answered so far, by its own account.
fn reads(server: &Server) -> u64 {
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).expect("etcd is up");
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("etcd listens");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("etcd answers");
    let range = |line: &&str| line.starts_with("grpc_server_handled_total{grpc_code=\"OK\",grpc_method=\"Range\"");
    let line = text.lines().find(range).expect("etcd counts");
    line.rsplit(' ').next().and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_come_together_share_a_question() {
    const READERS: usize = 400;
    let server = Server::start();
    let store = open_store(&server);
    put(&store, "/r/a", "1").await;
    let before = reads(&server);
    let read = futures::future::join_all((0..READERS).map(|_| store.consistent()));
    for snapshot in soon(read).await {
        assert_eq!(snapshot.unwrap().len(), 1);
    }
    let asked = reads(&server) - before;
    assert!((1..READERS as u64 / 4).contains(&asked), "{asked} questions for {READERS} readers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shared_question_is_never_older_than_who_asks() {
    let server = Server::start();
    let (writer, reader) = (Arc::new(open_store(&server)), Arc::new(open_store(&server)));
    let rounds = (0..8).map(|n| {
        let (writer, reader) = (writer.clone(), reader.clone());
        tokio::task::spawn(async move {
            for round in 0..50 {
                let written = put(&writer, &format!("/r/{n}"), &round.to_string()).await;
                let read = soon(reader.consistent()).await.unwrap();
                assert!(read.revision() >= written, "{} is older than {written}", read.revision());
                assert!(read.get(&format!("/r/{n}")).is_some_and(|entry| entry.mod_revision == written));
            }
        })
    });
    for done in futures::future::join_all(rounds).await {
        done.unwrap();
    }
}
