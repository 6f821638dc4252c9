//! A whole API server from a store and some options: keys, authenticators, authorizers, the engine, its listener and the objects every
//! cluster begins with.
//!
//! This is the one place where the parts of the crate are put together; each part knows only what it is given.
//! Upstream: `cmd/kube-apiserver/app`, `pkg/controlplane`.

mod computed;
mod credentials;
mod hooks;
mod identity;
mod kubernetes_service;
mod options;
mod runtime_config;
mod store_health;

use std::net::SocketAddr;
use std::sync::Arc;

use api::scheme::Scheme;
use component::metrics::Registries;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::credentials::{Credentials, RequestHeader, ServiceAccounts};
use self::credentials::{identity, roots};
use self::hooks::{Hooks, Stage};
use self::identity::Identity;
pub use self::kubernetes_service::EndpointReconciler;
use self::kubernetes_service::KubernetesService;
pub use self::options::{AuthorizationMode, Options};
pub use self::runtime_config::{Error as RuntimeConfigError, RuntimeConfig};
use self::store_health::StoreHealth;
use crate::admission::{self, Chain, default_chain};
use crate::apiextensions;
use crate::audit::{self, AuditLog};
use crate::authentication::service_account::{Discovery, ServiceAccountTokens, TokenIssuer};
use crate::authentication::tokens::{BootstrapTokens, TokenAuthenticator, TokenFile};
use crate::authentication::{self, Union, UserInfo};
use crate::authorization::Authorization;
use crate::authorization::node::NodeAuthorizer;
use crate::authorization::rbac::{Rbac, bootstrap::cluster_role_rules};
use crate::context::Objects;
pub use crate::filters::priority_and_fairness::Limits;
use crate::registry::bootstrap;
use crate::registry::component_status::ComponentStatuses;
use crate::registry::resource::Resources;
use crate::registry::store::Engine;
use crate::server::health::Health;
use crate::server::tls::{self, ServingCertificate};
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
    /// The plugins asked for.
    #[error("{0}")]
    Admission(#[from] admission::SelectionError),
}

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
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let scheme = options.runtime_config.scheme();
        let resources = Resources::builtin(scheme);
        // Authorization and admission look at objects as they are stored; only writing needs admission.
        let objects: Arc<dyn Objects> =
            Arc::new(Engine { store: store.clone(), resources: resources.clone(), admission: Chain::default() });
        let rbac = options.is_authorized_by(AuthorizationMode::Rbac).then(|| Rbac::new(store.clone()));
        let authorizer = Arc::new(Authorization {
            always_allow: options.is_authorized_by(AuthorizationMode::AlwaysAllow),
            node: options
                .is_authorized_by(AuthorizationMode::Node)
                .then(|| NodeAuthorizer::new(objects.clone(), cluster_role_rules("system:node"))),
            rbac: rbac.clone(),
        });
        let admission = options.admission.applied_to(default_chain(rbac, &store, &resources))?;
        let engine = Arc::new(Engine { store: store.clone(), resources, admission });
        let custom_resources = apiextensions::controller::Controller::new(Arc::clone(&engine), shutdown.clone());
        component::spawn_until("custom resources", &shutdown, custom_resources.run());
        let hooks = Hooks::default();
        let external = match &options.external_hostname {
            Some(name) => format!("{name}:{}", address.port()),
            None => SocketAddr::new(options.advertise, address.port()).to_string(),
        };
        let store_health = StoreHealth::default();
        let components = ComponentStatuses::new(store_health.check());
        let metrics = Registries::default();
        let mut health = Health::default();
        health.add("etcd", store_health.check());
        health.add_ready("etcd-readiness", store_health.check());
        // The view was filled before anybody could ask.
        health.add_ready("informer-sync", Arc::new(|| None));
        hooks.join(&mut health);
        hooks.reached(Stage::Serving);
        let shared = Shared { objects, authorizer, health, metrics: metrics.clone(), components: components.clone() };
        let config = config(&options, scheme, shared, external)?;
        let server = ApiServer::new(config, engine.clone(), shutdown.clone());

        let (chain, key) = identity(&options.credentials.serving)?;
        let authorities = roots(options.credentials.client_ca.as_deref().unwrap_or_default())?;
        let tls = Arc::new(ServingCertificate::new(chain, key)?.server_config(authorities.subjects())?);
        let serving = server.clone();
        let serving = component::spawn("apiserver", async move { serving.serve(listener, tls).await });
        component::spawn_until("store time", &shutdown, store_health.tell_time(store));

        let mut started = Self { server, address, metrics, components, serving, presence: Vec::new() };
        started.bootstrap(&options, engine.as_ref()).await?;
        hooks.reached(Stage::Objects);
        let keeping = started.server.clone().keep_flow_control(started.own_client());
        component::spawn_until("flow control", &shutdown, keeping);
        component::spawn_until("consistency checks", &shutdown, started.server.clone().count_checks());
        let identity = Identity::new(started.own_client());
        started.presence.push(component::spawn("identity lease", identity.keep(shutdown.clone())));
        started.server.start_aggregation();
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

/// What the server's settings share with the rest of the process.
struct Shared {
    objects: Arc<dyn Objects>,
    authorizer: Arc<Authorization>,
    health: Health,
    metrics: Registries,
    components: ComponentStatuses,
}

fn config(options: &Options, scheme: &'static Scheme, shared: Shared, external: String) -> Result<Config, Error> {
    let Shared { objects, authorizer, health, metrics, components } = shared;
    let credentials = &options.credentials;
    let accounts = &credentials.service_accounts;
    let audiences = accounts.audiences().to_vec();
    let issuer = accounts.issuers.first().cloned().unwrap_or_default();
    let verifying = accounts.verifying_keys()?;
    let own_jwks = format!("https://{external}{}", Discovery::JWKS_PATH);
    let discovery = Discovery::new(&issuer, accounts.jwks_uri.as_deref().unwrap_or(&own_jwks), &verifying);
    let mut tokens: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    if let Some(path) = &credentials.token_auth_file {
        tokens.push(Arc::new(TokenFile::read(path)?));
    }
    let issuers = accounts.issuers.clone();
    tokens.push(Arc::new(ServiceAccountTokens::new(issuers, audiences.clone(), verifying, objects.clone())));
    if options.bootstrap_tokens {
        tokens.push(Arc::new(BootstrapTokens { objects }));
    }
    let authenticator = Arc::new(Union {
        front_proxy: credentials.front_proxy()?,
        certificates: credentials.client_certificates()?,
        tokens,
        audiences: audiences.clone(),
        anonymous: options.anonymous,
    });
    let issuer = TokenIssuer {
        key: accounts.signing_key()?,
        issuer,
        audiences,
        extend_expiration: accounts.extend_expiration,
        max_expiration_seconds: accounts.max_expiration_seconds,
    };
    Ok(Config {
        scheme,
        computed: computed::all(&authenticator, &authorizer, issuer, components),
        authenticator,
        authorizer,
        advertise_address: external,
        kubelets: credentials.kubelets()?,
        proxy_client: credentials.proxy_client()?,
        health,
        audit: options.audit.as_ref().map(AuditLog::open).transpose()?,
        formats: options.formats,
        limits: options.limits,
        documents: Box::new(move |path| discovery.as_ref()?.document(path)),
        metrics,
    })
}
