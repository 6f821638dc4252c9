//! Requests that become byte streams: logs, exec, attach, port-forward and the proxies, carried to a kubelet, pod or service.
//!
//! The API server joins two connections and looks at neither stream: WebSocket and SPDY clients alike are passed through to a
//! kubelet that speaks their protocol. A kubelet that speaks SPDY only is translated for ([`translation`]).
//! Redirects of a backend are refused (CVE-2022-3172), a connection is used for one request and never again
//! (CVE-2018-1002105), and an address is looked up once and used as it was checked (CVE-2020-8562).
//! Upstream: k8s.io/apimachinery/pkg/util/proxy, pkg/kubelet/client.

pub(crate) mod links;
pub mod location;
pub(crate) mod socket;
pub(crate) mod translation;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use api::status::Status;
use component::tls::AnyCertificate;
use futures::StreamExt;
use http::header::{self, HeaderName};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use self::location::{Location, Scheme};
use crate::server::body::{Body, BoxError, RequestBody};
use crate::server::metrics::Ongoing;

/// A backend that does not take the connection in this time is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers that mean one hop only.
pub(crate) const HOP_HEADERS: [HeaderName; 6] = [
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
];

/// TLS to pods and services, for whose certificates nobody vouches.
static PODS: LazyLock<TlsConnector> = LazyLock::new(|| TlsConnector::from(Arc::new(AnyCertificate::client_config())));

/// How backends are reached.
#[derive(Clone, Default)]
pub struct Kubelets {
    tls: Option<TlsConnector>,
}

/// A client's connection that can become a stream.
pub(crate) struct Upgrade {
    client: OnUpgrade,
    /// The request is being served for as long as the stream lasts.
    ongoing: Option<Arc<Ongoing>>,
}

impl Upgrade {
    /// Takes it from a request; None when the request came over no connection that can be upgraded.
    pub(crate) fn take(extensions: &mut http::Extensions) -> Option<Upgrade> {
        let client = extensions.remove::<OnUpgrade>()?;
        Some(Upgrade { client, ongoing: extensions.remove() })
    }
}

/// Why a backend could not be asked.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no client certificate for kubelets is configured")]
    NotConfigured,
    #[error("dial tcp {address}: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("dial tcp {0}: i/o timeout")]
    Timeout(String),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the backend answered with a redirect, which is refused")]
    Redirect,
}

impl Kubelets {
    /// With the TLS configuration used towards kubelets: client certificate, and what their certificates are held to.
    pub fn new(tls: Arc<rustls::ClientConfig>) -> Kubelets {
        Kubelets { tls: Some(TlsConnector::from(tls)) }
    }

    /// With a client certificate; kubelets' certificates are checked against `authorities` where given, and not otherwise, as
    /// upstream does without --kubelet-certificate-authority.
    pub fn with_client_certificate(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authorities: Option<rustls::RootCertStore>,
    ) -> Result<Kubelets, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match authorities {
            Some(roots) => builder.with_root_certificates(roots),
            None => builder.dangerous().with_custom_certificate_verifier(AnyCertificate::verifier(provider)),
        };
        Ok(Kubelets::new(Arc::new(builder.with_client_auth_cert(chain, key)?)))
    }

    /// Carries a request to a backend and its answer back; an upgraded connection lives on in a task of its own.
    pub(crate) async fn forward(
        &self,
        location: &Location,
        method: Method,
        mut headers: HeaderMap,
        body: RequestBody,
        upgrade: Option<Upgrade>,
        shutdown: &CancellationToken,
    ) -> Result<Response<Body>, Status> {
        let result = async {
            let mut sender = self.connect(location).await?;
            let upgrading = upgrade.is_some() && headers.contains_key(header::UPGRADE);
            if !upgrading {
                for name in HOP_HEADERS {
                    headers.remove(name);
                }
            }
            headers.remove(header::AUTHORIZATION);
            headers.insert(header::HOST, location.host_header());
            let mut request = Request::new(body);
            *request.method_mut() = method;
            *request.uri_mut() = location.path.parse::<Uri>().unwrap_or_default();
            *request.headers_mut() = headers;
            let response = sender.send_request(request).await?;
            if response.status().is_redirection() {
                return Err(Error::Redirect);
            }
            Ok(response)
        };
        let response = result.await.map_err(|error: Error| unreachable(location, &error))?;
        match upgrade {
            Some(upgrade) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Ok(join(response, upgrade, shutdown))
            }
            _ => Ok(pass(response)),
        }
    }

    async fn connect(&self, location: &Location) -> Result<SendRequest<RequestBody>, Error> {
        let address = location.address();
        let connecting = TcpStream::connect(location.dialled());
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(source)) => return Err(Error::Connect { address, source }),
            Err(_) => return Err(Error::Timeout(address)),
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set_nodelay");
        }
        let tls = match location.scheme {
            Scheme::Http => return Ok(handshake(stream).await?),
            Scheme::Https => &*PODS,
            Scheme::Kubelet => self.tls.as_ref().ok_or(Error::NotConfigured)?,
        };
        let name = ServerName::try_from(location.host.clone()).map_err(|_| Error::Connect {
            address: address.clone(),
            source: std::io::ErrorKind::InvalidInput.into(),
        })?;
        match tokio::time::timeout(CONNECT_TIMEOUT, tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(handshake(stream).await?),
            Ok(Err(source)) => Err(Error::Connect { address, source }),
            Err(_) => Err(Error::Timeout(address)),
        }
    }
}

pub(crate) async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<SendRequest<RequestBody>, hyper::Error> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    component::spawn("apiserver backend connection", async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "backend connection ended");
        }
    });
    Ok(sender)
}

fn unreachable(location: &Location, error: &Error) -> Status {
    let address = location.address();
    tracing::info!(%error, %address, "a backend could not be asked");
    match error {
        Error::Redirect => Status::failure(502, api::status::Reason::Unknown, error.to_string()),
        _ => Status::generic(500, "", &Default::default(), "", &format!("error dialing backend: {error}")),
    }
}

/// An answer that is no upgrade: status, headers and body as they come.
pub(crate) fn pass(response: Response<Incoming>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let chunks = BodyStream::new(body).filter_map(|frame| async move {
        match frame {
            Ok(frame) => frame.into_data().ok().map(Ok),
            Err(error) => Some(Err(BoxError::from(error))),
        }
    });
    let mut passed = Response::new(Body::stream(chunks));
    *passed.status_mut() = parts.status;
    for (name, value) in &parts.headers {
        if !HOP_HEADERS.contains(name) {
            passed.headers_mut().append(name.clone(), value.clone());
        }
    }
    passed
}

/// Answers the client's upgrade with the backend's, and copies both ways until one side ends.
pub(crate) fn join(mut response: Response<Incoming>, upgrade: Upgrade, shutdown: &CancellationToken) -> Response<Body> {
    let backend = hyper::upgrade::on(&mut response);
    let shutdown = shutdown.clone();
    component::spawn("apiserver stream", async move {
        let Upgrade { client, ongoing: _ongoing } = upgrade;
        let (client, backend) = match futures::future::try_join(client, backend).await {
            Ok(joined) => joined,
            Err(error) => {
                tracing::debug!(%error, "an upgrade did not come about");
                return;
            }
        };
        let (mut client, mut backend) = (TokioIo::new(client), TokioIo::new(backend));
        tokio::select! {
            result = copy_bidirectional(&mut client, &mut backend) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a stream ended");
                }
            }
            () = shutdown.cancelled() => {}
        }
    });
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = response.headers().clone();
    answer
}

/// An empty request body.
pub fn no_body() -> RequestBody {
    http_body_util::Empty::new().map_err(|never| match never {}).boxed()
}

impl std::fmt::Debug for Kubelets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kubelets(configured: {})", self.tls.is_some())
    }
}
