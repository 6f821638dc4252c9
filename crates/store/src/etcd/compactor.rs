//! Compaction: history older than the interval is given up, by one of all the servers on an etcd, upstream's or ours.
//!
//! The key `compact_rev_key` is the lock: whoever raises its version compacts, to the revision that was the newest one interval before. Who
//! finds it raised by another begins to count anew. Nobody compacts in its first interval.
//! Upstream: storage/etcd3.compactor.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, Txn, TxnOp, TxnOpResponse};
use futures::FutureExt;

use super::members::{Member, Members, number, revision};
use crate::{Error, ErrorKind, Revision};

const KEY: &str = "compact_rev_key";

/// What this server knows of the compactions of all.
#[derive(Debug)]
pub(super) struct Compactor {
    members: Arc<Members>,
    interval: Duration,
    /// The version of the key when it was last seen.
    version: i64,
    /// The newest revision at that time.
    then: Revision,
}

impl Compactor {
    pub(super) fn new(members: Arc<Members>, interval: Duration) -> Compactor {
        Compactor { members, interval, version: 0, then: Revision::ZERO }
    }

    /// Compacts every interval; never, if that is zero. Does not end.
    pub(super) async fn run(mut self) {
        if self.interval.is_zero() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(self.interval).await;
            match self.turn().await {
                Ok(None) => {}
                Ok(Some(revision)) => tracing::debug!(%revision, "store: etcd was compacted"),
                Err(error) => {
                    tracing::warn!(%error, "store: etcd could not be compacted and grows until the next time")
                }
            }
        }
    }

    /// One interval has passed. Returns the revision that was compacted by this server.
    pub(super) async fn turn(&mut self) -> Result<Option<Revision>, Error> {
        let member = self.members.current();
        let txn = Txn::new()
            .when([Compare::version(KEY, CompareOp::Equal, self.version)])
            .and_then([TxnOp::put(KEY, self.then.to_string(), None)])
            .or_else([TxnOp::get(KEY, None)]);
        let answer = member.ask(member.kv().txn(txn)).await.inspect_err(|_| self.members.give_up(&member))?;
        let now = answer.header().map(|header| revision(header.revision())).unwrap_or_default();
        let then = std::mem::replace(&mut self.then, now);
        if !answer.succeeded() {
            let found = answer.op_responses();
            let Some(TxnOpResponse::Get(get)) = found.first() else { return Ok(None) };
            self.version = get.kvs().first().map_or(0, |found| found.version());
            return Ok(None);
        }
        self.version += 1;
        if then == Revision::ZERO {
            return Ok(None);
        }
        compact(&self.members, then).await?;
        Ok(Some(then))
    }
}

/// Gives up history before a revision. What was compacted further already is left so.
pub(super) async fn compact(members: &Members, revision: Revision) -> Result<(), Error> {
    let compact = |member: &Member| {
        let mut kv = member.kv();
        async move { kv.compact(number(revision), None).await }.boxed()
    };
    match members.ask(compact).await {
        Err(error) if error.kind == ErrorKind::Compacted => Ok(()),
        answer => answer.map(drop),
    }
}
