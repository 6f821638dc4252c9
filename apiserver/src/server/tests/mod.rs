//! The whole server in one process on a store in memory: requests in, answers out, no socket.

mod access;
mod aggregation;
mod auditing;
mod bad_input;
mod cves;
mod debug;
mod discovery;
mod encodings;
mod floods;
mod limits;
mod lists;
mod metrics;
mod policies;
mod recorded;
mod settings;
mod streams;
mod verbs;
mod waiting;
mod watches;
mod webhooks;

use std::sync::Arc;

use api::status::Status;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::body::{Body, RequestBody};
use super::health::{Health, Scope};
use super::service::Caller;
use super::settings::Settings;
use super::{ApiServer, Config};
use crate::admission::{self, Chain, Configurations, Loopback, Selection, Surroundings};
use crate::audit::{self, AuditLog};
use crate::authentication::{Authenticator, PeerCertificates, UserInfo};
use crate::authorization::{self, Attributes, Authorizer, Decision, Reasons};
use crate::context::Objects;
use crate::endpoints::negotiation::Formats;
use crate::registry::resource::Resources;
use crate::registry::store::Engine;
use crate::registry::testing::Fixture;

/// Knows nobody.
struct Nobody;

impl Authenticator for Nobody {
    fn authenticate<'a>(
        &'a self,
        _parts: &'a http::request::Parts,
        _peer: &'a PeerCertificates,
    ) -> BoxFuture<'a, Result<Option<UserInfo>, Status>> {
        Box::pin(async { Ok(None) })
    }
}

/// Masters may everything, others nothing.
struct Masters;

impl Authorizer for Masters {
    fn authorize<'a>(&'a self, attributes: &'a Attributes, _: Reasons) -> authorization::Answer<'a> {
        let is_master = attributes.user.in_group("system:masters");
        authorization::Answer::Now(if is_master { Decision::allow() } else { Decision::default() })
    }
}

/// A server with the namespaces `default` and `other`.
pub(super) struct Cluster {
    pub(super) server: ApiServer,
    user: Arc<UserInfo>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) headers: HeaderMap,
    pub(super) bytes: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        json::from_slice(&self.bytes).unwrap_or_else(|error| panic!("{error}: {:?}", self.bytes))
    }

    pub(super) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_string()
    }

    pub(super) fn version(&self) -> u64 {
        self.json()["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
    }

    #[track_caller]
    pub(super) fn expect(self, code: u16) -> Answer {
        assert_eq!(self.code, code, "{}", String::from_utf8_lossy(&self.bytes));
        self
    }
}

impl Cluster {
    pub(super) async fn new() -> Cluster {
        Cluster::with(Default::default(), Arc::new(Nobody)).await
    }

    /// With kubelets to reach, and somebody who knows callers from outside.
    pub(super) async fn with(kubelets: crate::streaming::Kubelets, authenticator: Arc<dyn Authenticator>) -> Cluster {
        Cluster::admitting(kubelets, authenticator, |_, _| Chain::default()).await
    }

    /// And with admission plugins.
    pub(super) async fn admitting(
        kubelets: crate::streaming::Kubelets,
        authenticator: Arc<dyn Authenticator>,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
    ) -> Cluster {
        Cluster::configured(kubelets, authenticator, plugins, Formats::default(), Settings::default(), None).await
    }

    /// With upstream's default plugins and these, told what a file says if there is one.
    pub(super) async fn with_plugins(plugins: &[&str], file: &std::path::Path) -> Cluster {
        let mut selection = Selection::of(plugins, &[]);
        if file.exists() {
            selection = selection.configured(Configurations::read(file).expect("a configuration"));
        }
        Cluster::admitting(Default::default(), Arc::new(Nobody), |store, resources| {
            let loopback = Loopback::default();
            let surroundings = Surroundings { rbac: None, store, resources, loopback: &loopback };
            admission::chain(&selection, surroundings).expect("plugins")
        })
        .await
    }

    /// With other encodings.
    pub(super) async fn offering(formats: Formats) -> Cluster {
        let settings = Settings::default();
        Cluster::configured(Default::default(), Arc::new(Nobody), |_, _| Chain::default(), formats, settings, None)
            .await
    }

    /// With other settings.
    pub(super) async fn under(settings: Settings) -> Cluster {
        let formats = Formats::default();
        Cluster::configured(Default::default(), Arc::new(Nobody), |_, _| Chain::default(), formats, settings, None)
            .await
    }

    /// With an audit log of everything in a file, and admission plugins.
    pub(super) async fn audited(
        path: std::path::PathBuf,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
    ) -> Cluster {
        let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n".to_owned();
        let policy = audit::PolicyFile { path: "policy.yaml".into(), text };
        let rotation = audit::Rotation { max_size: 0, max_age_days: 0, max_backups: 0, compress: false };
        let format = audit::Format::default();
        let log = audit::LogConfig { path, format, rotation, mode: audit::Mode::Blocking, max_event_size: None };
        Cluster::logging(&audit::Config { policy, log: Some(log), webhook: None }, plugins).await
    }

    /// With an audit log.
    pub(super) async fn logging(
        config: &audit::Config,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
    ) -> Cluster {
        let objects: Arc<dyn Objects> = Arc::new(Fixture::new([]));
        let log = AuditLog::open(config, &objects).expect("an audit log");
        let settings = Settings::default();
        Cluster::configured(Default::default(), Arc::new(Nobody), plugins, Formats::default(), settings, Some(log))
            .await
    }

    async fn configured(
        kubelets: crate::streaming::Kubelets,
        authenticator: Arc<dyn Authenticator>,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
        formats: Formats,
        settings: Settings,
        audit: Option<AuditLog>,
    ) -> Cluster {
        let authorizer = Arc::new(Masters);
        Cluster::authorized(kubelets, authenticator, authorizer, plugins, formats, settings, audit).await
    }

    /// Where somebody else says who may what.
    pub(super) async fn asking(
        authorizer: Arc<dyn Authorizer>,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
    ) -> Cluster {
        let (formats, settings) = (Formats::default(), Settings::default());
        Cluster::authorized(Default::default(), Arc::new(Nobody), authorizer, plugins, formats, settings, None).await
    }

    async fn authorized(
        kubelets: crate::streaming::Kubelets,
        authenticator: Arc<dyn Authenticator>,
        authorizer: Arc<dyn Authorizer>,
        plugins: impl FnOnce(&Arc<store::Store>, &Resources) -> Chain,
        formats: Formats,
        settings: Settings,
        audit: Option<AuditLog>,
    ) -> Cluster {
        let store = Arc::new(store::embedded::memory(store::Window::default(), crate::transform()).unwrap());
        let resources = Resources::builtin(api::scheme::Scheme::builtin());
        let admission = plugins(&store, &resources);
        let engine = Engine::of(store, resources, admission, false);
        let mut health = Health::default();
        health.add("etcd", Scope::Everywhere, Arc::new(|| None));
        let config = Config {
            scheme: api::scheme::Scheme::builtin(),
            authenticator,
            authorizer,
            computed: Default::default(),
            advertise_address: "192.0.2.1:6443".to_string(),
            kubelets,
            proxy_client: None,
            health,
            documents: Box::new(|_| None),
            audit,
            limits: Default::default(),
            formats,
            metrics: Default::default(),
            settings,
            stopping: Default::default(),
        };
        let server = ApiServer::new(config, engine, CancellationToken::new());
        let cluster = Cluster { server, user: Arc::new(UserInfo::new("admin", &["system:masters"])) };
        for name in ["default", "other"] {
            cluster.post("/api/v1/namespaces", json!({"metadata": {"name": name}})).await.expect(201);
        }
        cluster
    }

    pub(super) async fn send(&self, request: Request<RequestBody>) -> http::Response<Body> {
        self.server.handle(request, Caller::InProcess(self.user.clone())).await
    }

    pub(super) async fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body)).map_err(|never| match never {}).boxed();
        let response = self.send(request.body(body).unwrap()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer { code: parts.status.as_u16(), headers: parts.headers, bytes }
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.call("GET", target, &[], b"").await
    }

    pub(super) async fn post(&self, target: &str, body: Value) -> Answer {
        self.call("POST", target, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(super) async fn put(&self, target: &str, body: Value) -> Answer {
        self.call("PUT", target, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(super) async fn delete(&self, target: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.call("DELETE", target, &[("content-type", "application/json")], body.as_bytes()).await
    }

    pub(super) async fn merge(&self, target: &str, body: Value) -> Answer {
        let media_type = [("content-type", "application/merge-patch+json")];
        self.call("PATCH", target, &media_type, body.to_string().as_bytes()).await
    }

    /// A config map with one label.
    pub(super) async fn config_map(&self, name: &str, label: &str) -> Answer {
        let object = json!({"metadata": {"name": name, "labels": {"l": label}}, "data": {"k": "v"}});
        self.post("/api/v1/namespaces/default/configmaps", object).await.expect(201)
    }

    /// Opens a watch.
    pub(super) async fn watch(&self, target: &str) -> Events {
        let body = Full::new(Bytes::new()).map_err(|never| match never {}).boxed();
        let response = self.send(Request::builder().uri(target).body(body).unwrap()).await;
        assert_eq!(response.status(), 200, "{target}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        Events { body: response.into_body(), buffer: Vec::new() }
    }
}

/// The frames of a watch.
pub(super) struct Events {
    body: Body,
    buffer: Vec<u8>,
}

impl Events {
    /// The next event; None at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(json::from_slice(&line).unwrap());
            }
            let wait = std::time::Duration::from_secs(5);
            let frame = tokio::time::timeout(wait, self.body.frame()).await.expect("an event within five seconds")?;
            self.buffer.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    /// Type and name of the next event.
    pub(super) async fn next_name(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
    }
}

/// `("ADDED", "a")` as strings, for comparing.
pub(super) fn event(kind: &str, name: &str) -> (String, String) {
    (kind.to_string(), name.to_string())
}
