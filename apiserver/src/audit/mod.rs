//! Who did what, when, and what came of it: `audit.k8s.io/v1` events of each request, as a policy wants them.
//!
//! The filter chain opens a [`Record`] once it knows who asks; what is found out on the way is added to it, and each stage it
//! passes is one event for the log file, a webhook, or both ([`backend`]). Without a policy there is no record and no cost.
//! Upstream: k8s.io/apiserver/pkg/audit, plugin/pkg/audit.

mod backend;
mod event;
mod legacy;
mod log;
mod metrics;
mod policy;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::metrics::Registry;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response, header};
use jiff::Timestamp;
use json::Value;
use tokio_util::sync::CancellationToken;

use self::backend::{Backend, Receipt, Sink};
pub use self::backend::{Batching, Mode};
use self::log::LogFile;
pub use self::log::{Format, Rotation};
use self::metrics::Metrics;
use self::policy::{Decision, Level, Policy};
use self::webhook::EventWebhook;
use crate::authentication::UserInfo;
use crate::authorization::Attributes;
use crate::context::Objects;
use crate::server::body::Body;
use crate::webhook::kubeconfig;

/// Answers larger than this are not looked into for what they say.
const LARGEST_ANSWER: usize = 16 << 20;

/// `--audit-*`
#[derive(Clone, Debug)]
pub struct Config {
    /// `--audit-policy-file`
    pub policy: PolicyFile,
    /// The file events go to.
    pub log: Option<LogConfig>,
    /// The server events are posted to.
    pub webhook: Option<WebhookConfig>,
}

/// The policy, and where it is from.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    pub path: PathBuf,
    pub text: String,
}

/// `--audit-log-*`
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// `-` is standard output.
    pub path: PathBuf,
    /// How an event is written.
    pub format: Format,
    /// When the file is set aside for a new one, and how long it is kept then.
    pub rotation: Rotation,
    /// When events are written.
    pub mode: Mode,
    /// Bytes an event may have, where that is limited.
    pub max_event_size: Option<usize>,
}

/// `--audit-webhook-*`
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// Says where the server is.
    pub kubeconfig: PathBuf,
    /// Before the second attempt; the next pauses are longer.
    pub initial_backoff: Duration,
    /// When events are sent.
    pub mode: Mode,
    /// Bytes an event may have, where that is limited.
    pub max_event_size: Option<usize>,
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The policy.
    #[error("loading audit policy file: {why}: from file {path}", path = path.display())]
    Policy { path: PathBuf, why: String },
    /// The file.
    #[error("the audit log {path} cannot be written: {source}", path = path.display())]
    Log {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The webhook's kubeconfig.
    #[error("initializing audit webhook: {0}")]
    Webhook(#[from] kubeconfig::Error),
}

/// A stage a request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

impl Stage {
    const ALL: [Stage; 4] = [Stage::RequestReceived, Stage::ResponseStarted, Stage::ResponseComplete, Stage::Panic];

    fn named(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == name)
    }

    fn as_str(self) -> &'static str {
        match self {
            Stage::RequestReceived => "RequestReceived",
            Stage::ResponseStarted => "ResponseStarted",
            Stage::ResponseComplete => "ResponseComplete",
            Stage::Panic => "Panic",
        }
    }
}

/// An audit log that is open.
#[derive(Debug)]
pub struct AuditLog(pub(crate) Arc<Audit>);

impl AuditLog {
    /// Reads the policy and opens the log. `objects` knows the services a webhook may be.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn open(config: &Config, objects: &Arc<dyn Objects>) -> Result<AuditLog, Error> {
        Audit::new(config, objects).map(AuditLog)
    }
}

/// See the module header.
#[derive(Debug)]
pub(crate) struct Audit {
    policy: Policy,
    backends: Vec<Backend>,
    metrics: Metrics,
    /// There will be no other event.
    closing: CancellationToken,
}

impl Audit {
    pub(crate) fn new(config: &Config, objects: &Arc<dyn Objects>) -> Result<Arc<Audit>, Error> {
        let unusable = |why| Error::Policy { path: config.policy.path.clone(), why };
        let policy = Policy::parse(&config.policy.text).map_err(unusable)?;
        let (metrics, closing) = (Metrics::default(), CancellationToken::new());
        let mut backends = Vec::new();
        if let Some(log) = &config.log {
            let failed = |source| Error::Log { path: log.path.clone(), source };
            let sink = Sink::Log(LogFile::open(&log.path, log.format, log.rotation).map_err(failed)?);
            backends.push(Backend::new(sink, log.mode, log.max_event_size, metrics.clone(), &closing));
        }
        if let Some(webhook) = &config.webhook {
            let WebhookConfig { kubeconfig, initial_backoff, mode, max_event_size } = webhook;
            let opened = EventWebhook::open(kubeconfig, *initial_backoff, Arc::clone(objects))?;
            let sink = Sink::Webhook(Box::new(opened));
            backends.push(Backend::new(sink, *mode, *max_event_size, metrics.clone(), &closing));
        }
        Ok(Arc::new(Audit { policy, backends, metrics, closing }))
    }

    /// What it counts.
    pub(crate) fn registry(&self) -> Registry {
        self.metrics.registry()
    }

    /// Waits, after the last request, until every event is delivered.
    pub(crate) async fn flushed(&self) {
        self.closing.cancel();
        for backend in &self.backends {
            backend.flushed().await;
        }
    }

    /// The record of a request, if the policy wants one.
    pub(crate) fn begin(
        self: &Arc<Self>,
        id: &HeaderValue,
        attributes: &Attributes,
        parts: &Parts,
        peer: Option<SocketAddr>,
    ) -> Option<Arc<Record>> {
        let decision = self.policy.decide(attributes);
        self.metrics.level(decision.level);
        if decision.level == Level::None {
            return None;
        }
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let record = Arc::new(Record {
            audit: Arc::clone(self),
            decision,
            id: text(id),
            uri: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            attributes: attributes.clone(),
            sources: sources(&parts.headers, peer),
            user_agent: parts.headers.get(header::USER_AGENT).map(text).unwrap_or_default(),
            received: Timestamp::now(),
            findings: Mutex::default(),
            receipts: Mutex::default(),
        });
        record.log(Stage::RequestReceived, record.received);
        Some(record)
    }
}

/// One request on its way.
#[derive(Debug)]
pub(crate) struct Record {
    audit: Arc<Audit>,
    decision: Decision,
    id: String,
    uri: String,
    /// Of the request as it came: impersonation comes later.
    attributes: Attributes,
    sources: Vec<String>,
    user_agent: String,
    received: Timestamp,
    findings: Mutex<Findings>,
    /// Of events that are on their way, with whether the request depends on them.
    receipts: Mutex<Vec<(Receipt, bool)>>,
}

/// What is found out on the way.
#[derive(Debug, Default)]
struct Findings {
    impersonated: Option<UserInfo>,
    request: Option<Value>,
    response: Option<Value>,
    /// HTTP status, and the Status that was sent where one was.
    status: Option<(u16, Option<Value>)>,
    annotations: BTreeMap<String, String>,
}

impl Record {
    /// Another user is acted as.
    pub(crate) fn impersonated(&self, user: &UserInfo) {
        self.with(|findings| findings.impersonated = Some(user.clone()));
    }

    /// Notes something under a key of its own. What is noted first stays.
    pub(crate) fn annotate(&self, key: &str, value: impl Into<String>) {
        self.with(|findings| findings.annotations.entry(key.to_owned()).or_insert_with(|| value.into()).len());
    }

    /// As [`Record::annotate`], of what shows what a request holds: made only where that is logged.
    pub(crate) fn annotate_request(&self, key: &str, value: impl FnOnce() -> String) {
        if self.decision.level >= Level::Request {
            self.annotate(key, value());
        }
    }

    /// The object the request is about, as it was understood.
    pub(crate) fn request_object(&self, object: &Value) {
        if self.decision.level >= Level::Request {
            self.with(|findings| findings.request = Some(object.clone()));
        }
    }

    /// The same as JSON or YAML. What is neither is left out.
    pub(crate) fn request_text(&self, text: &[u8]) {
        if self.decision.level >= Level::Request
            && let Ok(value) = serde_saphyr::from_slice(text)
        {
            self.with(|findings| findings.request = Some(value));
        }
    }

    /// The object that is sent, however it is encoded; made only where it is wanted.
    pub(crate) fn response_object(&self, object: impl FnOnce() -> Option<Value>) {
        if self.decision.level >= Level::RequestResponse
            && let Some(object) = object()
        {
            self.with(|findings| findings.response = Some(object));
        }
    }

    /// Looks at the answer. What is known whole is complete; a stream is when it ends.
    pub(crate) fn answered(self: Arc<Self>, response: Response<Body>, long_running: bool) -> Response<Body> {
        let code = response.status().as_u16();
        let object = response.body().as_bytes().filter(|bytes| is_json(&response) && bytes.len() <= LARGEST_ANSWER);
        // Reading it again costs: only where it is wanted, or may say why it failed.
        let wanted = self.decision.level >= Level::RequestResponse || code >= 400 || self.attributes.verb == "delete";
        let object = object.filter(|_| wanted).and_then(|bytes| json::from_slice::<Value>(bytes).ok());
        let status = object.clone().filter(|object| object["kind"] == "Status");
        self.with(|findings| {
            findings.status = Some((code, status));
            findings.response = findings.response.take().or(object);
        });
        if !long_running {
            self.log(Stage::ResponseComplete, Timestamp::now());
            return response;
        }
        self.log(Stage::ResponseStarted, Timestamp::now());
        let completion = Completion(self);
        response.map(|body| body.holding(completion))
    }

    /// The server failed in the middle of it.
    pub(crate) fn panicked(&self) {
        self.with(|findings| findings.status = Some((500, None)));
        self.log(Stage::Panic, Timestamp::now());
    }

    fn log(&self, stage: Stage, at: Timestamp) {
        if self.decision.omit_stages.contains(&stage) {
            return;
        }
        let event = self.with(|findings| event::render(self, findings, stage, at));
        self.audit.metrics.event();
        let taken = self.audit.backends.iter().map(|backend| (backend.take(&event), backend.is_strict()));
        // What arrived needs no waiting for.
        let open = taken.filter(|(receipt, _)| !matches!(receipt, Receipt::Known(true)));
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).extend(open);
    }

    /// Waits for the events that are on their way; false if one was not delivered on which the request depends.
    pub(crate) async fn settled(&self) -> bool {
        let receipts = std::mem::take(&mut *self.receipts.lock().unwrap_or_else(PoisonError::into_inner));
        let mut settled = true;
        for (receipt, strict) in receipts {
            let delivered = match receipt {
                Receipt::Known(delivered) => delivered,
                Receipt::Later(answer) => answer.await.unwrap_or(false),
            };
            settled &= delivered || !strict;
        }
        settled
    }

    /// The request is refused, since its first event could not be delivered.
    pub(crate) fn rejected(&self) {
        self.audit.metrics.rejected();
    }

    fn with<T>(&self, work: impl FnOnce(&mut Findings) -> T) -> T {
        work(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Logs the end of a stream.
struct Completion(Arc<Record>);

impl Drop for Completion {
    fn drop(&mut self) {
        self.0.log(Stage::ResponseComplete, Timestamp::now());
    }
}

fn is_json(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"))
        && !response.headers().contains_key(header::CONTENT_ENCODING)
}

/// Who sent it, as proxies tell it, and who connected. Upstream: utilnet.SourceIPs.
fn sources(headers: &HeaderMap, peer: Option<SocketAddr>) -> Vec<String> {
    let listed = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let real = headers.get("x-real-ip").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = |text: &str| text.trim().parse::<std::net::IpAddr>().ok();
    let mut addresses: Vec<_> = listed.split(',').filter_map(address).collect();
    for other in [address(real), peer.map(|peer| peer.ip())].into_iter().flatten() {
        if !addresses.contains(&other) {
            addresses.push(other);
        }
    }
    addresses.iter().map(ToString::to_string).collect()
}
