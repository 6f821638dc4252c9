//! The members of an etcd cluster: one connection each, one of them in use.
//!
//! Whoever finds that the member in use does not answer gives it up, and everybody goes on with the next one. A balanced connection would
//! send every other request to a member that is gone, and could not be told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use etcd_client::{Channel, Client, ConnectOptions, GetOptions, GetResponse, KeyValue, KvClient};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::{Config, connection};
use crate::{Error, ErrorKind, Revision};

/// How long one request may take; etcd itself gives up after seven seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a question is asked again when no member answers: a member that is started again is not seen by readers.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two rounds through all members.
const PAUSE: Duration = Duration::from_millis(50);

/// All members that were named.
pub(super) struct Members {
    all: Vec<Arc<Member>>,
    current: AtomicUsize,
}

/// One member.
pub(super) struct Member {
    index: usize,
    pub(super) url: String,
    pub(super) client: Client,
}

/// What an answer says of the cluster that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) cluster: u64,
    pub(super) revision: Revision,
}

impl Members {
    /// Prepares connections; nothing is sent yet. Must be called on the runtime that is to do the work.
    pub(super) async fn new(config: &Config) -> Result<Members, Error> {
        let mut all = Vec::new();
        for (index, url) in config.endpoints.iter().enumerate() {
            let unusable = |error| Error::new(ErrorKind::Unreachable).on(url.as_str()).because(Failure(error));
            let channel = connection::to(url, &config.tls).map_err(|error| unusable(error.into()))?;
            let options = ConnectOptions::new().with_require_leader(true);
            let client = Client::from_channel(Channel::Tonic(channel), Some(options)).await.map_err(unusable)?;
            all.push(Arc::new(Member { index, url: url.clone(), client }));
        }
        if all.is_empty() {
            return Err(Error::new(ErrorKind::Unreachable).on("etcd: no server was named"));
        }
        Ok(Members { all, current: AtomicUsize::new(0) })
    }

    /// The member in use.
    pub(super) fn current(&self) -> Arc<Member> {
        self.all[self.current.load(Ordering::Relaxed) % self.all.len()].clone()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// This member did not answer: the next one is used from now on, unless others have moved on already.
    pub(super) fn give_up(&self, member: &Member) {
        let next = (member.index + 1) % self.all.len();
        let _ = self.current.compare_exchange(member.index, next, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Asks a question that changes nothing: of every member in turn, and again, until one answers or nobody did for five seconds.
    ///
    /// Upstream: the retry interceptor of etcd's client, which asks again what may be repeated.
    pub(super) async fn ask<T>(
        &self,
        question: impl Fn(&Member) -> BoxFuture<'static, Result<T, etcd_client::Error>>,
    ) -> Result<T, Error> {
        let end = Instant::now() + PATIENCE;
        let mut rounds = 0;
        loop {
            let mut failure = None;
            for _ in &self.all {
                let member = self.current();
                match member.ask(question(&member)).await {
                    Err(error) if error.is_silence() => {
                        self.give_up(&member);
                        failure = Some(error);
                    }
                    answer => return answer,
                }
            }
            rounds += 1;
            // The first failure may only say that a connection was lost long ago: everyone is asked twice at least.
            if let Some(error) = failure.filter(|_| rounds > 1 && Instant::now() > end) {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads keys, as they are when the request arrives or at a revision.
    pub(super) async fn get(&self, key: &[u8], options: GetOptions) -> Result<GetResponse, Error> {
        let get = |member: &Member| {
            let (mut kv, key, options) = (member.kv(), key.to_vec(), options.clone());
            async move { kv.get(key, Some(options)).await }.boxed()
        };
        self.ask(get).await
    }
}

impl Member {
    /// For transactions and reads. Much cheaper than a clone of the whole client.
    pub(super) fn kv(&self) -> KvClient {
        self.client.kv_client()
    }

    /// Waits for an answer, not for ever.
    pub(super) async fn ask<T>(&self, answer: impl Future<Output = Result<T, etcd_client::Error>>) -> Result<T, Error> {
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|error| self.explain(error)),
            Err(elapsed) => Err(Error::new(ErrorKind::Timeout).on(self.url.as_str()).because(elapsed)),
        }
    }

    /// Where the cluster is: not older than any commit acknowledged before the call.
    pub(super) async fn position(&self) -> Result<Position, Error> {
        let options = GetOptions::new().with_count_only();
        position(&self.ask(self.kv().get("\0", Some(options))).await?)
    }

    /// What an error of the client means.
    pub(super) fn explain(&self, error: etcd_client::Error) -> Error {
        let kind = match &error {
            etcd_client::Error::GRpcStatus(status) => kind(status),
            _ => ErrorKind::Unreachable,
        };
        Error::new(kind).on(self.url.as_str()).because(Failure(error))
    }
}

fn kind(status: &tonic::Status) -> ErrorKind {
    match status.code() {
        // The connection went away under the request.
        tonic::Code::Cancelled if std::error::Error::source(status).is_some() => ErrorKind::Unreachable,
        tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => ErrorKind::Timeout,
        tonic::Code::Unavailable if status.message().contains("request timed out") => ErrorKind::Timeout,
        tonic::Code::ResourceExhausted if status.message().contains("space exceeded") => ErrorKind::NoSpace,
        tonic::Code::OutOfRange if status.message().contains("compacted") => ErrorKind::Compacted,
        tonic::Code::OutOfRange if status.message().contains("future") => ErrorKind::FutureRevision,
        tonic::Code::InvalidArgument => ErrorKind::Invalid,
        _ => ErrorKind::Unreachable,
    }
}

/// True if the request never left this process: then, and only then, may a commit be sent to another member.
pub(super) fn was_never_sent(error: &Error) -> bool {
    let mut cause = error.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static));
    while let Some(found) = cause {
        if found.is::<tonic::ConnectError>() {
            return true;
        }
        cause = found.source();
    }
    false
}

/// Where the cluster was when it answered.
pub(super) fn position(answer: &GetResponse) -> Result<Position, Error> {
    let header =
        answer.header().ok_or_else(|| Error::new(ErrorKind::Unreachable).on("etcd: an answer without a header"))?;
    Ok(Position { cluster: header.cluster_id(), revision: revision(header.revision()) })
}

/// etcd's revisions are never negative.
pub(super) fn revision(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or_default())
}

/// No store ever gets that far.
pub(super) fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// When a key was last written.
pub(super) fn mod_revision(found: &KeyValue) -> Revision {
    revision(found.mod_revision())
}

/// The client's error does not tell its cause; this one does, and says it in one line.
#[derive(Debug)]
struct Failure(etcd_client::Error);

/// What is amiss when a handshake ends like this, and nothing else says so.
const HANDSHAKES: [(&str, &str); 5] = [
    ("invalid peer certificate", "is --etcd-cafile the authority of its certificate?"),
    ("CertificateRequired", "it wants a certificate: give --etcd-certfile and --etcd-keyfile"),
    ("BadCertificate", "does it trust the authority of --etcd-certfile?"),
    ("UnknownCA", "does it trust the authority of --etcd-certfile?"),
    ("DecryptError", "does it trust the authority of --etcd-certfile?"),
];

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let etcd_client::Error::GRpcStatus(status) = &self.0 else { return write!(f, "{}", self.0) };
        let mut said = vec![status.message().to_owned()];
        let mut cause = std::error::Error::source(status);
        while let Some(found) = cause {
            let text = found.to_string();
            if !said.contains(&text) {
                said.push(text);
            }
            cause = found.source();
        }
        let said = said.join(": ");
        f.write_str(&said)?;
        match amiss(&said) {
            Some(amiss) => write!(f, "; {amiss}"),
            None => Ok(()),
        }
    }
}

fn amiss(said: &str) -> Option<&'static str> {
    HANDSHAKES.iter().find(|(sign, _)| said.contains(sign)).map(|(_, amiss)| *amiss)
}

/// True if the member was reached and one did not believe the other: a better reason than that nobody answers.
pub(super) fn is_failed_handshake(error: &Error) -> bool {
    amiss(&error.to_string()).is_some()
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            etcd_client::Error::GRpcStatus(status) => Some(status),
            etcd_client::Error::TransportError(error) => Some(error),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.iter().map(|member| &member.url)).finish()
    }
}
