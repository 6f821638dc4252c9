//! Paths to handlers. Paths and parameters are upstream's.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::auth::User;
use super::streaming::{self, Kind};
use super::{Host, Refusal, Request, Response, Server, full, json, logs, text};

/// Answers one request. `peer` is the user of the client certificate.
pub(super) async fn answer<H: Host>(server: Arc<Server<H>>, peer: Option<User>, request: Request) -> Response {
    match route(&server, peer, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into(),
    }
}

async fn route<H: Host>(server: &Server<H>, peer: Option<User>, request: Request) -> Result<Response, Refusal> {
    let path = request.uri().path().to_owned();
    server.gate.admit(peer, request.method(), &path, request.headers()).await?;
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["healthz"]) => Ok(text(StatusCode::OK, "ok")),
        (&Method::GET, ["metrics"]) => Ok(text(StatusCode::OK, server.host.metrics()?)),
        (&Method::GET, ["metrics", "resource" | "cadvisor"]) => {
            Ok(text(StatusCode::OK, server.host.resource_metrics().await?))
        }
        (&Method::GET, ["stats", "summary"]) => Ok(json(&server.host.stats().await?)),
        (&Method::GET, ["pods"]) => pods(&server.host),
        (&Method::GET, ["runningpods"]) => Ok(json(&server.host.running_pods().await?)),
        (&Method::GET, ["configz"]) => Ok(json(&serde_json::json!({"kubeletconfig": server.host.config()}))),
        (&Method::GET, ["containerLogs", namespace, name, container]) => {
            let pod = find(&server.host, namespace, name, None)?;
            logs::serve(&server.host, pod, container, request.uri().query().unwrap_or_default()).await
        }
        (&Method::GET | &Method::POST, ["exec", rest @ ..]) => stream(server, Kind::Exec, rest, request).await,
        (&Method::GET | &Method::POST, ["attach", rest @ ..]) => stream(server, Kind::Attach, rest, request).await,
        (&Method::GET | &Method::POST, ["portForward", rest @ ..]) => {
            stream(server, Kind::PortForward, rest, request).await
        }
        _ => Err(Refusal::new(StatusCode::NOT_FOUND, "404 page not found")),
    }
}

async fn stream<H: Host>(server: &Server<H>, kind: Kind, rest: &[&str], request: Request) -> Result<Response, Refusal> {
    let (namespace, name, uid, container) = match (kind, rest) {
        (Kind::PortForward, [namespace, name]) => (namespace, name, None, ""),
        (Kind::PortForward, [namespace, name, uid]) => (namespace, name, Some(*uid), ""),
        (Kind::Exec | Kind::Attach, [namespace, name, container]) => (namespace, name, None, *container),
        (Kind::Exec | Kind::Attach, [namespace, name, uid, container]) => (namespace, name, Some(*uid), *container),
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "404 page not found")),
    };
    let pod = find(&server.host, namespace, name, uid)?;
    streaming::serve(&server.runtime, kind, &pod, container, request).await
}

fn find(host: &impl Host, namespace: &str, name: &str, uid: Option<&str>) -> Result<Arc<Pod>, Refusal> {
    let same = |pod: &Arc<Pod>| {
        pod.namespace().as_deref() == Some(namespace)
            && pod.name_any() == name
            && uid.is_none_or(|uid| uid.is_empty() || pod.uid().as_deref() == Some(uid))
    };
    let found = host.pods().into_iter().find(same);
    found.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "pod does not exist"))
}

fn pods(host: &impl Host) -> Result<Response, Refusal> {
    let items: Vec<Arc<Pod>> = host.pods();
    let list = serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items});
    let bytes = serde_json::to_vec(&list)
        .map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let mut response = http::Response::new(full(Bytes::from(bytes)));
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    Ok(response)
}

/// The values of a query parameter, decoded.
pub(super) fn parameters<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> String {
    percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
