//! Exec, attach and port-forward: the runtime is asked for a URL, and the client is joined to it.
//!
//! | client speaks | joined by |
//! |---|---|
//! | SPDY/3.1 | bytes both ways, untouched |
//! | WebSocket `SPDY/3.1+portforward.k8s.io` | [`websocket::tunnel`]: the same bytes, unwrapped from messages |
//! | WebSocket `v5`, `v4`, `channel.k8s.io`, with or without base64 | [`websocket::join`]: messages to SPDY streams and back |
//! | the same of a port-forward, `v4` only | [`websocket::forward`]: two channels a port |
//!
//! The runtime always speaks SPDY: it is what containerd and CRI-O have in common, and it can close stdin alone.
//! Upstream counterpart: `pkg/kubelet/server` (exec, attach, portforward) and `k8s.io/streaming`.

use cri::api::{AttachRequest, ExecRequest};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use spdy::websocket::{self, Protocol, Wanted};
use tokio::net::TcpStream;

use super::routes::parameters;
use super::{Refusal, Request, Response, full};
use crate::kuberuntime::labels;

const SPDY: &str = "SPDY/3.1";
const STREAM_PROTOCOL: &str = "x-stream-protocol-version";
const PORT_FORWARD_PROTOCOL: &str = "portforward.k8s.io";
const CHUNK: usize = 32 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Exec,
    Attach,
    PortForward,
}

/// Which streams the client of an exec or attach asks for.
fn wanted(query: &str) -> Result<Wanted, Refusal> {
    let flag = |name| parameters(query, name).any(|value| value == "1" || value == "true");
    let tty = flag("tty");
    // With a terminal there is one output.
    let wanted = Wanted { stdin: flag("input"), stdout: flag("output"), stderr: flag("error") && !tty, tty };
    if wanted.stdin || wanted.stdout || wanted.stderr {
        return Ok(wanted);
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, "you must specify at least 1 of stdin, stdout, stderr"))
}

/// The ports of a port-forward in channels, which have no other way to name them. Upstream: portforward.NewV4Options.
fn ports(query: &str) -> Result<Vec<u16>, Refusal> {
    let refused = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let mut ports = Vec::new();
    for text in parameters(query, "port") {
        for port in text.split(',') {
            let parsed = port.parse::<u16>().ok().filter(|port| *port > 0);
            ports.push(parsed.ok_or_else(|| refused(format!("unable to parse {port:?} as a port")))?);
        }
    }
    if ports.is_empty() {
        return Err(refused("query parameter \"port\" is required".to_owned()));
    }
    Ok(ports)
}

/// What a client that is refused a WebSocket is told.
fn refused(refused: websocket::Refused) -> Refusal {
    Refusal::new(refused.status, refused.message)
}

/// Joins the client of `request` to a container or to the ports of a pod.
pub(super) async fn serve(
    runtime: &cri::Client,
    kind: Kind,
    pod: &Pod,
    container: &str,
    mut request: Request,
) -> Result<Response, Refusal> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let upgrade = token(request.headers(), header::UPGRADE).to_ascii_lowercase();
    let client = match upgrade.as_str() {
        "spdy/3.1" => None,
        "websocket" if kind == Kind::PortForward => Some(Protocol::of_ports(request.headers()).map_err(refused)?),
        "websocket" => Some(Protocol::of_command(request.headers()).map_err(refused)?),
        _ => {
            let message = "unable to upgrade: missing upgrade headers in request: ".to_owned() + &upgrade;
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
    };
    let ports = match client {
        Some(protocol) if kind == Kind::PortForward && !protocol.is_tunnel() => Some(ports(&query)?),
        _ => None,
    };
    let wanted = if kind == Kind::PortForward { None } else { Some(wanted(&query)?) };
    let url = url(runtime, kind, pod, container, &query, wanted).await?;
    // The runtime first: a client that is refused learns it as an HTTP answer.
    let protocols = match client {
        None => request.headers().get_all(STREAM_PROTOCOL).iter().cloned().collect(),
        Some(_) if kind == Kind::PortForward => vec![HeaderValue::from_static(PORT_FORWARD_PROTOCOL)],
        Some(_) => vec![HeaderValue::from_static("v4.channel.k8s.io")],
    };
    let (runtime_side, chosen) = connect(&url, protocols).await?;
    let client_side = hyper::upgrade::on(&mut request);
    let response = match client {
        None => switching(SPDY, chosen.into_iter().map(|protocol| (STREAM_PROTOCOL, protocol))),
        Some(protocol) => switching("websocket", protocol.answer(request.headers()).map_err(refused)?),
    };
    component::spawn("kubelet stream", async move {
        let client_side = async { Ok::<_, websocket::Error>(TokioIo::new(client_side.await?)) };
        let runtime_side = TokioIo::new(runtime_side);
        let outcome = match (client, wanted) {
            (None, _) => copy(client_side, runtime_side).await,
            (Some(protocol), None) if let Some(ports) = ports => {
                websocket::forward(protocol, &ports, client_side, runtime_side).await
            }
            (Some(_), None) => websocket::tunnel(client_side, runtime_side).await,
            (Some(protocol), Some(wanted)) => websocket::join(protocol, wanted, client_side, runtime_side).await,
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "stream ended");
        }
    });
    Ok(response)
}

/// Copies both ways until both have ended.
async fn copy(
    client: impl Future<Output = Result<TokioIo<Upgraded>, websocket::Error>>,
    mut runtime: TokioIo<Upgraded>,
) -> Result<(), websocket::Error> {
    let mut client = client.await?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut runtime, CHUNK, CHUNK).await?;
    Ok(())
}

fn switching<N>(to: &'static str, headers: impl IntoIterator<Item = (N, HeaderValue)>) -> Response
where
    N: header::IntoHeaderName,
{
    let mut response = http::Response::new(full(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(to));
    for (name, value) in headers {
        response.headers_mut().append(name, value);
    }
    response
}

async fn url(
    runtime: &cri::Client,
    kind: Kind,
    pod: &Pod,
    container: &str,
    query: &str,
    wanted: Option<Wanted>,
) -> Result<String, Refusal> {
    let failed = |error: cri::Error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let uid = pod.uid().unwrap_or_default();
    let Some(wanted) = wanted else {
        let sandbox = running_sandbox(runtime, &uid).await.map_err(failed)?;
        let missing =
            || Refusal::new(StatusCode::NOT_FOUND, format!("pod {:?} has no running sandbox", pod.name_any()));
        return runtime.port_forward(&sandbox.ok_or_else(missing)?, Vec::new()).await.map_err(failed);
    };
    let id = running_container(runtime, &uid, container).await.map_err(failed)?;
    let missing = || Refusal::new(StatusCode::NOT_FOUND, format!("container not found ({container:?})"));
    let id = id.ok_or_else(missing)?;
    let Wanted { stdin, stdout, stderr, tty } = wanted;
    match kind {
        Kind::Attach => runtime.attach(AttachRequest { container_id: id, stdin, tty, stdout, stderr }).await,
        _ => {
            let cmd: Vec<String> = parameters(query, "command").collect();
            if cmd.is_empty() {
                return Err(Refusal::new(StatusCode::BAD_REQUEST, "you must specify a command"));
            }
            runtime.exec(ExecRequest { container_id: id, cmd, tty, stdin, stdout, stderr }).await
        }
    }
    .map_err(failed)
}

async fn running_container(runtime: &cri::Client, uid: &str, name: &str) -> Result<Option<String>, cri::Error> {
    let filter = cri::api::ContainerFilter {
        label_selector: [(labels::POD_UID, uid), (labels::CONTAINER_NAME, name)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        state: Some(cri::api::ContainerStateValue { state: cri::api::ContainerState::ContainerRunning.into() }),
        ..cri::api::ContainerFilter::default()
    };
    Ok(runtime.list_containers(Some(filter)).await?.into_iter().next().map(|container| container.id))
}

async fn running_sandbox(runtime: &cri::Client, uid: &str) -> Result<Option<String>, cri::Error> {
    let filter = cri::api::PodSandboxFilter {
        label_selector: [(labels::POD_UID.to_owned(), uid.to_owned())].into(),
        state: Some(cri::api::PodSandboxStateValue { state: cri::api::PodSandboxState::SandboxReady.into() }),
        ..cri::api::PodSandboxFilter::default()
    };
    Ok(runtime.list_pod_sandbox(Some(filter)).await?.into_iter().next().map(|sandbox| sandbox.id))
}

/// Upgrades a connection to the runtime's streaming server. It is always on this machine: other hosts and redirects are
/// refused, so that a runtime's answer cannot lead elsewhere.
async fn connect(url: &str, protocols: Vec<HeaderValue>) -> Result<(Upgraded, Vec<HeaderValue>), Refusal> {
    let failed = |reason: String| {
        Refusal::new(StatusCode::BAD_GATEWAY, format!("the container runtime's streaming server failed: {reason}"))
    };
    let uri: http::Uri = url.parse().map_err(|error: http::uri::InvalidUri| failed(error.to_string()))?;
    let authority = uri.authority().ok_or_else(|| failed("no address".to_owned()))?;
    let host = authority.host().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if uri.scheme_str() != Some("http") || !loopback {
        return Err(failed(format!("{url} is not on this machine's loopback")));
    }
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80)))
        .await
        .map_err(|error| failed(error.to_string()))?;
    // Keystrokes are small and must not wait for each other.
    stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    component::spawn("runtime stream", async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "runtime stream ended");
        }
    });
    let mut request = http::Request::post(uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
        .header(header::HOST, authority.as_str())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, SPDY)
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    for protocol in protocols {
        request.headers_mut().append(STREAM_PROTOCOL, protocol);
    }
    let mut answer = sender.send_request(request).await.map_err(|error| failed(error.to_string()))?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(failed(format!("it answered {}", answer.status())));
    }
    let chosen = answer.headers().get_all(STREAM_PROTOCOL).iter().cloned().collect();
    let upgraded = hyper::upgrade::on(&mut answer).await.map_err(|error| failed(error.to_string()))?;
    Ok((upgraded, chosen))
}

fn token(headers: &HeaderMap, name: header::HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests;
