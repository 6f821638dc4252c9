//! The thread's work: follows etcd by one watch and feeds the view.
//!
//! ```text
//!   connect ──▶ follow ──▶ (stream lost: next member, from the revision reached) ──▶ connect
//!      │           └─────▶ (history compacted: compare etcd's state with the view) ──▶ connect
//!      │           └─────▶ (the checker found a difference: the same, as soon as etcd is at a later revision)
//!      └─▶ another cluster, or revisions behind ours: nothing is served from it, ever
//! ```
//! Events come once each and in order: a stream begins after the revision reached, and what was heard already is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use etcd_client::{WatchResponse, WatchResponseStream, WatchStream};
use futures::FutureExt;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::keys::Keys;
use super::load;
use super::members::{Member, Members, Position, revision};
use super::outbox::Outbox;
use super::version;
use crate::waker::Waker;
use crate::{Change, Error, ErrorKind, Feed, Operation, Revision, Timestamp};

/// How often etcd is asked how far it is while somebody waits for it. Upstream: cacher.progressRequestPeriod.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// A watch that does not get to where the cluster is within this time is not alive.
const STALLED: Duration = Duration::from_secs(5);
/// Between two attempts to reach a member.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// So many changes are shown at once, and a message more.
const AT_ONCE: usize = 64;
/// A message may have a thousand revisions in it, of objects of a megabyte.
const MESSAGE_MAX: usize = 1 << 31;

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the stream gave: a message, its end, or its failure.
type Heard = Result<Option<WatchResponse>, etcd_client::Error>;

/// What the thread is told.
pub(super) enum Request {
    Tick(Timestamp, Answer<()>),
    /// etcd has given up history before the revision.
    Compacted(Revision, Answer<()>),
    Close(Answer<()>),
}

/// The newest revision that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    revision: AtomicU64,
    raised: Notify,
}

impl Wanted {
    pub(super) fn raise(&self, revision: Revision) {
        self.revision.fetch_max(revision.0, Ordering::Relaxed);
        self.raised.notify_one();
    }

    fn get(&self) -> Revision {
        Revision(self.revision.load(Ordering::Relaxed))
    }
}

/// Owns the feed.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) members: Arc<Members>,
    pub(super) keys: Keys,
    pub(super) feed: Feed,
    pub(super) outbox: Arc<Outbox>,
    pub(super) wanted: Arc<Wanted>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// The cluster that the view was made from.
    pub(super) cluster: u64,
    pub(super) waker: Waker,
    /// Why nothing comes from etcd now; None while all is well.
    pub(super) trouble: Option<Error>,
    /// Told by the checker when the view shows something else than etcd has.
    pub(super) differs: Arc<Notify>,
    /// It does, and has not been mended yet.
    pub(super) unmended: bool,
}

/// Why following has ended.
enum End {
    Closed,
    Lost(Error),
    /// etcd has no history from where the view is.
    Compacted,
    /// The view shows something else than etcd has.
    Differs,
    /// It is not what the view was made from.
    Diverged(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> End {
        if error.kind == ErrorKind::Diverged { End::Diverged(error) } else { End::Lost(error) }
    }
}

impl Follower {
    /// Follows until told to close, or until etcd is not what it was.
    pub(super) async fn run(mut self) {
        let mut pause = PAUSE;
        loop {
            let member = self.members.current();
            match self.follow(&member).await {
                End::Closed => return,
                End::Diverged(error) => {
                    tracing::error!(%error, "store: etcd is refused");
                    self.feed.close(error.clone());
                    return self.refuse(error).await;
                }
                End::Compacted => {
                    tracing::warn!("store: history was compacted before it was read: etcd and view are compared")
                }
                End::Differs => {}
                End::Lost(error) => {
                    if self.trouble.is_none() {
                        tracing::warn!(%error, "store: the watch of etcd was lost and is made anew");
                        pause = PAUSE;
                    }
                    self.trouble = Some(error);
                    self.members.give_up(&member);
                    if self.attend(tokio::time::sleep(pause)).await.is_none() {
                        return;
                    }
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// One stream, from making it to its end.
    async fn follow(&mut self, member: &Arc<Member>) -> End {
        // A large future, of which only a pointer is carried about.
        let connecting = connect(Arc::clone(member), self.keys.clone(), self.feed.revision(), self.cluster).boxed();
        match self.attend(connecting).await {
            None => End::Closed,
            Some(Err(error)) => error.into(),
            Some(Ok(stream)) => match self.listen(member, stream).await {
                end @ (End::Compacted | End::Differs) => self.catch_up(member, end).await,
                end => end,
            },
        }
    }

    /// Feeds the view with what a stream tells, until it ends.
    async fn listen(&mut self, member: &Member, stream: WatchStream) -> End {
        let (mut ask, mut answers) = stream.split();
        let mut asked = None::<Instant>;
        let mut progress = (self.feed.revision(), Instant::now());
        loop {
            let wanting = self.wanted.get() > self.feed.revision();
            if !wanting || self.feed.revision() > progress.0 {
                progress = (self.feed.revision(), Instant::now());
            }
            if wanting && asked.is_none_or(|asked| asked.elapsed() >= ASK_EVERY) {
                if progress.1.elapsed() > STALLED {
                    return End::Lost(Error::new(ErrorKind::Timeout).on(member.url.as_str()));
                }
                if let Err(error) = ask.request_progress().await {
                    return End::Lost(member.explain(error));
                }
                asked = Some(Instant::now());
            }
            tokio::select! {
                answer = answers.message() => if let Some(end) = self.hear_all(member, answer, &mut answers) {
                    return end;
                },
                request = self.requests.recv() => if !self.serve(request) {
                    return End::Closed;
                },
                () = self.wanted.raised.notified() => {}
                () = self.differs.notified() => {
                    self.unmended = true;
                    return End::Differs;
                }
                () = tokio::time::sleep(ASK_EVERY), if wanting => {}
            }
        }
    }

    /// Takes in a message of the stream and those that have come with it, and shows what they tell at once. Returns why nothing follows.
    fn hear_all(&mut self, member: &Member, first: Heard, stream: &mut WatchResponseStream) -> Option<End> {
        let mut changes = Vec::new();
        let mut next = Some(first);
        let mut end = None;
        while let Some(answer) = next {
            end = match answer {
                Ok(Some(answer)) => self.hear(member, &answer, &mut changes),
                Ok(None) => Some(End::Lost(Error::new(ErrorKind::Unreachable).on(member.url.as_str()))),
                Err(error) => Some(End::Lost(member.explain(error))),
            };
            next = match end {
                None if changes.len() < AT_ONCE => stream.message().now_or_never(),
                _ => None,
            };
        }
        self.apply(changes);
        end
    }

    /// Takes in one message: adds to the changes that are to be shown. Returns why it was the last one.
    fn hear(&mut self, member: &Member, answer: &WatchResponse, changes: &mut Vec<Change>) -> Option<End> {
        // Both may have come at once; what was written after the check must not be told without what it found.
        self.unmended |= self.differs.notified().now_or_never().is_some();
        let heard = changes.last().map_or(self.feed.revision(), |change| change.revision);
        if self.unmended && answer.header().is_some_and(|now| revision(now.revision()) > heard) {
            // What it tells is found with the rest.
            return Some(End::Differs);
        }
        let Some(header) = answer.header() else {
            return Some(End::Lost(Error::new(ErrorKind::Unreachable).on(member.url.as_str())));
        };
        if header.cluster_id() != self.cluster {
            return Some(End::Diverged(diverged(member, "another cluster answers there now")));
        }
        if answer.canceled() {
            if answer.compact_revision() > 0 {
                return Some(End::Compacted);
            }
            let why = std::io::Error::other(answer.cancel_reason().to_owned());
            return Some(End::Lost(Error::new(ErrorKind::Unreachable).on(member.url.as_str()).because(why)));
        }
        self.trouble = None;
        if !answer.events().is_empty() {
            changes.extend(load::changes(answer, &self.keys, heard));
        } else if !answer.created() {
            // Everything up to here has been told.
            self.apply(std::mem::take(changes));
            self.feed.advance(revision(header.revision()));
        }
        None
    }

    fn apply(&mut self, mut changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        for change in &mut changes {
            if let Operation::Put { key, value, .. } = &mut change.operation {
                value.ready = self.outbox.recognise(key, &value.stored);
            }
        }
        let published = self.feed.apply(changes);
        self.outbox.deliver(&published.events);
        self.waker.wake(published.wake);
    }

    /// Brings the view to etcd's newest state where the stream does not.
    ///
    /// What was missed is told to watches at the revision where that is noticed; at one they have heard of already they would not see it.
    async fn catch_up(&mut self, member: &Member, why: End) -> End {
        let found = async {
            let now = check(member, self.feed.revision(), self.cluster).await?;
            if now.revision == self.feed.revision() {
                return Ok((Vec::new(), now.revision));
            }
            let changes = load::difference(&self.members, &self.keys, &self.feed, now.revision).await?;
            Ok::<_, Error>((changes, now.revision))
        };
        match found.await {
            Ok((_, now)) if now == self.feed.revision() => why,
            Ok((changes, now)) => {
                self.apply(changes);
                self.feed.advance(now);
                if std::mem::take(&mut self.unmended) {
                    tracing::warn!(revision = %now, "store: the view was mended");
                }
                why
            }
            Err(error) => error.into(),
        }
    }

    /// Does something that takes time while requests are served. None: told to close.
    async fn attend<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Some(done),
                request = self.requests.recv() => if !self.serve(request) {
                    return None;
                },
            }
        }
    }

    /// Serves one request. False if it was the last one. Nobody listening to an answer is no reason to stop.
    fn serve(&mut self, request: Option<Request>) -> bool {
        match request {
            Some(Request::Tick(now, answer)) => {
                self.waker.wake(self.feed.tick(now).wake);
                drop(answer.send(self.trouble.clone().map_or(Ok(()), Err)));
            }
            Some(Request::Compacted(revision, answer)) => {
                let compacted = self.feed.compact(revision);
                drop(answer.send(compacted.map(|published| self.waker.wake(published.wake))));
            }
            Some(Request::Close(answer)) => {
                self.requests.close();
                self.feed.close(Error::new(ErrorKind::Unreachable));
                drop(answer.send(Ok(())));
                return false;
            }
            None => return false,
        }
        true
    }

    /// Answers every request with why nothing is done any more.
    async fn refuse(mut self, error: Error) {
        while let Some(request) = self.requests.recv().await {
            match request {
                Request::Tick(_, answer) | Request::Compacted(_, answer) => drop(answer.send(Err(error.clone()))),
                Request::Close(answer) => return drop(answer.send(Ok(()))),
            }
        }
    }
}

/// Makes a stream of what comes after a revision, having made sure that it is the same history.
async fn connect(member: Arc<Member>, keys: Keys, after: Revision, cluster: u64) -> Result<WatchStream, Error> {
    check(&member, after, cluster).await?;
    version::check(&member).await?;
    let mut watching = member.client.watch_client().max_decoding_message_size(MESSAGE_MAX);
    member.ask(watching.watch(keys.prefix(), Some(load::options(&keys, after.next())))).await
}

/// Where the cluster is, if it is the one whose history the view has up to `reached`.
async fn check(member: &Member, reached: Revision, cluster: u64) -> Result<Position, Error> {
    let now = member.position().await?;
    if now.cluster != cluster {
        return Err(diverged(member, "another cluster answers there now"));
    }
    if now.revision < reached {
        let why =
            format!("it is at revision {}, after it was at {reached}: was it put back to a backup?", now.revision);
        return Err(diverged(member, &why));
    }
    Ok(now)
}

fn diverged(member: &Member, why: &str) -> Error {
    Error::new(ErrorKind::Diverged).on(member.url.as_str()).because(std::io::Error::other(why.to_owned()))
}
