//! What a commit and a consistent read cost the store and its etcd, beside the same transactions by a bare client that watches.
//!
//! CPU time is what the kernel says of this process and what etcd says of itself; the bare client's rounds and the store's take turns.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use etcd_client::{Client, Compare, CompareOp, GetOptions, Txn as EtcdTxn, TxnOp, WatchOptions};
use store::{Revision, Store, Timestamp, Txn};

use super::{Outcome, value};

const WRITERS: u64 = 16;
/// How often each writer writes, and reads, in a round.
const EACH: u64 = 1000;
const ROUNDS: usize = 3;
/// What comes after the last answer belongs to it.
const SETTLE: Duration = Duration::from_millis(300);
/// What etcd counts that may matter: requests and what it tells watches.
const COUNTED: [&str; 4] = [
    "grpc_server_handled_total",
    "grpc_server_msg_sent_total",
    "grpc_server_msg_received_total",
    "etcd_disk_wal_fsync_duration_seconds_count",
];

pub(super) async fn measure(url: &str) -> Outcome {
    let url = url.to_owned();
    let config = store::etcd::Config::new(vec![url.clone()], Timestamp(1_000_000));
    let store = Arc::new(tokio::task::spawn_blocking(|| store::etcd::open(config)).await??);
    let client = Client::connect([&url], None).await?;
    let mut watched = client.watch_client();
    let options = WatchOptions::new().with_prefix().with_progress_notify();
    for round in 0..ROUNDS {
        let before = Spent::by_now(&url)?;
        writes(|writer, round| commits(store.clone(), writer, round), round).await?;
        before.tell("commit", &url).await?;
        let before = Spent::by_now(&url)?;
        writes(|_, _| reads(store.clone()), round).await?;
        before.tell("consistent read", &url).await?;
        // The store's watch has it all as well, at a price: so the bare client watches what it writes, elsewhere.
        let mut watch = watched.watch("/bare/", Some(options.clone())).await?;
        let listen = tokio::task::spawn(async move { while let Ok(Some(_)) = watch.message().await {} });
        let before = Spent::by_now(&url)?;
        writes(|writer, round| bare(client.clone(), writer, round), round).await?;
        before.tell("bare transaction", &url).await?;
        listen.abort();
    }
    store.close().await?;
    Ok(())
}

/// All writers of a round, until the last has done its part.
async fn writes<F>(each: impl Fn(u64, usize) -> F, round: usize) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    // Closed loops that end by themselves: nothing to supervise.
    let tasks: Vec<_> = (0..WRITERS).map(|writer| tokio::task::spawn(each(writer, round))).collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn seed(writer: u64, round: usize, n: u64) -> Bytes {
    value(writer << 48 | (round as u64) << 32 | n)
}

async fn commits(store: Arc<Store>, writer: u64, round: usize) -> Outcome {
    let mut revision = Revision::ZERO;
    for n in 0..EACH {
        let key = format!("/registry/pods/default/{writer}-{round}");
        revision = store.commit(Txn::update(key, seed(writer, round, n), revision, None)).await?.revision;
    }
    Ok(())
}

async fn reads(store: Arc<Store>) -> Outcome {
    for _ in 0..EACH {
        store.consistent().await?;
    }
    Ok(())
}

async fn bare(mut client: Client, writer: u64, round: usize) -> Outcome {
    let mut revision = 0;
    for n in 0..EACH {
        let key = format!("/bare/pods/default/{writer}-{round}");
        let txn = EtcdTxn::new()
            .when([Compare::mod_revision(key.clone(), CompareOp::Equal, revision)])
            .and_then([TxnOp::put(key.clone(), seed(writer, round, n), None)])
            .or_else([TxnOp::get(key, Some(GetOptions::new().with_keys_only()))]);
        let answer = client.txn(txn).await?;
        if !answer.succeeded() {
            return Err("the etcd is there for others as well".into());
        }
        revision = answer.header().ok_or("an answer without a header")?.revision();
    }
    Ok(())
}

/// What was spent until a moment.
struct Spent {
    at: Instant,
    ours: f64,
    etcds: f64,
    counts: Vec<(String, f64)>,
}

impl Spent {
    fn by_now(url: &str) -> Result<Spent, Box<dyn std::error::Error + Send + Sync>> {
        let mut stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let figures: Vec<(String, f64)> = text
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, figure)| Some((name.to_owned(), figure.parse().ok()?)))
            .collect();
        let etcds =
            figures.iter().find(|(name, _)| name == "process_cpu_seconds_total").map_or(0.0, |(_, spent)| *spent);
        let counts = figures.into_iter().filter(|(name, _)| COUNTED.iter().any(|counted| name.starts_with(counted)));
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks: f64 = after_name.split(' ').skip(12).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(Spent { at: Instant::now(), ours: ticks / 100.0, etcds, counts: counts.collect() })
    }

    async fn tell(&self, what: &str, url: &str) -> Outcome {
        let took = self.at.elapsed();
        tokio::time::sleep(SETTLE).await;
        let now = Spent::by_now(url)?;
        let operations = (WRITERS * EACH) as f64;
        println!(
            "{what:16} {:6.0}/s  this process {:5.1} us, etcd {:5.1} us",
            operations / took.as_secs_f64(),
            (now.ours - self.ours) * 1e6 / operations,
            (now.etcds - self.etcds) * 1e6 / operations
        );
        for (name, count) in &now.counts {
            let before = self.counts.iter().find(|(other, _)| other == name).map_or(0.0, |(_, count)| *count);
            if (count - before) / operations > 0.001 {
                println!("    {:6.3} {name}", (count - before) / operations);
            }
        }
        Ok(())
    }
}
