//! A plain model of the store, and long random runs of both side by side.
//!
//! The model keeps every state there ever was as a map of its own. The seed is fixed; `PROPTEST_CASES=5000` makes a long run.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use super::*;
use crate::Compare;

const KEYS: [&str; 8] = ["/r/a/1", "/r/a/2", "/r/a/21", "/r/b/1", "/r/b/2", "/r/c", "/r/c/1", "/s/1"];
const PREFIXES: [&str; 7] = ["", "/r/", "/r/a/", "/r/a/2", "/r/c", "/s/", "/t/"];

/// A step of a run. Numbers choose among what there is at that moment.
#[derive(Clone, Debug)]
enum Step {
    Commit { compares: Vec<(usize, u8)>, operations: Vec<(usize, Option<u8>, u8)> },
    Compact(u8),
    SnapshotAt(u8),
    Watch(usize, u8),
    Read(u8),
    Tick(u8),
    Reopen,
}

#[derive(Clone, Debug, PartialEq)]
struct Object {
    value: String,
    create: u64,
    modified: u64,
    version: u64,
    expires: Option<u64>,
}

type Objects = BTreeMap<&'static str, Object>;

#[derive(Default)]
struct Model {
    /// By revision.
    states: Vec<Objects>,
    /// What watchers are to see: revision, key, text.
    events: Vec<(u64, &'static str, String)>,
    now: u64,
}

struct Watching {
    watch: Watch,
    prefix: &'static str,
    seen: u64,
}

/// What a backend can do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    /// It keeps what it is given.
    pub(crate) durable: bool,
    /// Its keys expire by the time the ticks tell.
    pub(crate) ticks: bool,
}

/// Runs the store of a fresh backend beside the model, many times.
pub(crate) fn behaves_like_the_model<B: Backend>(cases: u32, kind: Kind, backend: impl Fn() -> B) {
    let cases = std::env::var("PROPTEST_CASES").map_or(cases, |cases| cases.parse().unwrap());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let events = prop_oneof![Just(1 << 30), 1..60usize];
    let run = runner.run(&(events, vec(step(), 1..120)), |(events, steps)| {
        runtime.block_on(run(&backend(), Window { events, ..WIDE }, kind, steps));
        Ok(())
    });
    match run {
        Ok(()) => {}
        Err(TestError::Fail(reason, least)) => panic!("{reason}\nleast run that fails: {least:?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let operation = (key.clone(), proptest::option::weighted(0.7, any::<u8>()), any::<u8>());
    prop_oneof![
        12 => (vec((key, any::<u8>()), 0..3), vec(operation, 0..4))
            .prop_map(|(compares, operations)| Step::Commit { compares, operations }),
        1 => any::<u8>().prop_map(Step::Compact),
        3 => any::<u8>().prop_map(Step::SnapshotAt),
        2 => (0..PREFIXES.len(), any::<u8>()).prop_map(|(prefix, at)| Step::Watch(prefix, at)),
        4 => any::<u8>().prop_map(Step::Read),
        1 => any::<u8>().prop_map(Step::Tick),
        1 => Just(Step::Reopen),
    ]
}

async fn run(backend: &impl Backend, window: Window, kind: Kind, steps: Vec<Step>) {
    let mut store = backend.open(window).unwrap();
    let mut model = Model { states: vec![Objects::new()], ..Model::default() };
    let mut watches: Vec<Watching> = Vec::new();
    for step in steps {
        match step {
            Step::Commit { compares, mut operations } => {
                operations.iter_mut().filter(|_| !kind.ticks).for_each(|(.., expires)| *expires = u8::MAX);
                commit(&store, &mut model, compares, operations).await;
            }
            Step::Compact(at) => {
                let revision = pick(at, model.states.len());
                store.compact(after(revision)).await.unwrap();
                assert!(commits(store.compacted()) >= revision);
            }
            Step::SnapshotAt(at) => {
                let revision = pick(at, model.states.len() + 1);
                match store.snapshot_at(after(revision)) {
                    Ok(snapshot) => assert_eq!(objects(&snapshot), model.states[usize::try_from(revision).unwrap()]),
                    Err(error) => assert_eq!(error.kind, model.refusal(&store, revision)),
                }
            }
            Step::Watch(prefix, at) => {
                let (prefix, seen) = (PREFIXES[prefix], pick(at, model.states.len() + 1));
                match store.watch(prefix, after(seen)) {
                    Ok(watch) => watches.push(Watching { watch, prefix, seen }),
                    Err(error) => assert_eq!(error.kind, model.refusal(&store, seen)),
                }
            }
            Step::Read(which) if !watches.is_empty() => {
                let which = usize::from(which) % watches.len();
                if !read(&store, &model, &mut watches[which]) {
                    watches.swap_remove(which);
                }
            }
            Step::Read(_) => {}
            Step::Tick(seconds) => {
                store.tick(Timestamp(model.now + u64::from(seconds))).await.unwrap();
                model.tick(u64::from(seconds));
            }
            Step::Reopen if kind.durable => {
                store.close().await.unwrap();
                store = backend.open(window).unwrap();
                // Clients come back with the last revision they have seen.
                watches.retain_mut(|watching| match store.watch(watching.prefix, after(watching.seen)) {
                    Ok(watch) => {
                        watching.watch = watch;
                        true
                    }
                    Err(error) => {
                        assert_eq!(error.kind, model.refusal(&store, watching.seen));
                        false
                    }
                });
            }
            Step::Reopen => {}
        }
        assert_eq!(commits(store.revision()), model.revision());
        assert_eq!(&objects(&store.snapshot()), model.newest());
    }
    for mut watching in watches {
        read(&store, &model, &mut watching);
    }
    store.close().await.unwrap();
}

async fn commit(
    store: &Store,
    model: &mut Model,
    compares: Vec<(usize, u8)>,
    operations: Vec<(usize, Option<u8>, u8)>,
) {
    let compare = compares.into_iter().map(|(key, how)| {
        let found = model.newest().get(KEYS[key]).map_or(0, |object| object.modified);
        // Mostly right, else commits would hardly ever succeed.
        let commit = if how < 200 { found } else { u64::from(how) % (model.revision() + 1) };
        let revision = if commit == 0 { Revision::ZERO } else { after(commit) };
        Compare::ModRevision { key: KEYS[key].into(), revision }
    });
    let compare: Vec<_> = compare.collect();
    let operations = operations.into_iter().map(|(key, value, expires)| match value {
        Some(value) => Operation::Put {
            key: KEYS[key].into(),
            value: bytes(&format!("{value}").repeat(usize::from(value))),
            expires: (expires < 60).then(|| Timestamp(model.now + u64::from(expires))),
        },
        None => Operation::Delete { key: KEYS[key].into() },
    });
    let txn = Txn { compare, operations: operations.collect() };
    match (store.commit(txn.clone()).await, model.commit(&txn)) {
        (Ok(committed), Ok(revision)) => {
            assert_eq!(commits(committed.revision), revision);
            assert_eq!(committed.entries.len(), txn.operations.len());
        }
        (Err(error), Err(kind)) => {
            assert_eq!(error.kind, kind);
            if kind != ErrorKind::Invalid {
                let key = error.key.unwrap();
                let current = model.newest().get(&*key).map(|object| object.modified);
                assert_eq!(error.current.map(|entry| commits(entry.mod_revision)), current);
            }
        }
        (store, model) => panic!("{txn:?}: store {store:?}, model {model:?}"),
    }
}

/// Reads all there is. False if the watch is over.
fn read(store: &Store, model: &Model, watching: &mut Watching) -> bool {
    let mut seen = Vec::new();
    loop {
        match watching.watch.try_next() {
            Ok(Some(batch)) => seen.extend(show_batch(&batch)),
            Ok(None) => {
                assert_eq!(watching.watch.progress(), store.revision());
                break;
            }
            Err(error) => {
                assert_eq!(error.kind, ErrorKind::Compacted);
                assert!(watching.seen < commits(store.compacted()));
                return false;
            }
        }
    }
    let expected: Vec<_> = model
        .events
        .iter()
        .filter(|(revision, key, _)| *revision > watching.seen && key.starts_with(watching.prefix))
        .map(|(_, _, text)| text.clone())
        .collect();
    assert_eq!(seen, expected);
    watching.seen = model.revision();
    true
}

impl Model {
    fn newest(&self) -> &Objects {
        self.states.last().unwrap()
    }

    fn revision(&self) -> u64 {
        self.states.len() as u64 - 1
    }

    /// What a request for a revision that cannot be had must be answered with.
    fn refusal(&self, store: &Store, revision: u64) -> ErrorKind {
        if revision > self.revision() {
            return ErrorKind::FutureRevision;
        }
        assert!(revision < commits(store.compacted()), "refused though within the window");
        ErrorKind::Compacted
    }

    fn commit(&mut self, txn: &Txn) -> Result<u64, ErrorKind> {
        for (n, operation) in txn.operations.iter().enumerate() {
            if txn.operations[..n].iter().any(|other| other.key() == operation.key()) {
                return Err(ErrorKind::Invalid);
            }
        }
        for Compare::ModRevision { key, revision } in &txn.compare {
            let wanted = revision.0.saturating_sub(Revision::FIRST.0);
            match (self.newest().get(&**key).map_or(0, |object| object.modified), wanted) {
                (found, wanted) if found == wanted => {}
                (0, _) => return Err(ErrorKind::KeyNotFound),
                (_, 0) => return Err(ErrorKind::KeyExists),
                _ => return Err(ErrorKind::Conflict),
            }
        }
        let mut next = self.newest().clone();
        let revision = self.revision() + 1;
        let mut events = Vec::new();
        for operation in &txn.operations {
            let key = KEYS.into_iter().find(|key| **key == **operation.key()).unwrap();
            match operation {
                Operation::Put { value, expires, .. } => {
                    let before = next.get(key);
                    let object = Object {
                        value: text(&value.stored),
                        create: before.map_or(revision, |before| before.create),
                        modified: revision,
                        version: before.map_or(1, |before| before.version + 1),
                        expires: expires.map(|at| at.0),
                    };
                    events.push((revision, key, format!("+{key}={}@{revision}", object.value)));
                    next.insert(key, object);
                }
                Operation::Delete { .. } => {
                    let before = next.remove(key).ok_or(ErrorKind::KeyNotFound)?;
                    events.push((revision, key, format!("-{key}={}@{revision}", before.value)));
                }
            }
        }
        if !txn.operations.is_empty() {
            self.events.extend(events);
            self.states.push(next);
        }
        Ok(self.revision())
    }

    fn tick(&mut self, seconds: u64) {
        self.now += seconds;
        let mut due: Vec<_> = self.newest().iter().filter_map(|(key, object)| Some((object.expires?, *key))).collect();
        due.sort_unstable();
        let now = self.now;
        for (_, key) in due.into_iter().filter(|(at, _)| *at <= now) {
            let operations = vec![Operation::Delete { key: key.into() }];
            self.commit(&Txn { compare: vec![], operations }).unwrap();
        }
    }
}

fn objects(snapshot: &Snapshot) -> Objects {
    let of = |entry: &Arc<crate::Entry>| {
        let object = Object {
            value: text(&entry.value),
            create: commits(entry.create_revision),
            modified: commits(entry.mod_revision),
            version: entry.version,
            expires: entry.expires.map(|at| at.0),
        };
        (KEYS.into_iter().find(|key| **key == *entry.key).unwrap(), object)
    };
    snapshot.range("", None).map(of).collect()
}

fn pick(at: u8, of: usize) -> u64 {
    (usize::from(at) * of / 256) as u64
}
