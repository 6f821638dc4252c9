//! The log in an etcd cluster, laid out as kube-apiserver has it: any number of krab servers and upstream's may share one.
//!
//! - `members`: the members, `connection`: how one is reached; `keys`: names on both sides; `commit`: a transaction in etcd's terms, pure;
//!   `commits`: all that are under way; `outbox`: what is in them, recognised when it comes back; `lease`: keys that expire; `load`: states
//!   and differences; `follower`: the thread that follows etcd by one watch and feeds the view; `questions`: where etcd is, asked once for
//!   many readers; `compactor`: gives up old history, one server for all; `checker`: compares the view with etcd; `version`: what is too
//!   old to be followed.
//!
//! All traffic with etcd is one thread's, with a runtime of its own: decoding what others wrote keeps nobody from being served, and what
//! many ask for at the same time is sent together. A commit is sent once: to a second member only if it never left this process.
//!
//! Of time: etcd's clock ends leases, whole seconds after the moment asked for; [`Log::tick`] only makes history old.
//!
//! Upstream: storage/etcd3 and the reflector of storage/cacher.

mod checker;
mod commit;
mod commits;
mod compactor;
mod connection;
mod follower;
mod keys;
mod lease;
mod load;
mod members;
mod outbox;
mod questions;
mod version;

#[cfg(all(test, feature = "etcd-tests"))]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{fmt, io, thread};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch as signal};

use crate::waker::Waker;
use crate::{
    AsStored, Check, Committed, Error, ErrorKind, Log, Operation, Revision, Store, Timestamp, Transform, Txn, View,
    Window,
};
use checker::Checker;
use commits::{Commit, Commits, Committer};
use compactor::Compactor;
use follower::{Answer, Follower, Request, Wanted};
use keys::Keys;
use lease::Leases;
use members::{Member, Members, Position};
use outbox::Outbox;
use questions::{Askers, Questions};

/// How many requests may wait for the thread.
const WAITING: usize = 64;
/// How long the first answer of any member is waited for. Upstream: storagebackend.DefaultReadinessTimeout and more.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const START_PAUSE: Duration = Duration::from_millis(250);

/// How an etcd cluster is used as a store.
#[derive(Clone, Debug)]
pub struct Config {
    /// URLs of its members.
    pub endpoints: Vec<String>,
    /// For `https://` URLs.
    pub tls: Tls,
    /// Where the keys that begin with `root` lie in etcd.
    pub prefix: String,
    /// What all keys of this store begin with.
    pub root: String,
    /// How much history is kept in memory.
    pub window: Window,
    /// How often old history is given up in etcd, if no other server does it; zero: never.
    pub compaction_interval: Duration,
    /// How often the view is compared with etcd; zero: never.
    pub check_interval: Duration,
    /// The form in which values are served.
    pub transform: Arc<dyn Transform>,
    /// The time now: until the first tick.
    pub now: Timestamp,
}

/// What proves who is who, as PEM.
#[derive(Clone, Default)]
pub struct Tls {
    /// The authority of the members' certificates.
    pub ca: Option<Vec<u8>>,
    /// Our own certificate and its key.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl Config {
    /// The defaults for the members at these URLs: upstream's.
    pub fn new(endpoints: Vec<String>, now: Timestamp) -> Config {
        Config {
            endpoints,
            tls: Tls::default(),
            prefix: "/registry".to_owned(),
            root: "/registry".to_owned(),
            window: Window::default(),
            compaction_interval: Duration::from_secs(300),
            check_interval: Duration::from_secs(300),
            transform: Arc::new(AsStored),
            now,
        }
    }
}

/// Opens the store in an etcd cluster. Blocks until the view has its newest state: call it at start, or from `spawn_blocking`.
///
/// Fails with `Unreachable` or `Timeout` if no member answers for twenty seconds, and with `Unsupported` if one is too old.
pub fn open(config: Config) -> Result<Store, Error> {
    let (ready, opened) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new()
        .name("store-etcd".to_owned())
        .spawn(move || run(config, &ready))
        .map_err(|error: io::Error| Error::new(ErrorKind::Unreachable).on("its thread").because(error))?;
    opened.recv().map_err(|gone| Error::new(ErrorKind::Unreachable).on("its thread").because(gone))?
}

/// The thread: opens, says so, and follows until closed.
fn run(config: Config, ready: &std::sync::mpsc::SyncSender<Result<Store, Error>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::new(ErrorKind::Unreachable).on("its runtime").because(error);
            return drop(ready.send(Err(error)));
        }
    };
    runtime.block_on(async {
        let Started { store, follower, commits, questions, compactor, checker, newest } = match start(config).await {
            Ok(started) => started,
            Err(error) => return drop(ready.send(Err(error))),
        };
        // What is between the state that was read and the newest one comes by the watch.
        let opened = async {
            let reached = tokio::time::timeout(START_TIMEOUT, store.snapshot_at_least(newest)).await;
            let reached = reached.unwrap_or_else(|elapsed| Err(Error::new(ErrorKind::Timeout).because(elapsed)));
            drop(ready.send(reached.map(|_| store)));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = follower.run() => {}
            () = commits.run() => {}
            () = questions.run() => {}
            () = compactor.run() => {}
            () = checker.run() => {}
            () = opened => {}
        }
    });
}

/// What an open store consists of.
struct Started {
    store: Store,
    follower: Follower,
    commits: Commits,
    questions: Questions,
    compactor: Compactor,
    checker: Checker,
    /// Where the cluster was.
    newest: Revision,
}

/// Reads the state of the cluster.
async fn start(config: Config) -> Result<Started, Error> {
    let members = Arc::new(Members::new(&config).await?);
    let keys = Keys::new(&config.root, &config.prefix);
    let Position { cluster, revision: newest } = first_answer(&members).await?;
    let (view, mut feed) = View::new(config.window, config.transform);
    load::load(&members, &keys, &mut feed, newest, config.window.events).await?;
    let (requests, waiting) = mpsc::channel(WAITING);
    let (outbox, wanted) = (Arc::<Outbox>::default(), Arc::<Wanted>::default());
    wanted.raise(newest);
    let (commits, committer) = Commits::new(members.clone(), outbox.clone(), wanted.clone(), view.clone());
    let (questions, askers) = Questions::new(members.clone(), wanted.clone());
    let (outcome, checks) = signal::channel(None);
    let checker = Checker {
        members: members.clone(),
        keys: keys.clone(),
        view: view.clone(),
        interval: config.check_interval,
        outcome,
        differs: Arc::default(),
    };
    let follower = Follower {
        members: members.clone(),
        keys: keys.clone(),
        feed,
        outbox,
        wanted,
        requests: waiting,
        cluster,
        waker: Waker::default(),
        trouble: None,
        differs: checker.differs.clone(),
        unmended: false,
    };
    let compactor = Compactor::new(members.clone(), config.compaction_interval);
    let time = AtomicU64::new(config.now.0);
    let leases = Leases::default();
    let log = Etcd { members, keys, committer, requests, askers, checks, view: view.clone(), leases, time };
    Ok(Started { store: Store::new(view, Arc::new(log)), follower, commits, questions, compactor, checker, newest })
}

/// Where the cluster is, once a member says so.
async fn first_answer(members: &Members) -> Result<Position, Error> {
    let end = tokio::time::Instant::now() + START_TIMEOUT;
    let mut told = String::new();
    let mut handshake = None;
    loop {
        let member = members.current();
        let answer = async {
            let position = member.position().await?;
            version::check(&member).await.map(|()| position)
        };
        match answer.await {
            Ok(position) => return Ok(position),
            Err(error) if error.kind == ErrorKind::Unsupported => return Err(error),
            Err(error) if tokio::time::Instant::now() > end => return Err(handshake.unwrap_or(error)),
            Err(error) => {
                if told != error.to_string() {
                    tracing::warn!(%error, "store: waiting for etcd");
                    told = error.to_string();
                }
                handshake = Some(error).filter(members::is_failed_handshake).or(handshake);
                members.give_up(&member);
                tokio::time::sleep(START_PAUSE).await;
            }
        }
    }
}

/// The asking side. The thread ends when it is dropped.
struct Etcd {
    members: Arc<Members>,
    keys: Keys,
    committer: Committer,
    requests: mpsc::Sender<Request>,
    askers: Askers,
    checks: signal::Receiver<Option<Arc<Check>>>,
    view: Arc<View>,
    leases: Leases,
    /// What the last tick said.
    time: AtomicU64,
}

impl Etcd {
    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, Error> {
        let closed = || Error::new(ErrorKind::Unreachable);
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn write(&self, txn: Txn) -> Result<Committed, Error> {
        txn.check()?;
        self.view.ended()?;
        let mut leases = Vec::with_capacity(txn.operations.len());
        for operation in &txn.operations {
            leases.push(self.lease(operation).await?);
        }
        let request = commit::request(&txn, &self.keys, &leases);
        let closed = || Error::new(ErrorKind::Unreachable);
        let (answer, answered) = oneshot::channel();
        self.committer.send(Commit { txn, request, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn lease(&self, operation: &Operation) -> Result<i64, Error> {
        match operation {
            Operation::Put { expires: Some(expires), .. } => {
                let now = Timestamp(self.time.load(Ordering::Relaxed));
                self.leases.until(*expires, now, &self.members).await
            }
            _ => Ok(0),
        }
    }

    async fn newest(&self) -> Result<Revision, Error> {
        self.view.ended()?;
        let closed = || Error::new(ErrorKind::Unreachable);
        let (asker, answered) = oneshot::channel();
        self.askers.send(asker).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn forget(&self, revision: Revision) -> Result<(), Error> {
        if revision > self.newest().await? {
            return Err(Error::new(ErrorKind::FutureRevision).at(self.view.revision()));
        }
        self.view.snapshot_at_least(revision).await?;
        compactor::compact(&self.members, revision).await?;
        self.ask(|answer| Request::Compacted(revision, answer)).await
    }
}

impl Log for Etcd {
    fn commit(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, Error>> {
        self.write(txn).boxed()
    }

    fn current_revision(&self) -> BoxFuture<'_, Result<Revision, Error>> {
        self.newest().boxed()
    }

    fn compact(&self, revision: Revision) -> BoxFuture<'_, Result<(), Error>> {
        self.forget(revision).boxed()
    }

    fn tick(&self, now: Timestamp) -> BoxFuture<'_, Result<(), Error>> {
        self.time.store(now.0, Ordering::Relaxed);
        self.ask(move |answer| Request::Tick(now, answer)).boxed()
    }

    fn size(&self) -> BoxFuture<'_, Result<u64, Error>> {
        let status = |member: &Member| {
            let mut maintenance = member.client.maintenance_client();
            async move { maintenance.status().await }.boxed()
        };
        async move { Ok(u64::try_from(self.members.ask(status).await?.db_size()).unwrap_or_default()) }.boxed()
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.ask(Request::Close).boxed()
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn checks(&self) -> Option<signal::Receiver<Option<Arc<Check>>>> {
        Some(self.checks.clone())
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("members", &self.members).field("view", &self.view).finish_non_exhaustive()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls {{ ca: {}, identity: {} }}", self.ca.is_some(), self.identity.is_some())
    }
}
