//! HTTP/1.1 to one server, over TLS or, where somebody wants it so, in the clear, with connections kept for the next request.
//!
//! One protocol version on purpose, as upstream: with HTTP/2 all requests would go to the one backend behind a service's address
//! that the first connection led to. Who is at the other end is known by the name given here, whatever address was dialled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{self};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Cause;
use super::service::authority;
use crate::server::body::RequestBody;

/// How long a connection nobody uses is kept. Upstream: net/http.DefaultTransport.
const IDLE: Duration = Duration::from_secs(90);
/// How many of them. Upstream: client-go/transport.idleConnsPerHost.
const IDLE_CONNECTIONS: usize = 25;

/// A pool of connections to one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pool: legacy::Client<Connector, RequestBody>,
    connector: Connector,
}

impl Client {
    /// `server` is the name its certificate must have.
    pub(crate) fn new(tls: ClientConfig, server: ServerName<'static>) -> Client {
        Client::over(Connector(Some((TlsConnector::from(Arc::new(tls)), server))))
    }

    /// Without TLS: anybody may be at the other end, and listen.
    pub(crate) fn in_the_clear() -> Client {
        Client::over(Connector(None))
    }

    fn over(connector: Connector) -> Client {
        let pool = legacy::Client::builder(Supervised)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build(connector.clone());
        Client { pool, connector }
    }

    /// Sends a request to the address in its URI.
    pub(crate) async fn request(&self, request: Request<RequestBody>) -> Result<Response<Incoming>, Cause> {
        self.pool.request(request).await.map_err(|error| Cause::of(&error))
    }

    /// A connection of its own, for one request that may become a stream and never comes back to the pool.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, Cause> {
        self.connector.connect(host, port).await
    }
}

/// Runs what hyper does beside a request.
#[derive(Clone)]
struct Supervised;

impl<F> Executor<F> for Supervised
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        component::spawn("apiserver outgoing connection", future);
    }
}

/// A connection, encrypted or not.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// How TLS is spoken, and the name of who must answer; None for no TLS.
#[derive(Clone)]
struct Connector(Option<(TlsConnector, ServerName<'static>)>);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let server = self.0.as_ref().map(|(_, server)| server);
        f.debug_struct("Connector").field("server", &server).finish_non_exhaustive()
    }
}

impl Connector {
    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, Cause> {
        let stream = dial(host, port).await?;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "set_nodelay");
        }
        let Some((tls, server)) = &self.0 else { return Ok(Box::new(stream)) };
        let stream = tls.connect(server.clone(), stream).await.map_err(|error| Cause::handshake(&error))?;
        Ok(Box::new(stream))
    }
}

/// Tries a host's addresses, IPv4 first; the first failure is told.
async fn dial(host: &str, port: u16) -> Result<TcpStream, Cause> {
    let lookup = || Cause::Lookup { host: host.to_owned() };
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|_| lookup())?;
    let mut addresses: Vec<_> = addresses.collect();
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    let mut first_failure = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                let failure = || Cause::dial(&authority(&address.ip().to_string(), port), &error);
                first_failure.get_or_insert_with(failure);
            }
        }
    }
    Err(first_failure.unwrap_or_else(lookup))
}

impl tower_service::Service<Uri> for Connector {
    type Response = Pooled;
    type Error = Cause;
    type Future = BoxFuture<'static, Result<Pooled, Cause>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Cause>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let usual = if connector.0.is_some() { 443 } else { 80 };
            let stream = connector.connect(host, uri.port_u16().unwrap_or(usual)).await?;
            Ok(Pooled(TokioIo::new(stream)))
        })
    }
}

/// A connection as the pool holds it.
struct Pooled(TokioIo<Box<dyn Wire>>);

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for Pooled {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
