//! A whole API server from a store and some options: keys, authenticators, authorizers, the engine, its listener and the objects every
//! cluster begins with.
//!
//! This is the one place where the parts of the crate are put together; each part knows only what it is given.
//! Upstream: `cmd/kube-apiserver/app`, `pkg/controlplane`.

mod computed;
mod store_health;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use api::scheme::Scheme;
use component::metrics::Registries;
use ipnet::IpNet;
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::store_health::StoreHealth;
use crate::admission::{Chain, default_chain};
use crate::authentication::front_proxy::FrontProxy;
use crate::authentication::service_account::{Discovery, ServiceAccountTokens, SigningKey, TokenIssuer, VerifyingKeys};
use crate::authentication::tokens::{BootstrapTokens, TokenAuthenticator, TokenFile};
use crate::authentication::x509::ClientCertificates;
use crate::authentication::{self, Union, UserInfo};
use crate::authorization::node::NodeAuthorizer;
use crate::authorization::rbac::{Rbac, bootstrap::cluster_role_rules};
use crate::authorization::{Authorization, Authorizer};
use crate::context::Objects;
use crate::pki::{self, Issued, Pki, ServingNames};
use crate::registry::bootstrap;
use crate::registry::component_status::ComponentStatuses;
use crate::registry::resource::Resources;
use crate::registry::store::Engine;
use crate::server::health::Health;
use crate::server::tls::{self, ServingCertificate};
use crate::server::{ApiServer, Config};
use crate::streaming::Kubelets;

/// What differs from one API server to the next.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where keys and certificates are.
    pub pki_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address others reach this server at.
    pub advertise: IpAddr,
    /// The machine's name and others the serving certificate is to hold.
    pub names: Vec<String>,
    /// `--service-cluster-ip-range`, one a family.
    pub service_ranges: Vec<IpNet>,
    /// The DNS domain of the cluster.
    pub cluster_domain: String,
    /// `--token-auth-file`.
    pub token_auth_file: Option<PathBuf>,
}

/// Why an API server did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Keys or certificates.
    #[error("{0}")]
    Pki(#[from] pki::Error),
    /// Authenticators.
    #[error("{0}")]
    Authentication(#[from] authentication::Error),
    /// The serving certificate.
    #[error("{0}")]
    Tls(#[from] tls::Error),
    /// The client certificate for kubelets.
    #[error("the client certificate for kubelets is refused: {0}")]
    Kubelets(#[source] rustls::Error),
    /// PEM that was written by us and does not parse.
    #[error("a certificate is damaged: {0}; remove it from the pki folder to have a new one made")]
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
    /// The work on another thread was given up.
    #[error("interrupted while starting")]
    Interrupted,
}

/// A running API server.
#[derive(Debug)]
pub struct ControlPlane {
    /// The server, for clients in this process.
    pub server: ApiServer,
    /// Keys and certificates, for components that need their own.
    pub pki: Arc<Pki>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What `/metrics` shows: parts of the process that count for themselves join their registries.
    pub metrics: Registries,
    /// What `componentstatuses` asks: scheduler and controller manager join when they run in this process.
    pub components: ComponentStatuses,
}

impl ControlPlane {
    /// Opens the port, serves, and writes the cluster's first objects; answers when /readyz does. Ends with `shutdown`.
    ///
    /// # Errors
    /// See [`Error`]; nothing keeps running then.
    pub async fn start(options: Options, store: Arc<Store>, shutdown: CancellationToken) -> Result<Self, Error> {
        let pki = Arc::new(open_pki(&options).await?);
        let listen = options.listen;
        let failed = |source| Error::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;

        let resources = Resources::builtin(Scheme::builtin());
        // Authorization and admission look at objects as they are stored; only writing needs admission.
        let objects: Arc<dyn Objects> =
            Arc::new(Engine { store: store.clone(), resources: resources.clone(), admission: Chain::default() });
        let rbac = Rbac::new(store.clone());
        let authorizer = Arc::new(Authorization {
            always_allow: false,
            node: Some(NodeAuthorizer::new(objects.clone(), cluster_role_rules("system:node"))),
            rbac: Some(rbac.clone()),
        });
        let asked: Arc<dyn Authorizer> = authorizer.clone();
        let admission = default_chain(&asked, Some(rbac));
        let engine = Arc::new(Engine { store: store.clone(), resources, admission });
        let ready = Arc::new(AtomicBool::new(false));
        let external = SocketAddr::new(options.advertise, address.port()).to_string();
        let store_health = StoreHealth::default();
        let components = ComponentStatuses::new(store_health.check());
        let metrics = Registries::default();
        let mut health = Health::default();
        health.add("etcd", store_health.check());
        let bootstrapped = ready.clone();
        health.add_ready(
            "poststarthook/bootstrap-controller",
            Arc::new(move || (!bootstrapped.load(Ordering::Acquire)).then(|| "not finished".to_owned())),
        );
        let shared = Shared { objects, authorizer, health, metrics: metrics.clone(), components: components.clone() };
        let config = config(&options, &pki, shared, external)?;
        let server = ApiServer::new(config, engine.clone(), shutdown.clone());

        let (chain, key) = identity(&pki.apiserver)?;
        let authorities = roots(pki.ca.certificate_pem())?;
        let tls = Arc::new(ServingCertificate::new(chain, key)?.server_config(authorities.subjects())?);
        let serving = server.clone();
        component::spawn("apiserver", async move { serving.serve(listener, tls).await });
        component::spawn_until("store time", &shutdown, store_health.tell_time(store));

        let started = Self { server, pki, address, metrics, components };
        started.bootstrap(&options, engine.as_ref()).await?;
        ready.store(true, Ordering::Release);
        Ok(started)
    }

    async fn bootstrap(&self, options: &Options, existing: &dyn Objects) -> Result<(), Error> {
        let wanted = bootstrap::Config {
            service_ranges: options.service_ranges.clone(),
            advertise_address: Some(options.advertise),
            secure_port: self.address.port(),
            client_ca: self.pki.ca.certificate_pem().to_owned(),
            request_header_ca: self.pki.front_proxy_ca.certificate_pem().to_owned(),
            request_header_names: vec![FRONT_PROXY.to_owned()],
            today: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
        };
        let client = self.server.client(UserInfo::new("system:apiserver", &[authentication::SYSTEM_PRIVILEGED_GROUP]));
        bootstrap::apply(bootstrap::plan(&wanted, existing), &client).await?;
        Ok(())
    }
}

/// The one name that may speak for others as a front proxy.
const FRONT_PROXY: &str = "front-proxy-client";

async fn open_pki(options: &Options) -> Result<Pki, Error> {
    let mut ips = vec![options.listen.ip(), options.advertise];
    ips.extend(options.service_ranges.iter().filter_map(|range| range.hosts().next()));
    let names = ServingNames { dns: options.names.clone(), ips, cluster_domain: options.cluster_domain.clone() };
    let folder = options.pki_dir.clone();
    let opening = tokio::task::spawn_blocking(move || Pki::open(&folder, &names, SystemTime::now()));
    Ok(opening.await.map_err(|_| Error::Interrupted)??)
}

/// What the server's settings share with the rest of the process.
struct Shared {
    objects: Arc<dyn Objects>,
    authorizer: Arc<Authorization>,
    health: Health,
    metrics: Registries,
    components: ComponentStatuses,
}

fn config(options: &Options, pki: &Pki, shared: Shared, external: String) -> Result<Config, Error> {
    let Shared { objects, authorizer, health, metrics, components } = shared;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let issuer = format!("https://kubernetes.default.svc.{}", options.cluster_domain);
    let audiences = vec![issuer.clone()];
    let public = || pki.service_account_public_keys.iter().map(String::as_str);
    let verifying = VerifyingKeys::from_pems(public())?;
    let discovery = Discovery::new(&issuer, &external, &verifying);
    let signing = SigningKey::from_pem(&pki.service_account_key, public().next().unwrap_or_default())?;
    let mut tokens: Vec<Arc<dyn TokenAuthenticator>> = Vec::new();
    if let Some(path) = &options.token_auth_file {
        tokens.push(Arc::new(TokenFile::read(path)?));
    }
    tokens.push(Arc::new(ServiceAccountTokens::new(
        vec![issuer.clone()],
        audiences.clone(),
        verifying,
        objects.clone(),
    )));
    tokens.push(Arc::new(BootstrapTokens { objects }));
    let authenticator = Arc::new(Union {
        front_proxy: Some(FrontProxy::new(
            ClientCertificates::new(pki.front_proxy_ca.certificate_pem(), &provider)?,
            vec![FRONT_PROXY.to_owned()],
        )),
        certificates: Some(ClientCertificates::new(pki.ca.certificate_pem(), &provider)?),
        tokens,
        audiences: audiences.clone(),
        anonymous: true,
    });
    let issuer = TokenIssuer { key: signing, issuer, audiences, extend_expiration: true, max_expiration_seconds: 0 };
    let (chain, key) = identity(&pki.apiserver_kubelet_client)?;
    let authorities = roots(pki.ca.certificate_pem())?;
    Ok(Config {
        computed: computed::all(&authenticator, &authorizer, issuer, components),
        authenticator,
        authorizer,
        advertise_address: external,
        kubelets: Kubelets::with_client_certificate(chain, key, Some(authorities)).map_err(Error::Kubelets)?,
        health,
        documents: Box::new(move |path| discovery.as_ref()?.document(path)),
        metrics,
    })
}

fn identity(issued: &Issued) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes())?))
}

fn roots(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?).map_err(Error::Kubelets)?;
    }
    Ok(roots)
}
