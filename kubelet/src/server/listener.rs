//! The port: TLS with an optional client certificate, then HTTP/1.1 or HTTP/2. A panic in one request ends that request.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use http::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::{Host, Request, Response, Server, auth, full, routes, text};

/// Connections at once.
const CONNECTIONS: usize = 1000;
/// How long a client may take to shake hands and to send a request's head.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken.
    #[error("the kubelet cannot listen on {address}: {source}")]
    Bind {
        /// Where it should listen.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file is missing or no PEM.
    #[error("cannot read {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The certificate and key do not serve.
    #[error("the kubelet's serving certificate is refused: {0}")]
    Tls(String),
}

/// Certificates of the port.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// Chain and key; one signed by itself is made when absent.
    pub(crate) files: Option<(PathBuf, PathBuf)>,
    /// Whose client certificates are believed.
    pub(crate) client_ca: Option<PathBuf>,
    /// Names of a certificate that is made.
    pub(crate) names: Vec<String>,
}

pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr, tls: &Tls) -> Result<Self, Error> {
        let acceptor = TlsAcceptor::from(Arc::new(tls_config(tls)?));
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let address = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        Ok(Self { listener, address, acceptor })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) async fn run<H: Host>(self, server: Arc<Server<H>>) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(slot) = slots.clone().acquire_owned().await else { return };
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "connection not accepted");
                    continue;
                }
            };
            let (acceptor, server) = (self.acceptor.clone(), server.clone());
            component::spawn("kubelet connection", async move {
                if let Err(error) = connection(stream, acceptor, server).await {
                    tracing::debug!(%peer, %error, "connection ended");
                }
                drop(slot);
            });
        }
    }
}

async fn connection<H: Host>(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    server: Arc<Server<H>>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await??;
    let peer = stream.get_ref().1.peer_certificates().and_then(<[_]>::first).and_then(auth::user_of_certificate);
    let service = service_fn(move |request: Request| {
        let (server, peer) = (server.clone(), peer.clone());
        let head = request.method() == http::Method::HEAD;
        async move {
            let mut answer = guarded(routes::answer(server, peer, request)).await;
            if head {
                // HTTP/2 does not drop it for us.
                *answer.body_mut() = full(bytes::Bytes::new());
            }
            Ok::<_, std::convert::Infallible>(answer)
        }
    });
    let mut builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(100);
    builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await
}

/// A panic becomes an answer, and the connection's other requests go on.
async fn guarded(answer: impl Future<Output = Response>) -> Response {
    std::panic::AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a kubelet request panicked");
        text(StatusCode::INTERNAL_SERVER_ERROR, "internal error\n")
    })
}

fn tls_config(tls: &Tls) -> Result<rustls::ServerConfig, Error> {
    let (chain, key) = match &tls.files {
        Some((chain, key)) => (read_certificates(chain)?, read_key(key)?),
        None => self_signed(&tls.names)?,
    };
    let refused = |error: &dyn std::fmt::Display| Error::Tls(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&error))?;
    let builder = match &tls.client_ca {
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for certificate in read_certificates(path)? {
                roots.add(certificate).map_err(|error| refused(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| refused(&error))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| refused(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn read_certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>, Error> {
    let failed = |reason: String| Error::File { path: path.clone(), reason };
    CertificateDer::pem_file_iter(path)
        .map_err(|error| failed(error.to_string()))?
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))
}

fn read_key(path: &PathBuf) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| Error::File { path: path.clone(), reason: error.to_string() })
}

fn self_signed(names: &[String]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(|error| Error::Tls(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    Ok((vec![made.cert.into()], key))
}
