//! The server: one service behind a TLS listener and behind an in-process client.
//!
//! [`ApiServer`] is cheap to clone. [`ApiServer::serve`] runs a listener until shutdown; [`ApiServer::client`] gives a
//! `kube::Client` whose requests are direct calls of the same service, through the same filters, as a user that need not
//! prove itself. No thread, task or buffer is kept per resource.

pub mod body;
mod debug;
pub(crate) mod first_turn;
mod gathering;
pub mod health;
mod listener;
pub(crate) mod metrics;
pub(crate) mod service;
pub mod settings;
pub(crate) mod state;
#[cfg(test)]
mod tests;
pub mod tls;
mod version;
mod zpages;

use std::sync::Arc;
use std::time::Instant;

use api::scheme::Scheme;
use component::metrics::Registries;
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::body::{Body, BoxError, RequestBody};
use self::health::{Health, Scope};
use self::metrics::Metrics;
use self::service::Caller;
use self::settings::Settings;
use self::state::State;
use self::tls::Tls;
use self::zpages::Pages;
use crate::aggregator::Aggregator;
use crate::audit::AuditLog;
use crate::authentication::{self, Authenticator, UserInfo};
use crate::authorization::Authorizer;
use crate::discovery::Discovery;
use crate::endpoints::negotiation::Formats;
use crate::filters::priority_and_fairness::{Limiter, Limits};
use crate::flowcontrol;
use crate::openapi::OpenApi;
use crate::registry::computed::Computations;
use crate::registry::store::Engine;
use crate::streaming::Kubelets;
use crate::webhook::Identity;

/// A document at a fixed path: its bytes and media type.
pub type Documents = Box<dyn Fn(&str) -> Option<(bytes::Bytes, &'static str)> + Send + Sync>;

/// What an API server is made of. The engine comes first: authenticators and authorizers read from it.
pub struct Config {
    /// What is served.
    pub scheme: &'static Scheme,
    /// Who asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// May they.
    pub authorizer: Arc<dyn Authorizer>,
    /// Reviews, tokens and the like.
    pub computed: Computations,
    /// `HOST:PORT` told to clients in `/api`.
    pub advertise_address: String,
    /// How kubelets are reached.
    pub kubelets: Kubelets,
    /// What servers behind the aggregation layer are shown.
    pub proxy_client: Option<Identity>,
    /// Checks besides `ping`, `log` and `shutdown`.
    pub health: Health,
    /// `/openid/v1/jwks` and `/.well-known/openid-configuration`.
    pub documents: Documents,
    /// The audit log; none without a policy.
    pub audit: Option<AuditLog>,
    /// How many requests are served at a time.
    pub limits: Limits,
    /// The encodings on offer.
    pub formats: Formats,
    /// What `/metrics` shows; the server's own registry joins it.
    pub metrics: Registries,
    /// How requests and connections are treated.
    pub settings: Settings,
    /// The server is asked to end, and serves on for as long as it is told to; `/readyz` says so.
    pub stopping: CancellationToken,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("advertise_address", &self.advertise_address).finish_non_exhaustive()
    }
}

/// See the module header.
#[derive(Clone)]
pub struct ApiServer {
    state: Arc<State>,
}

impl ApiServer {
    /// Serves what is in the engine's store until `shutdown`. Whoever opened the store tells it the time.
    pub fn new(config: Config, engine: Arc<Engine>, shutdown: CancellationToken) -> ApiServer {
        let mut health = Health::default();
        health.add("ping", Scope::Everywhere, Arc::new(|| None));
        health.add("log", Scope::Everywhere, Arc::new(|| None));
        let settings = config.settings;
        let mut health = health.joined(config.health).with_grace(settings.livez_grace_period);
        let stopping = config.stopping;
        let stopped = move || stopping.is_cancelled().then(|| "process is shutting down".into());
        health.add("shutdown", Scope::Ready, Arc::new(stopped));
        let scheme = config.scheme;
        let metrics = Metrics::new().expect("names and labels are constants that a test registers");
        config.metrics.join(metrics.registry());
        config.metrics.join(engine.admission.metrics().registry());
        config.metrics.join(engine.metrics.registry());
        if let Some(AuditLog(audit)) = &config.audit {
            config.metrics.join(audit.registry());
        }
        let aggregator = Aggregator::new(Arc::clone(&engine.store), engine.clone(), config.proxy_client);
        config.metrics.join(aggregator.registry());
        ApiServer {
            state: Arc::new(State {
                engine,
                audit: config.audit.map(|log| log.0),
                authenticator: config.authenticator,
                authorizer: config.authorizer,
                computed: config.computed,
                formats: config.formats,
                address: config.advertise_address.clone(),
                discovery: Discovery::new(scheme, config.advertise_address),
                openapi: OpenApi::new(scheme),
                health,
                kubelets: config.kubelets,
                aggregator,
                limiter: Limiter::new(config.limits, settings.request_timeout),
                pages: Pages::new(settings.flags.clone()),
                settings,
                documents: config.documents,
                metrics,
                registries: config.metrics,
                shutdown,
            }),
        }
    }

    /// Serves TLS connections of a listener until shutdown, then lets open requests finish.
    pub async fn serve(&self, listener: TcpListener, tls: Arc<Tls>) {
        listener::serve(self, listener, tls, self.state.shutdown.clone()).await;
    }

    /// A client in this process that is `user`.
    pub fn client(&self, user: UserInfo) -> kube::Client {
        let server = self.clone();
        let agent = HeaderValue::from_str(&agent_of(&user)).ok();
        let caller = Caller::InProcess(Arc::new(user));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            let caller = caller.clone();
            let agent = agent.clone();
            async move {
                let (mut parts, body) = request.into_parts();
                if let (Some(agent), http::header::Entry::Vacant(slot)) = (agent, parts.headers.entry(USER_AGENT)) {
                    slot.insert(agent);
                }
                let body: RequestBody = Full::new(body.collect_bytes().await?).map_err(|never| match never {}).boxed();
                let (method, began) = (parts.method.clone(), Instant::now());
                let response = server.handle(Request::from_parts(parts, body), caller).await;
                let State { metrics, address, .. } = &*server.state;
                metrics.own().answered(&method, address, response.status().as_u16(), began.elapsed());
                Ok::<_, BoxError>(response)
            }
        });
        kube::Client::new(service, "default")
    }

    /// Keeps priority and fairness, where it is on, to the objects in the store and them to what they should be.
    pub(crate) async fn keep_flow_control(self, client: kube::Client) {
        if let Some(control) = self.state.limiter.flow_control() {
            flowcontrol::keep::run(Arc::clone(control), Arc::clone(&self.state.engine), client).await;
        }
    }

    /// Counts the comparisons of what is served with what is stored. Does not end.
    pub(crate) async fn count_checks(self) {
        let Some(mut checks) = self.state.engine.store.checks() else { return };
        while checks.changed().await.is_ok() {
            let check = checks.borrow_and_update().clone();
            if let Some(check) = check {
                self.state.metrics.storage().checked(&check, &self.state.engine);
            }
        }
    }

    /// Runs what the aggregation layer does beside requests, until shutdown.
    pub(crate) fn start_aggregation(&self) {
        let client = self.client(UserInfo::new("system:apiserver", &[authentication::SYSTEM_PRIVILEGED_GROUP]));
        self.state.aggregator.start(client, &self.state.shutdown);
    }

    /// Waits, after the last request, until the audit log has every event.
    pub(crate) async fn audited(&self) {
        if let Some(audit) = &self.state.audit {
            audit.flushed().await;
        }
    }

    /// The engine behind it.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.state.engine
    }

    pub(crate) async fn handle(&self, request: Request<RequestBody>, caller: Caller) -> Response<Body> {
        service::handle(Arc::clone(&self.state), request, caller).await
    }
}

/// What a component in this process calls itself, by the name it has upstream: managedFields show it.
fn agent_of(user: &UserInfo) -> String {
    let component = match user.name.strip_prefix("system:").unwrap_or(&user.name) {
        name if name.starts_with("node:") => "kubelet",
        name if name.starts_with("serviceaccount:") => "kube-controller-manager",
        "apiserver" => "kube-apiserver",
        name => name,
    };
    format!("{component}/v{}", env!("CARGO_PKG_VERSION"))
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiServer")
    }
}
