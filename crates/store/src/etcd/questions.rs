//! Where etcd is, asked once for all who want to know at the same time.
//!
//! A read has to show what was acknowledged before it began, so it may only share a question that is sent after it came. While one is on
//! its way, all who come wait for the next:
//! ```text
//!   a ──▶ question ───────────▶ answer to a
//!      b, c, d come ... ──▶ question ───────────▶ answer to b, c and d
//! ```
//! Upstream asks once for each read (cacher: GetCurrentResourceVersion) and shares only the progress requests that follow.

use std::sync::Arc;

use etcd_client::GetOptions;
use tokio::sync::mpsc;

use super::follower::{Answer, Wanted};
use super::members::{self, Members};
use crate::{Error, Revision};

/// How many may wait for the next question before others have to wait for a place.
const WAITING: usize = 1024;

/// Asks; runs on the store's thread.
#[derive(Debug)]
pub(super) struct Questions {
    members: Arc<Members>,
    wanted: Arc<Wanted>,
    waiting: mpsc::Receiver<Answer<Revision>>,
}

/// Where those who want to know leave their address.
pub(super) type Askers = mpsc::Sender<Answer<Revision>>;

impl Questions {
    pub(super) fn new(members: Arc<Members>, wanted: Arc<Wanted>) -> (Questions, Askers) {
        let (askers, waiting) = mpsc::channel(WAITING);
        (Questions { members, wanted, waiting }, askers)
    }

    /// Answers for as long as there may be a question; then does nothing more.
    pub(super) async fn run(mut self) {
        let mut askers = Vec::new();
        while self.waiting.recv_many(&mut askers, WAITING).await > 0 {
            let answer = self.ask().await;
            for asker in askers.drain(..) {
                // It may have gone away.
                let _ = asker.send(answer.clone());
            }
        }
        std::future::pending().await
    }

    /// A revision not older than any commit acknowledged by etcd before; the view is on its way there.
    async fn ask(&self) -> Result<Revision, Error> {
        let options = GetOptions::new().with_count_only();
        let revision = members::position(&self.members.get(b"\0", options).await?)?.revision;
        self.wanted.raise(revision);
        Ok(revision)
    }
}
