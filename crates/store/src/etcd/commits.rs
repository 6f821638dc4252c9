//! Commits under way. They are sent and followed on the store's thread, where the watch is heard as well: whoever commits is woken once,
//! when etcd has taken the commit and the view shows it.
//!
//! Commits that wait when the thread comes to them go out together. A commit is sent once: to a second member only if it never left this
//! process. Nobody waiting for an answer any more does not end it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::commit;
use super::follower::{Answer, Wanted};
use super::members::{Member, Members, was_never_sent};
use super::outbox::{Outbox, Waiting};
use crate::{Committed, Error, ErrorKind, Txn, View};

/// How many commits may wait for the thread before others have to wait for a place.
const WAITING: usize = 1024;
/// How long a commit that etcd has taken may take to come back.
const SHOW_TIMEOUT: Duration = Duration::from_secs(15);

/// A commit on its way to the thread.
pub(super) struct Commit {
    pub(super) txn: Txn,
    /// The same in etcd's terms.
    pub(super) request: etcd_client::Txn,
    pub(super) answer: Answer<Committed>,
}

/// Where commits are handed in.
pub(super) type Committer = mpsc::Sender<Commit>;

/// Sends and follows; runs on the store's thread.
pub(super) struct Commits {
    members: Arc<Members>,
    outbox: Arc<Outbox>,
    wanted: Arc<Wanted>,
    view: Arc<View>,
    waiting: mpsc::Receiver<Commit>,
}

impl Commits {
    pub(super) fn new(
        members: Arc<Members>,
        outbox: Arc<Outbox>,
        wanted: Arc<Wanted>,
        view: Arc<View>,
    ) -> (Commits, Committer) {
        let (committer, waiting) = mpsc::channel(WAITING);
        (Commits { members, outbox, wanted, view, waiting }, committer)
    }

    /// Commits for as long as there may be something to commit; then does nothing more.
    pub(super) async fn run(self) {
        let Commits { members, outbox, wanted, view, mut waiting } = self;
        let under_way = FuturesUnordered::new();
        let mut under_way = std::pin::pin!(under_way);
        let mut arrived = Vec::new();
        loop {
            tokio::select! {
                count = waiting.recv_many(&mut arrived, WAITING) => {
                    if count == 0 {
                        return std::future::pending().await;
                    }
                    for Commit { txn, request, answer } in arrived.drain(..) {
                        let noted = outbox.note(&txn.operations);
                        let (members, wanted, view) = (&members, &wanted, &view);
                        under_way.push(async move {
                            // Whoever waited may have gone away.
                            let _ = answer.send(one(members, wanted, view, &txn, request, &noted).await);
                        });
                    }
                }
                Some(()) = under_way.next() => {}
            }
        }
    }
}

/// One commit, from being sent to being shown.
async fn one(
    members: &Members,
    wanted: &Wanted,
    view: &View,
    txn: &Txn,
    request: etcd_client::Txn,
    noted: &Waiting,
) -> Result<Committed, Error> {
    let answer = send(members, request).await?;
    match commit::outcome(txn, &answer) {
        Ok(revision) => {
            wanted.raise(revision);
            let shown = tokio::time::timeout(SHOW_TIMEOUT, noted.events(revision)).await;
            let events = shown.map_err(|elapsed| Error::new(ErrorKind::Timeout).because(elapsed))?;
            Ok(Committed { revision, entries: events.iter().map(|event| event.entry.clone()).collect() })
        }
        Err(refusal) => Err(with_current(wanted, view, refusal).await),
    }
}

/// Sends a transaction. Tried on another member only if it did not leave this process.
async fn send(members: &Members, txn: etcd_client::Txn) -> Result<etcd_client::TxnResponse, Error> {
    for _ in 1..members.count() {
        let member = members.current();
        match member.ask(member.kv().txn(txn.clone())).await {
            Err(error) if was_never_sent(&error) => members.give_up(&member),
            answer => return note_loss(members, &member, answer),
        }
    }
    let member = members.current();
    let answer = member.ask(member.kv().txn(txn)).await;
    note_loss(members, &member, answer)
}

fn note_loss<T>(members: &Members, member: &Member, answer: Result<T, Error>) -> Result<T, Error> {
    answer.inspect_err(|error| {
        if error.is_silence() {
            members.give_up(member);
        }
    })
}

/// Adds to a refusal what the view shows of the key, once it shows what etcd found.
async fn with_current(wanted: &Wanted, view: &View, mut refusal: Error) -> Error {
    let found = refusal.revision;
    wanted.raise(found);
    if let Ok(Ok(now)) = tokio::time::timeout(SHOW_TIMEOUT, view.snapshot_at_least(found)).await {
        refusal.current = refusal.key.as_deref().and_then(|key| now.get(key));
    }
    refusal
}
