//! A whole API server from a store and some options: keys, authenticators, authorizers, the engine, its listener and the objects every
//! cluster begins with.
//!
//! This is the one place where the parts of the crate are put together; each part knows only what it is given.
//! Upstream: `cmd/kube-apiserver/app`, `pkg/controlplane`.

mod computed;
mod credentials;
mod documents;
mod hooks;
mod identity;
mod kubernetes_service;
mod options;
mod reload;
mod runtime_config;
mod store_health;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use api::scheme::Scheme;
use component::metrics::Registries;
use store::Store;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::credentials::{Credentials, NamedCertificate, RequestHeader, ServiceAccounts};
use self::documents::Documents;
use self::hooks::{Hooks, Stage};
use self::identity::Identity;
pub use self::kubernetes_service::EndpointReconciler;
use self::kubernetes_service::KubernetesService;
pub use self::options::Options;
use self::reload::Live;
pub use self::reload::{Read, Reload};
pub use self::runtime_config::{Error as RuntimeConfigError, RuntimeConfig};
use self::store_health::StoreHealth;
use crate::admission::{self, Chain, Loopback, Surroundings};
use crate::apiextensions;
use crate::audit::{self, AuditLog};
use crate::authentication::metrics::TokenCache;
use crate::authentication::oidc::{self, Issuers};
use crate::authentication::service_account::{Discovery, ServiceAccountTokens, SigningKeys, TokenIssuer};
use crate::authentication::tokens::{BootstrapTokens, RemoteTokens, TokenAuthenticator, TokenFile};
use crate::authentication::{self, Remembered, Union, UserInfo, token_webhook};
use crate::authorization::node::NodeAuthorizer;
use crate::authorization::rbac::{Rbac, bootstrap::cluster_role_rules};
use crate::authorization::{self, Authorization};
use crate::context::Objects;
pub use crate::filters::priority_and_fairness::Limits;
use crate::registry::bootstrap;
use crate::registry::component_status::ComponentStatuses;
use crate::registry::resource::Resources;
use crate::registry::store::Engine;
use crate::server::health::{Health, Scope};
use crate::server::tls::{self, Tls};
use crate::server::{ApiServer, Config};

/// How often the first objects are compared with what is there, where others write them too.
const BOOTSTRAP_ROUNDS: usize = 3;

/// Why an API server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Authenticators.
    #[error("{0}")]
    Authentication(#[from] authentication::Error),
    /// The serving certificate.
    #[error("{0}")]
    Tls(#[from] tls::Error),
    /// The client certificate for kubelets.
    #[error("the client certificate for kubelets is refused: {0}")]
    Kubelets(#[source] rustls::Error),
    /// PEM that does not parse.
    #[error("a certificate or key is damaged: {0}")]
    Pem(#[from] rustls_pki_types::pem::Error),
    /// The port.
    #[error("cannot listen on {address}: {source}; choose another with --secure-port or --bind-address")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The objects a cluster begins with.
    #[error("cannot write the cluster's first objects: {0}")]
    Bootstrap(#[from] bootstrap::Error),
    /// The audit log.
    #[error("{0}")]
    Audit(#[from] audit::Error),
    /// The authorizers asked for.
    #[error("{0}")]
    Authorization(#[from] authorization::Error),
    /// The plugins asked for.
    #[error("{0}")]
    Admission(#[from] admission::SelectionError),
}

/// The last audit events get this long to be delivered.
const LAST_EVENTS: Duration = Duration::from_secs(10);

/// A running API server.
#[derive(Debug)]
pub struct ControlPlane {
    /// The server, for clients in this process.
    pub server: ApiServer,
    /// Where it listens.
    pub address: SocketAddr,
    /// What `/metrics` shows: parts of the process that count for themselves join their registries.
    pub metrics: Registries,
    /// What `componentstatuses` asks: scheduler and controller manager join when they run in this process.
    pub components: ComponentStatuses,
    serving: JoinHandle<Option<()>>,
    /// What tells others of this server: they take it back.
    presence: Vec<JoinHandle<Option<()>>>,
}

impl ControlPlane {
    /// Opens the port, serves, and writes the cluster's first objects; answers when /readyz does. Ends with `shutdown`.
    ///
    /// # Errors
    /// See [`Error`]; nothing keeps running then.
    pub async fn start(options: Options, store: Arc<Store>, shutdown: CancellationToken) -> Result<Self, Error> {
        let listen = options.listen;
        let failed = |source| Error::Listen { address: listen, source };
        let listener = bind(listen, options.permit_port_sharing).map_err(failed)?;
        let stopping = shutdown;
        let shutdown = later(&stopping, options.settings.shutdown_delay);
        let address = listener.local_addr().map_err(failed)?;

        let scheme = options.runtime_config.scheme();
        let resources = Resources::with_event_ttl(scheme, options.event_ttl);
        // Authorization and admission look at objects as they are stored; only writing needs admission.
        let cbor = options.formats.cbor;
        let engine = |resources, admission| Engine::of(store.clone(), resources, admission, cbor);
        let objects: Arc<dyn Objects> = engine(resources.clone(), Chain::default());
        let authorizer = authorizer(&options, &store, &objects)?;
        if let Some(source) = options.authorization.source.clone() {
            let (authorizer, configuration) = (Arc::clone(&authorizer), options.authorization.clone());
            let following = authorization::reload::follow(authorizer, configuration, source, identity::server_name());
            component::spawn_until("changed authorization", &shutdown, following);
        }
        let loopback = Loopback::default();
        let surroundings =
            Surroundings { rbac: authorizer.rbac(), store: &store, resources: &resources, loopback: &loopback };
        let admission = admission::chain(&options.admission, surroundings)?;
        let engine = engine(resources, admission);
        let custom_resources = apiextensions::controller::Controller::new(Arc::clone(&engine), shutdown.clone());
        component::spawn_until("custom resources", &shutdown, custom_resources.run());
        let hooks = Hooks::default();
        let external = match &options.external_hostname {
            Some(name) => format!("{name}:{}", address.port()),
            None => SocketAddr::new(options.advertise, address.port()).to_string(),
        };
        let tls = Tls::new(options.tls.clone(), options.credentials.identities()?)?;
        let store_health = StoreHealth::default();
        let components = ComponentStatuses::new(store_health.check());
        let metrics = Registries::default();
        metrics.join(authorizer.metrics().registry());
        let mut health = Health::default();
        health.add("loopback-serving-certificate", Scope::Live, Arc::new(|| None));
        health.add("etcd", Scope::Everywhere, store_health.check());
        health.add("etcd-readiness", Scope::Ready, store_health.check());
        // The view was filled before anybody could ask.
        health.add("informer-sync", Scope::Ready, Arc::new(|| None));
        hooks.join(&mut health);
        hooks.reached(Stage::Serving);
        let shared = Shared {
            objects,
            authorizer,
            health,
            metrics: metrics.clone(),
            components: components.clone(),
            stopping,
            tls: tls.clone(),
        };
        let (config, live) = config(&options, scheme, shared, external)?;
        let server = ApiServer::new(config, engine.clone(), shutdown.clone());

        let serving = server.clone();
        let serving = component::spawn("apiserver", async move { serving.serve(listener, tls).await });
        component::spawn_until("store time", &shutdown, store_health.tell_time(store));
        component::spawn_until("released memory", &shutdown, component::memory::give_back());

        let mut started = Self { server, address, metrics, components, serving, presence: Vec::new() };
        // It is set here and nowhere else.
        let _ = loopback.set(started.own_client());
        started.bootstrap(&options, engine.as_ref()).await?;
        hooks.reached(Stage::Objects);
        let keeping = started.server.clone().keep_flow_control(started.own_client());
        component::spawn_until("flow control", &shutdown, keeping);
        component::spawn_until("consistency checks", &shutdown, started.server.clone().count_checks());
        let identity = Identity::new(started.own_client());
        started.presence.push(component::spawn("identity lease", identity.keep(shutdown.clone())));
        started.server.start_aggregation();
        if let Some(reload) = options.reload.clone() {
            let following = reload::run(reload, options.credentials.clone(), live);
            component::spawn_until("changed credentials", &shutdown, following);
        }
        hooks.reached(Stage::Aggregation);
        started.join_service(&options, &shutdown).await;
        Ok(started)
    }

    /// Tells others that this server serves now.
    async fn join_service(&mut self, options: &Options, shutdown: &CancellationToken) {
        let service = KubernetesService {
            engine: Arc::clone(self.server.engine()),
            client: self.own_client(),
            address: options.advertise,
            port: self.address.port(),
            reconciler: options.endpoint_reconciler,
        };
        if service.is_offered() {
            service.join().await;
            self.presence.push(component::spawn("kubernetes service", service.keep(shutdown.clone())));
        }
    }

    /// Waits, after shutdown, until others have been told that this server is gone.
    pub async fn departed(self) {
        for part in self.presence {
            // One that panicked was logged by its supervisor.
            let _ = part.await;
        }
    }

    /// Waits, after shutdown, as [`Self::departed`] does, and until the last request is answered or has had its time.
    pub async fn drained(mut self) {
        let (serving, presence) = (self.serving, std::mem::take(&mut self.presence));
        // What panicked was logged by its supervisor.
        let _ = futures::join!(serving, futures::future::join_all(presence));
        if tokio::time::timeout(LAST_EVENTS, self.server.audited()).await.is_err() {
            tracing::warn!("the last audit events were not delivered in time");
        }
    }

    async fn bootstrap(&self, options: &Options, existing: &dyn Objects) -> Result<(), Error> {
        let wanted = bootstrap::Config {
            service_ranges: options.service_ranges.clone(),
            secure_port: self.address.port(),
            client_ca: options.credentials.client_ca.clone(),
            request_header: options.credentials.request_header.clone(),
            now: jiff::Timestamp::now(),
        };
        // Where others start on the same store, what they wrote at the same time is looked at once more.
        let rounds = if self.server.engine().store.is_shared() { BOOTSTRAP_ROUNDS } else { 1 };
        for _ in 0..rounds {
            let mut plan = bootstrap::plan(&wanted, existing);
            bootstrap::leave_out_unserved(&mut plan, &self.server.engine().resources);
            if plan.iter().all(Vec::is_empty) {
                break;
            }
            bootstrap::apply(plan, &self.own_client()).await?;
        }
        Ok(())
    }

    /// The server as its own client.
    fn own_client(&self) -> kube::Client {
        self.server.client(UserInfo::new("system:apiserver", &[authentication::SYSTEM_PRIVILEGED_GROUP]))
    }
}

/// Opens the port. With `shared`, other processes may have it open, too.
fn bind(address: SocketAddr, shared: bool) -> std::io::Result<TcpListener> {
    const BACKLOG: u32 = 1024;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(shared)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Cancelled so long after `asked` is.
fn later(asked: &CancellationToken, delay: Duration) -> CancellationToken {
    if delay.is_zero() {
        return asked.clone();
    }
    let (asked, later) = (asked.clone(), CancellationToken::new());
    let delayed = later.clone();
    component::spawn("shutdown delay", async move {
        asked.cancelled().await;
        tracing::info!(seconds = delay.as_secs_f64(), "asked to stop; serving on for a while");
        tokio::time::sleep(delay).await;
        delayed.cancel();
    });
    later
}

/// The authorizers that are wanted.
fn authorizer(
    options: &Options,
    store: &Arc<Store>,
    objects: &Arc<dyn Objects>,
) -> Result<Arc<Authorization>, authorization::Error> {
    let surroundings = authorization::Surroundings {
        objects: objects.clone(),
        node: Arc::new(NodeAuthorizer::new(objects.clone(), cluster_role_rules("system:node"))),
        rbac: Rbac::new(store.clone()),
    };
    Authorization::new(&options.authorization, surroundings).map(Arc::new)
}

/// What the server's settings share with the rest of the process.
struct Shared {
    objects: Arc<dyn Objects>,
    authorizer: Arc<Authorization>,
    health: Health,
    metrics: Registries,
    components: ComponentStatuses,
    stopping: CancellationToken,
    tls: Arc<Tls>,
}

/// Those who have to ask others about tokens.
fn remote_tokens(
    options: &Options,
    objects: Arc<dyn Objects>,
    metrics: &Registries,
    counts: &TokenCache,
    stopping: &CancellationToken,
) -> Result<Vec<Arc<dyn RemoteTokens>>, authentication::Error> {
    let accounts = &options.credentials.service_accounts;
    let mut remote: Vec<Arc<dyn RemoteTokens>> = Vec::new();
    if !options.issuers.issuers.is_empty() || options.issuers.file.is_some() {
        let issuers = Issuers::new(&options.issuers, &accounts.issuers, &identity::server_name(), stopping)?;
        metrics.join(issuers.registry());
        if let Some(file) = options.issuers.file.clone() {
            component::spawn_until("authentication config", stopping, issuers.clone().follow(file));
        }
        remote.push(Arc::new(Remembered::new(issuers, oidc::BELIEVED_FOR, Duration::ZERO, counts.clone())));
    }
    if let Some(settings) = &options.token_webhook {
        remote.push(Arc::new(token_webhook::open(settings, accounts.audiences(), objects, counts.clone())?));
    }
    Ok(remote)
}

fn config(
    options: &Options,
    scheme: &'static Scheme,
    shared: Shared,
    external: String,
) -> Result<(Config, Live), Error> {
    let Shared { objects, authorizer, health, metrics, components, stopping, tls } = shared;
    let credentials = &options.credentials;
    let accounts = &credentials.service_accounts;
    let audiences = accounts.audiences().to_vec();
    let issuer = accounts.issuers.first().cloned().unwrap_or_default();
    let verifying = accounts.verifying_keys()?;
    let own_jwks = format!("https://{external}{}", Discovery::JWKS_PATH);
    let jwks = accounts.jwks_uri.clone().unwrap_or(own_jwks);
    let documents = Arc::new(Documents::new(issuer.clone(), jwks, &verifying));
    let audit = options.audit.as_ref().map(|config| AuditLog::open(config, &objects)).transpose()?;
    let mut tokens: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    let token_file = credentials.token_auth_file.as_deref().map(TokenFile::read).transpose()?.map(Arc::new);
    if let Some(file) = &token_file {
        tokens.push(file.clone());
    }
    let known = ServiceAccountTokens::new(accounts.issuers.clone(), audiences.clone(), verifying, objects.clone());
    let known = Arc::new(known);
    tokens.push(known.clone());
    if options.bootstrap_tokens {
        tokens.push(Arc::new(BootstrapTokens { objects: objects.clone() }));
    }
    let counts = authentication::Metrics::default();
    metrics.join(counts.registry());
    let remote = remote_tokens(options, objects, &metrics, &counts.tokens, &stopping)?;
    let authenticator = Arc::new(Union {
        front_proxy: credentials.front_proxy()?,
        certificates: credentials.client_certificates()?.map(|own| own.counted(&counts)),
        tokens,
        remote,
        audiences: audiences.clone(),
        anonymous: options.anonymous.clone(),
    });
    let signing = Arc::new(SigningKeys::new(accounts.signing_key()?));
    let issuer = TokenIssuer {
        keys: signing.clone(),
        issuer,
        audiences,
        extend_expiration: accounts.extend_expiration,
        max_expiration_seconds: accounts.max_expiration_seconds,
    };
    let live = Live {
        tls,
        authenticator: authenticator.clone(),
        accounts: known,
        signing,
        documents: documents.clone(),
        token_file,
    };
    let config = Config {
        scheme,
        computed: computed::all(&authenticator, &authorizer, issuer, components),
        authenticator,
        authorizer,
        advertise_address: external,
        kubelets: credentials.kubelets()?,
        proxy_client: credentials.proxy_client()?,
        health,
        audit,
        formats: options.formats,
        limits: options.limits,
        documents: Box::new(move |path| documents.at(path)),
        metrics,
        settings: options.settings.clone(),
        stopping,
    };
    Ok((config, live))
}
