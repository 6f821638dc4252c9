//! A small HTTP client for probes and hooks: one GET, one connection, no certificate checked (the pod's is its own). Upstream: `probe/http`.

use std::io;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use component::tls::AnyCertificate;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// More of an answer is not read. Upstream: `maxRespBodyLength`.
const MAX_BODY: usize = 10 << 10;
/// Upstream: Go's default.
const MAX_REDIRECTS: usize = 10;

/// Why there was no answer. Texts as Go's, since they end up in events.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Get \"{url}\": dial tcp {address}: connect: {reason}")]
    Connect { url: String, address: String, reason: String },
    #[error("Get \"{url}\": {reason}")]
    Exchange { url: String, reason: String },
    #[error("Get \"{url}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)")]
    Timeout { url: String },
    #[error("Get \"{url}\": stopped after 10 redirects")]
    Redirects { url: String },
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    tls: bool,
    host: String,
    port: u16,
    path: String,
    headers: Vec<(String, String)>,
    user_agent: &'static str,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    location: Option<String>,
}

impl Target {
    /// The request a probe or hook describes.
    pub(crate) fn of(get: &HTTPGetAction, pod_ip: &str, port: u16, user_agent: &'static str) -> Self {
        let path = get.path.clone().unwrap_or_default();
        let path = if path.starts_with('/') { path } else { format!("/{path}") };
        Self {
            tls: get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
            host: get.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| pod_ip.to_owned()),
            port,
            path,
            headers: get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect(),
            user_agent,
        }
    }

    fn address(&self) -> String {
        host_port(&self.host, self.port)
    }

    fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.address(), self.path)
    }
}

/// `host:port`, with brackets where IPv6 needs them.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// An I/O error in the words the C library and Go have for it.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".into(),
        io::ErrorKind::HostUnreachable => "no route to host".into(),
        io::ErrorKind::NetworkUnreachable => "network is unreachable".into(),
        io::ErrorKind::ConnectionReset => "connection reset by peer".into(),
        _ => error.to_string(),
    }
}

/// One GET; redirects are an answer like any other.
pub(crate) async fn get(target: &Target, timeout: Duration) -> Result<Answer, Error> {
    match tokio::time::timeout(timeout, exchange(target)).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout { url: target.url() }),
    }
}

/// One GET, following redirects to the same host only: one that leads elsewhere is a success, with a warning upstream.
pub(crate) async fn get_following(target: &Target, timeout: Duration) -> Result<Answer, Error> {
    let url = target.url();
    let mut target = target.clone();
    let follow = async move {
        for _ in 0..=MAX_REDIRECTS {
            let answer = exchange(&target).await?;
            let next = answer.location.as_deref().filter(|_| (300..400).contains(&answer.status));
            match next.and_then(|location| redirected(&target, location)) {
                Some(next) => target = next,
                None => return Ok(answer),
            }
        }
        Err(Error::Redirects { url: target.url() })
    };
    match tokio::time::timeout(timeout, follow).await {
        Ok(result) => result,
        Err(_) => Err(Error::Timeout { url }),
    }
}

fn redirected(from: &Target, location: &str) -> Option<Target> {
    if location.starts_with('/') {
        return Some(Target { path: location.to_owned(), ..from.clone() });
    }
    let uri: http::Uri = location.parse().ok()?;
    let host = uri.host()?.trim_matches(['[', ']']);
    if host != from.host {
        return None;
    }
    let tls = uri.scheme_str() == Some("https");
    Some(Target {
        tls,
        port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
        path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        ..from.clone()
    })
}

async fn exchange(target: &Target) -> Result<Answer, Error> {
    let address = target.address();
    let url = target.url();
    let stream = TcpStream::connect(&address).await.map_err(|error| Error::Connect {
        url: url.clone(),
        address: address.clone(),
        reason: plain(&error),
    })?;
    if !target.tls {
        return talk(target, stream).await;
    }
    let failed = |reason: String| Error::Exchange { url: url.clone(), reason };
    let name = ServerName::try_from(target.host.clone()).map_err(|error| failed(error.to_string()))?;
    let stream = tokio_rustls::TlsConnector::from(TLS.clone())
        .connect(name, stream)
        .await
        .map_err(|error| failed(error.to_string()))?;
    talk(target, stream).await
}

async fn talk<S>(target: &Target, stream: S) -> Result<Answer, Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let url = target.url();
    let failed = |reason: String| Error::Exchange { url: url.clone(), reason };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    let mut request = http::Request::get(target.path.as_str());
    let has = |name: &str| target.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name));
    for (name, value) in &target.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    if !has("host") {
        request = request.header("Host", target.address());
    }
    if !has("user-agent") {
        request = request.header("User-Agent", target.user_agent);
    }
    if !has("accept") {
        request = request.header("Accept", "*/*");
    }
    let request =
        request.header("Connection", "close").body(Empty::<Bytes>::new()).map_err(|error| failed(error.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status().as_u16();
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        // Read, so that the server can finish writing; too long is good enough.
        let _ = Limited::new(answer.into_body(), MAX_BODY).collect().await;
        Ok::<_, hyper::Error>(Answer { status, location })
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        answer = &mut answer => answer.map_err(|error| failed(error.to_string())),
        ended = &mut connection => {
            // The connection may end as the last of the answer arrives.
            match (ended, tokio::time::timeout(Duration::from_millis(100), answer).await) {
                (_, Ok(Ok(answer))) => Ok(answer),
                (Err(error), _) => Err(failed(error.to_string())),
                (Ok(()), Ok(Err(error))) => Err(failed(error.to_string())),
                (Ok(()), Err(_)) => Err(failed("EOF".into())),
            }
        }
    }
}

/// Pods serve probes with whatever certificate they have; upstream does not check it either.
static TLS: LazyLock<Arc<rustls::ClientConfig>> = LazyLock::new(|| Arc::new(AnyCertificate::client_config()));
