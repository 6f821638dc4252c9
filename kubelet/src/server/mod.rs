//! The kubelet's HTTPS API on port 10250: exec, attach, port-forward and logs for the API server, pods and health for
//! whoever looks.
//!
//! ```text
//! listener (TLS, who is it) -> auth (may they: SubjectAccessReview) -> routes -> streaming | logs | pods | health
//! ```
//! Streams are the runtime's own: the kubelet asks it for a URL over CRI and joins the client to it ([`streaming`]).
//! Never here: what pods should do. Upstream counterpart: `pkg/kubelet/server`.

mod auth;
mod listener;
mod logs;
mod routes;
mod streaming;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use component::Shutdown;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use k8s_openapi::api::core::v1::Pod;

pub use listener::Error as ServerError;
pub(crate) use listener::{Listener, Tls};
pub(crate) use logs::LogOptions;

/// What the server asks of the kubelet.
pub(crate) trait Host: Send + Sync + 'static {
    /// The pods of this node with their newest status.
    fn pods(&self) -> Vec<Arc<Pod>>;
    /// The logs of a container that runs or has run; `previous` asks for the one before.
    fn logs(
        &self,
        pod: Arc<Pod>,
        container: String,
        options: LogOptions,
    ) -> BoxFuture<'static, Result<BoxStream<'static, std::io::Result<Bytes>>, Refusal>>;
    /// Prometheus text of the kubelet's metrics.
    fn metrics(&self) -> Result<String, Refusal>;
    /// The settings in force, as a KubeletConfiguration.
    fn config(&self) -> serde_json::Value;
    /// What the runtime runs, as a PodList.
    fn running_pods(&self) -> BoxFuture<'static, Result<serde_json::Value, Refusal>>;
    /// CPU and memory of node, pods and containers, as `/stats/summary` gives them.
    fn stats(&self) -> BoxFuture<'static, Result<serde_json::Value, Refusal>>;
    /// The same in Prometheus' text, as `/metrics/resource` gives it.
    fn resource_metrics(&self) -> BoxFuture<'static, Result<String, Refusal>>;
}

/// A request that is answered with an error: the code, and the text as upstream's kubelet words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: StatusCode,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(code: StatusCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Every answer's body.
type Body = UnsyncBoxBody<Bytes, std::io::Error>;
type Response = http::Response<Body>;
type Request = http::Request<hyper::body::Incoming>;

fn text(code: StatusCode, text: impl Into<Bytes>) -> Response {
    let mut response = http::Response::new(full(text.into()));
    *response.status_mut() = code;
    let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    response
}

fn json(value: &serde_json::Value) -> Response {
    let mut response = text(StatusCode::OK, value.to_string());
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn full(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Self {
        text(refusal.code, refusal.message + "\n")
    }
}

/// Who the server is and whom it asks.
pub(crate) struct Server<H> {
    pub(crate) host: H,
    pub(crate) runtime: cri::Client,
    pub(crate) gate: auth::Gate,
}

/// What the server needs beside its host.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) node_name: String,
    pub(crate) tls: listener::Tls,
    pub(crate) token_review: bool,
}

/// Opens the port and serves until `shutdown`. Answers once the port is open.
pub(crate) async fn serve<H: Host>(
    settings: Settings,
    host: H,
    runtime: cri::Client,
    client: kube::Client,
    shutdown: &Shutdown,
) -> Result<SocketAddr, listener::Error> {
    let listener = Listener::bind(settings.listen, &settings.tls).await?;
    let address = listener.address();
    let gate = auth::Gate::new(client, settings.node_name, settings.token_review);
    let server = Arc::new(Server { host, runtime, gate });
    component::spawn_until("kubelet server", shutdown, listener.run(server));
    Ok(address)
}
