//! The TLS listener: accepts, limits, serves HTTP/1.1 and HTTP/2, drains.
//!
//! Everything here happens before anybody is authenticated, so everything has a bound: handshake time, header time and size,
//! streams and resets per connection. After shutdown no connection is accepted, open ones finish the requests they have
//! (long-running ones are ended by the same token) and are closed when the grace is over.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ApiServer;
use super::body::{BoxError, RequestBody};
use super::first_turn::{self, FirstTurn};
use super::gathering::{Answer, gathering};
use super::service::Caller;
use super::settings::DEFAULT_STREAMS;
use super::tls::Tls;
use crate::authentication::PeerCertificates;
use crate::filters::last_request;

/// A handshake slower than this is dropped.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Request headers slower than this end the connection (HTTP/1).
const HEADER_TIMEOUT: Duration = Duration::from_secs(32);
/// Resets a peer may have pending before the connection is ended (CVE-2023-39325, CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 50;
const MAX_HEADER_LIST_SIZE: u32 = 1 << 20;
/// Receive windows as upstream's: enough for one body of the largest size without a stall.
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 25 << 20;
/// How much of one stream's answer waits in memory for a slow reader.
const MAX_SEND_BUFFER: usize = 256 << 10;
/// Dead peers are found by a ping.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Open requests get this long to finish after shutdown.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `shutdown`, then drains.
pub(super) async fn serve(server: &ApiServer, listener: TcpListener, tls: Arc<Tls>, shutdown: CancellationToken) {
    let builder = Arc::new(http_builder(server.state.settings.http2_max_streams.unwrap_or(DEFAULT_STREAMS)));
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors or a peer that left already: the listener itself is fine.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        let address = stream.local_addr().ok().map(|own| own.ip());
        let acceptor = TlsAcceptor::from(tls.of(address));
        let task = connection(server.clone(), stream, acceptor, Arc::clone(&builder), shutdown.clone());
        component::spawn("apiserver connection", connections.track_future(task));
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::info!(open = connections.len(), "closing connections still open after the drain");
    }
}

fn http_builder(streams: u32) -> auto::Builder<FirstTurn> {
    let mut builder = auto::Builder::new(FirstTurn);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(streams)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_PENDING_RESETS)
        .max_header_list_size(MAX_HEADER_LIST_SIZE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(MAX_SEND_BUFFER)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(Duration::from_secs(15));
    builder
}

async fn connection(
    server: ApiServer,
    stream: TcpStream,
    acceptor: TlsAcceptor,
    builder: Arc<auto::Builder<FirstTurn>>,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "set_nodelay");
    }
    let peer = stream.peer_addr().ok();
    let stream = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            server.state.metrics.handshake_failed();
            tracing::debug!(?peer, %error, "TLS handshake");
            return;
        }
        Err(_) => {
            server.state.metrics.handshake_failed();
            tracing::debug!(?peer, "TLS handshake timed out");
            return;
        }
    };
    let certificates: PeerCertificates = stream
        .get_ref()
        .1
        .peer_certificates()
        .map_or_else(|| Arc::from([]), |chain| chain.iter().map(|der| der.clone().into_owned()).collect());
    let caller = Caller::Remote { certificates, address: peer };
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let (stream, mut gatherer) = gathering(stream, http2);
    let open = gatherer.open();
    // No further request is taken on this connection.
    let ending = CancellationToken::new();
    let last = http2.then(|| last_request::Connection(ending.clone()));
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (server, caller, open, last) = (server.clone(), caller.clone(), open.clone(), last.clone());
        async move {
            if request.method() != http::Method::GET {
                first_turn::give_up().await;
            }
            let mut request = request.map(|body| -> RequestBody { body.map_err(BoxError::from).boxed() });
            if let Some(last) = last {
                request.extensions_mut().insert(last);
            }
            let response = server.handle(request, caller).await;
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer::new(body, open)))
        }
    });
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let mut ended = false;
    let result = loop {
        tokio::select! {
            result = poll_fn(|cx| gatherer.poll(serving.as_mut(), cx)) => break result,
            () = ending.cancelled(), if !ended => {
                ended = true;
                serving.as_mut().graceful_shutdown();
            }
            () = shutdown.cancelled() => {
                serving.as_mut().graceful_shutdown();
                let drained = poll_fn(|cx| gatherer.poll(serving.as_mut(), cx));
                break tokio::time::timeout(DRAIN, drained).await.unwrap_or(Ok(()));
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(?peer, %error, "connection ended");
    }
}
