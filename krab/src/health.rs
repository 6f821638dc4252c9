//! A plain HTTP port that answers a few fixed paths: `/healthz` and `/metrics` of components whose upstream has such a port.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use component::Shutdown;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at once; probes and one scraper need few.
const CONNECTIONS: usize = 64;
/// How long a client may take to send its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// A path and what it answers.
pub(crate) struct Route {
    path: &'static str,
    answer: Box<dyn Fn() -> (StatusCode, String) + Send + Sync>,
}

impl Route {
    pub(crate) fn new(path: &'static str, answer: impl Fn() -> (StatusCode, String) + Send + Sync + 'static) -> Self {
        Self { path, answer: Box::new(answer) }
    }

    /// `ok` for as long as the process answers at all.
    pub(crate) fn healthy(path: &'static str) -> Self {
        Self::new(path, || (StatusCode::OK, "ok".to_owned()))
    }
}

/// Opens the port and answers until `shutdown`.
pub(crate) async fn serve(
    name: &'static str,
    address: SocketAddr,
    routes: Vec<Route>,
    shutdown: &Shutdown,
) -> Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("{name}: cannot listen on {address}"))?;
    component::spawn_until(name, shutdown, accept(name, listener, Arc::new(routes)));
    Ok(())
}

async fn accept(name: &'static str, listener: TcpListener, routes: Arc<Vec<Route>>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let routes = routes.clone();
        component::spawn(name, async move {
            connection(stream, routes).await;
            drop(slot);
        });
    }
}

async fn connection(stream: TcpStream, routes: Arc<Vec<Route>>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(&routes, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(response) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn answer(routes: &[Route], method: &Method, path: &str) -> Response<Full<Bytes>> {
    let route = routes.iter().find(|route| route.path == path);
    let (status, text) = match route {
        Some(_) if !matches!(*method, Method::GET | Method::HEAD) => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        Some(route) => (route.answer)(),
        None => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, plain);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_paths_given_are_answered() {
        let routes = [Route::healthy("/healthz")];
        let status = |method: Method, path: &str| answer(&routes, &method, path).status();
        assert_eq!(status(Method::GET, "/healthz"), StatusCode::OK);
        assert_eq!(status(Method::POST, "/healthz"), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(status(Method::GET, "/"), StatusCode::NOT_FOUND);
    }
}
