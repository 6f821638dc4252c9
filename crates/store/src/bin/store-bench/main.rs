//! Measures the embedded store: `cargo run --release -p store --bin store-bench -- DIR [writers|reopen|memory|watch]...`
//!
//! DIR is made and filled; put it on the disk that is asked about, and remove it afterwards. Figures and method are in docs/decisions.
//! `store-bench URL etcd` measures the store on an etcd that is there for nothing else, and fills it.
#![expect(clippy::print_stdout, reason = "a program for people, its figures are its output")]

mod etcd;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{Revision, Store, Txn, embedded};

const VALUE_BYTES: usize = 1500;
const SECONDS: u64 = 5;
const OBJECTS: u64 = 100_000;
const WATCHES: usize = 10_000;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or("usage: store-bench DIR [writers|reopen|memory|watch]...")?;
    let dir = Path::new(&dir);
    let mut what: Vec<String> = words.collect();
    if what.is_empty() {
        what = ["memory", "writers", "reopen", "watch"].map(str::to_owned).into();
    }
    for what in what {
        match what.as_str() {
            "writers" => {
                for writers in [1, 16, 256] {
                    writers_at_once(&dir.join(format!("writers-{writers}")), writers).await?;
                }
            }
            "reopen" => reopen(&dir.join("reopen")).await?,
            "open" => open(dir).await?,
            "memory" => memory(&dir.join("memory")).await?,
            "watch" => watch(&dir.join("watch")).await?,
            "etcd" => etcd::measure(dir.to_str().ok_or("a URL is text")?).await?,
            other => return Err(format!("unknown measurement {other}").into()),
        }
    }
    Ok(())
}

/// A value of its own for each seed.
fn value(seed: u64) -> Bytes {
    let mut bytes = vec![b'x'; VALUE_BYTES];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes.into()
}

fn fresh(dir: &Path) -> Result<Store, Box<dyn Error + Send + Sync>> {
    if dir.exists() {
        std::fs::remove_dir_all(dir)?;
    }
    Ok(embedded::open(embedded::Config::new(dir))?)
}

/// Each writer updates its own objects, one after the other, and waits for each acknowledgement.
async fn writers_at_once(dir: &Path, writers: u64) -> Outcome {
    let store = Arc::new(fresh(dir)?);
    let end = Instant::now() + Duration::from_secs(SECONDS);
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = store.clone();
            // A closed loop that ends by itself: nothing to supervise.
            tokio::task::spawn(async move {
                let mut latencies = Vec::new();
                let mut revisions = [Revision::ZERO; 16];
                while Instant::now() < end {
                    let slot = latencies.len() % revisions.len();
                    let key = format!("/registry/pods/default/{writer}-{slot}");
                    let value = value(writer << 32 | latencies.len() as u64);
                    let start = Instant::now();
                    revisions[slot] = store.commit(Txn::update(key, value, revisions[slot], None)).await?.revision;
                    latencies.push(start.elapsed());
                }
                Ok::<_, store::Error>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 1000).copied().unwrap_or_default();
    let rate = latencies.len() as u64 / SECONDS;
    println!("{writers:4} writers: {rate:6}/s  p50 {:?}  p99 {:?}  p99.9 {:?}", at(500), at(990), at(999));
    store.close().await?;
    Ok(())
}

async fn fill(store: &Arc<Store>, objects: u64) -> Outcome {
    let tasks = (0..100).map(|task| {
        let store = store.clone();
        async move {
            for n in (task..objects).step_by(100) {
                let key = format!("/registry/pods/namespace-{}/pod-{n:08}", n % 50);
                store.commit(Txn::create(key, value(n), None)).await?;
            }
            Ok::<_, store::Error>(())
        }
    });
    futures::future::try_join_all(tasks).await?;
    Ok(())
}

/// Opens a store of many objects, closed in order and as a killed process leaves it.
async fn reopen(dir: &Path) -> Outcome {
    let store = Arc::new(fresh(dir)?);
    fill(&store, OBJECTS).await?;
    let killed = dir.with_extension("killed");
    std::fs::create_dir_all(&killed)?;
    std::fs::copy(dir.join(embedded::FILE), killed.join(embedded::FILE))?;
    store.close().await?;
    drop(store);
    // Each in a process of its own, so that nothing of this one is counted.
    for (how, dir) in [("closed", dir), ("killed", &killed)] {
        print!("{how}: ");
        std::io::stdout().flush()?;
        std::process::Command::new(std::env::current_exe()?).arg(dir).arg("open").status()?;
    }
    Ok(())
}

async fn open(dir: &Path) -> Outcome {
    let (start, before) = (Instant::now(), resident()?);
    let store = embedded::open(embedded::Config::new(dir))?;
    let took = start.elapsed();
    println!("opened {} objects in {took:?}, {} KiB resident", store.snapshot().len(), resident()? - before);
    store.close().await?;
    Ok(())
}

/// What objects cost beyond their bytes, without and with the durable file.
async fn memory(dir: &Path) -> Outcome {
    let without = || embedded::memory(store::Window::default(), Arc::new(store::AsStored));
    for kept in [false, true] {
        let before = resident()?;
        let store = Arc::new(if kept { fresh(dir)? } else { without()? });
        let empty = resident()? - before;
        fill(&store, 10_000).await?;
        let (values, full) = (10_000 * VALUE_BYTES / 1024, resident()? - before);
        println!("kept on disk: {kept}; empty {empty} KiB; 10000 objects, {values} KiB of values: {full} KiB resident");
        store.close().await?;
        std::mem::forget(store);
    }
    Ok(())
}

/// How long after a commit the last of many watches has the event, and what watches cost.
async fn watch(dir: &Path) -> Outcome {
    const ROUNDS: u64 = 200;
    let store = Arc::new(fresh(dir)?);
    let before = resident()?;
    let seen = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    for n in 0..WATCHES {
        let prefix = if n % 10 == 0 { "/registry/nodes/" } else { "/registry/pods/" };
        let (mut watch, seen, over) = (store.watch(prefix, store.revision())?, seen.clone(), over.clone());
        tokio::task::spawn(async move {
            while let (false, Ok(batch)) = (over.load(Ordering::Relaxed), watch.next().await) {
                seen.fetch_add(batch.events().len() as u64, Ordering::Relaxed);
            }
        });
    }
    tokio::task::yield_now().await;
    for (resource, watches) in [("pods", WATCHES - WATCHES / 10), ("nodes", WATCHES / 10), ("leases", 0)] {
        let (mut committed, mut delivered) = (Duration::ZERO, Duration::ZERO);
        for round in 0..ROUNDS {
            let due = seen.load(Ordering::Relaxed) + watches as u64;
            let start = Instant::now();
            store.commit(Txn::create(format!("/registry/{resource}/{round}"), value(round), None)).await?;
            committed += start.elapsed();
            while seen.load(Ordering::Relaxed) < due {
                tokio::task::yield_now().await;
            }
            delivered += start.elapsed();
        }
        let each = |sum: Duration| sum / u32::try_from(ROUNDS).unwrap_or(1);
        println!(
            "{watches:5} watches of {resource}: commit {:?}, all have it after {:?}",
            each(committed),
            each(delivered)
        );
    }
    println!("{WATCHES} watching tasks: {} KiB resident", resident()? - before);
    over.store(true, Ordering::Relaxed);
    store.close().await?;
    Ok(())
}

/// The resident memory of this process in KiB.
fn resident() -> Result<usize, Box<dyn Error + Send + Sync>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
