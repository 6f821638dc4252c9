//! The connection to a member: made when it is first needed, and again whenever it is lost.
//!
//! HTTP/2 passes on each request by itself. For commits that come together that would be a system call each here, and etcd would be
//! woken for each; so what is written is held until the connection has nothing more to say, and then goes out as one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use etcd_client::{Certificate, Identity, TlsOptions};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::{Channel, Endpoint, Error};
use tower::ServiceExt;

use super::Tls;

/// etcd refuses clients that ask more often than every five seconds.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The most that is held.
const HELD_MAX: usize = 64 << 10;

/// A connection to the member at a URL; nothing is sent yet.
pub(super) fn to(url: &str, tls: &Tls) -> Result<Channel, Error> {
    let named = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let mut endpoint = Endpoint::from_shared(named)?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    if url.starts_with("https://") {
        endpoint = endpoint.tls_config(options(tls))?;
    }
    let mut tcp = HttpConnector::new();
    // What is encrypted is so above it.
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    Ok(endpoint
        .connect_with_connector_lazy(tcp.map_response(|stream| TokioIo::new(Gathering::new(stream.into_inner())))))
}

fn options(tls: &Tls) -> TlsOptions {
    let mut options = TlsOptions::new();
    if let Some(ca) = &tls.ca {
        options = options.ca_certificate(Certificate::from_pem(ca));
    }
    if let Some((certificate, key)) = &tls.identity {
        options = options.identity(Identity::from_pem(certificate, key));
    }
    options
}

/// A stream that passes on what was written when a flush finds nothing new since the one before.
///
/// The first flush after a write lets the other tasks that are ready go first, and whoever wrote comes again: with more to write, or to
/// find that this was all. Nothing stays behind, as a flush is not done before everything is passed on.
#[derive(Debug)]
struct Gathering<S> {
    inner: S,
    held: Vec<u8>,
    /// How much of it the inner stream has taken.
    passed: usize,
    /// There was a write since the last flush.
    grown: bool,
}

impl<S> Gathering<S> {
    fn new(inner: S) -> Gathering<S> {
        Gathering { inner, held: Vec::new(), passed: 0, grown: false }
    }
}

impl<S: AsyncWrite + Unpin> Gathering<S> {
    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.passed < self.held.len() {
            match ready!(Pin::new(&mut self.inner).poll_write(cx, &self.held[self.passed..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                taken => self.passed += taken,
            }
        }
        self.held.clear();
        // What one large object needed is not kept.
        self.held.shrink_to(HELD_MAX);
        self.passed = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathering<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held.len() >= HELD_MAX {
            ready!(self.poll_pass_on(cx))?;
        }
        self.held.extend_from_slice(bytes);
        self.grown = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.grown) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        ready!(self.poll_pass_on(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathering<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

#[cfg(test)]
mod tests;
