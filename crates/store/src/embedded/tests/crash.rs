//! A process is killed at random points, again and again, and no acknowledged write may be missing.
//!
//! The child is this test binary, told by an environment variable to write and to report each acknowledgement on its standard output.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::testing::{WIDE, bytes, text};

const KILLS: u64 = 200;
const SEED: u64 = 20_261_121;
const DIR: &str = "KRAB_STORE_CRASH_DIR";
const ROUND: &str = "KRAB_STORE_CRASH_ROUND";
const WRITERS: u64 = 4;
/// Small, so that superseded records are removed all the time.
const WINDOW: Window = Window { events: 300, ..WIDE };

#[test]
fn acknowledged_writes_survive_being_killed() {
    let directory = directory();
    println!("seed {SEED}");
    let mut state = SEED;
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    let mut newest = Revision::ZERO;
    let mut total = 0;
    for round in 0..KILLS {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let acks = run_and_kill(directory.0.path(), round, Duration::from_micros((state >> 33) % 25_000));
        total += acks.len();
        for (key, value, revision) in acks {
            newest = newest.max(Revision(revision));
            let last = acknowledged.entry(key).or_default();
            *last = value.max(*last);
        }
        let store = Backend::open(&directory, WINDOW).unwrap();
        assert!(store.revision() >= newest, "round {round}: revision went back from {newest} to {}", store.revision());
        newest = store.revision();
        let snapshot = store.snapshot();
        for (key, value) in &acknowledged {
            let found = snapshot.get(key).map(|entry| text(&entry.value).trim_end().parse().unwrap());
            // A later write may have been made durable without having been acknowledged.
            assert!(found >= Some(*value), "round {round}: {key} was acknowledged at {value} and is {found:?}");
            assert!(found <= Some(value + 1), "round {round}: {key} is {found:?}, from the future of {value}");
        }
        // What is not known to the parent was never acknowledged: each writer has at most one of those.
        acknowledged.extend(
            snapshot
                .range("/r/", None)
                .map(|entry| (entry.key.to_string(), text(&entry.value).trim_end().parse::<u64>().unwrap())),
        );
        futures::executor::block_on(store.close()).unwrap();
    }
    assert!(total as u64 > KILLS, "only {total} writes were acknowledged in all");
}

/// Returns what was acknowledged: key, value, revision.
fn run_and_kill(dir: &std::path::Path, round: u64, after: Duration) -> Vec<(String, u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "embedded::tests::crash::child_writes_until_killed", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let opened = lines.by_ref().map_while(Result::ok).any(|line| line == "opened");
    // The child is killed by a thread, so that its acknowledgements are read as they come.
    let killer = std::thread::spawn(move || {
        std::thread::park_timeout(after);
        child.kill().unwrap();
        let mut said = String::new();
        let _ = child.stderr.take().unwrap().read_to_string(&mut said);
        child.wait().unwrap();
        said
    });
    let parse = |line: String| {
        let mut words = line.strip_prefix("ack ")?.split(' ');
        // A line may have been cut off.
        let (key, value, revision, end) = (words.next()?, words.next()?, words.next()?, words.next()?);
        (end == ".").then_some((key.to_owned(), value.parse().unwrap(), revision.parse().unwrap()))
    };
    let acks = lines.map_while(Result::ok).filter_map(parse).collect();
    let said = killer.join().unwrap();
    assert!(opened, "the child did not open the store: {said}");
    acks
}

/// Not a claim of its own: the process that is killed above. Does nothing when run as a test.
#[test]
fn child_writes_until_killed() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let store = Arc::new(open(Config { window: WINDOW, ..Config::new(dir) }).unwrap());
    println!("\nopened");
    let write = |writer: u64| {
        let store = store.clone();
        std::thread::spawn(move || {
            let key = format!("/r/{}", (round + writer) % 23 * WRITERS + writer);
            let mut value =
                store.snapshot().get(&key).map_or(0, |entry| text(&entry.value).trim_end().parse().unwrap());
            loop {
                value += 1;
                // Some are large, so that a record spans pages.
                let padded = format!("{value}{}", " ".repeat(usize::try_from(value % 7 * value % 9000).unwrap()));
                let operations =
                    vec![crate::Operation::Put { key: key.as_str().into(), value: bytes(&padded), expires: None }];
                let commit = store.commit(Txn { compare: vec![], operations });
                let revision = futures::executor::block_on(commit).unwrap().revision;
                let line = format!("ack {key} {value} {revision} .\n");
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
            }
        })
    };
    let writers: Vec<_> = (0..WRITERS).map(write).collect();
    writers.into_iter().for_each(|writer| drop(writer.join()));
}
