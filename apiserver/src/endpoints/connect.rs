//! Subresources that are streams: log, exec, attach, portforward, proxy.
//! Upstream: pod/rest, node/rest, service proxy, handlers.ConnectResource.

use std::sync::Arc;

use api::field::{self, ErrorList, Path};
use api::meta;
use api::status::Status;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use json::{Value, json};

use super::query::Query;
use super::{Call, Request};
use crate::admission::{self, Operation};
use crate::authorization::{Attributes, Reasons};
use crate::server::body::Body;
use crate::streaming::links::{self, Origin};
use crate::streaming::location::{self, Location, Scheme, split_name};
use crate::streaming::socket::Handshake;
use crate::streaming::{Upgrade, no_body, translation};

/// Tells a backend how the client named it.
const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");
/// A page with more than this is not held in memory to rewrite its links.
const MAX_PAGE: usize = 16 << 20;

/// Is this subresource a stream?
pub(super) fn is_stream(subresource: &str) -> bool {
    matches!(subresource, "log" | "exec" | "attach" | "portforward" | "proxy")
}

/// Serves it.
pub(super) async fn serve(call: &mut Call<'_>, mut request: Request) -> Result<Response<Body>, Status> {
    let subresource = request.info.subresource.clone();
    if subresource == "proxy" {
        return proxy(call, request).await;
    }
    if subresource != "log" {
        admit(call, &request).await?;
        may_create(call, &request).await?;
    }
    let target = &call.ctx.target;
    let entry = call.engine().get(call.resource, &target.namespace, &target.name).await?;
    let pod = crate::registry::store::decode(&entry)?;
    let upgrade = Upgrade::take(&mut request.parts.extensions);
    if subresource == "log" {
        log_options(&request.query, &target.name)?;
    }
    let path = location::stream_path(&pod, &subresource, &request.query)?;
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    if node.is_empty() {
        // A log of what runs nowhere yet is empty.
        return if subresource == "log" {
            let mut empty = Response::new(Body::empty());
            *empty.status_mut() = StatusCode::NO_CONTENT;
            Ok(empty)
        } else {
            let name = meta::name(&pod);
            Err(Status::bad_request(format!("pod {name} does not have a host assigned")))
        };
    }
    let node = self::node(call, node)?;
    let location = location::kubelet(&node, path)?;
    if subresource != "log" && !request.parts.headers.contains_key(header::UPGRADE) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    if subresource == "log" {
        return log(call, request, &location, meta::name(&pod), upgrade).await;
    }
    let translated = translation::needed(&subresource, &request.parts.headers, &request.query, &node);
    let Request { parts, body, .. } = request;
    let (kubelets, shutdown) = (&call.state.kubelets, &call.state.shutdown);
    match (translated, upgrade) {
        (Some(translated), Some(upgrade)) => {
            kubelets.translate(&location, translated, &parts.headers, upgrade, shutdown).await
        }
        (_, upgrade) => kubelets.forward(&location, parts.method, parts.headers, body, upgrade, shutdown).await,
    }
}

/// A WebSocket is opened by GET: reading must not be enough to run commands. Upstream: ensureAuthorizedForVerb.
async fn may_create(call: &Call<'_>, request: &Request) -> Result<(), Status> {
    if request.parts.method != Method::GET {
        return Ok(());
    }
    let create = Attributes { verb: "create".to_owned(), ..request.info.attributes(&request.user) };
    let decision = call.state.authorizer.authorize(&create, Reasons::OfRefusals).decided().await;
    match decision.is_allowed() {
        true => Ok(()),
        false => Err(Status::forbidden(&call.resource.group_resource(), &call.ctx.target.name, &decision.reason)),
    }
}

/// The log itself, in frames for who asked for a WebSocket.
async fn log(
    call: &Call<'_>,
    request: Request,
    location: &Location,
    pod: &str,
    upgrade: Option<Upgrade>,
) -> Result<Response<Body>, Status> {
    let headers = request.parts.headers;
    let handshake = Handshake::for_log(&headers);
    let shutdown = &call.state.shutdown;
    let answer = call.state.kubelets.forward(location, Method::GET, headers, no_body(), None, shutdown).await?;
    let answer = log_answer(answer, pod).await?;
    Ok(match (handshake, upgrade) {
        (Some((handshake, framing)), Some(upgrade)) => {
            handshake.answer(upgrade, framing.messages(answer.into_body()), shutdown)
        }
        _ => answer,
    })
}

/// What the parameters of a log may be. Upstream: validation.ValidatePodLogOptions.
fn log_options(query: &Query, pod: &str) -> Result<(), Status> {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<i64>().ok());
    let mut errors = ErrorList::new();
    for (key, least) in [("tailLines", 0), ("limitBytes", 1)] {
        if let Some(given) = number(key).filter(|given| *given < least) {
            let why = if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
            errors.push(field::Error::invalid(&Path::new(key), given, why));
        }
    }
    match (number("sinceSeconds"), query.has("sinceTime")) {
        (Some(_), true) => {
            let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
            errors.push(field::Error::forbidden(&Path::new(""), why));
        }
        (Some(given), false) if given < 1 => {
            errors.push(field::Error::invalid(&Path::new("sinceSeconds"), given, "must be greater than 0"));
        }
        _ => {}
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&meta::GroupKind::new("", "PodLogOptions"), pod, &errors))
}

fn node(call: &Call<'_>, name: &str) -> Result<Arc<Value>, Status> {
    let nodes = meta::GroupResource::new("", "nodes");
    call.ctx.objects.get("", "nodes", "", name).ok_or_else(|| Status::not_found(&nodes, name))
}

/// What a kubelet says about a log it has not is the API's error.
async fn log_answer(mut response: Response<Body>, pod: &str) -> Result<Response<Body>, Status> {
    let status = response.status();
    if status == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return Ok(response);
    }
    let limited = Limited::new(response.into_body(), 8 << 10);
    let text = limited.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text).trim().to_string();
    match status {
        StatusCode::BAD_REQUEST => Err(Status::bad_request(text)),
        StatusCode::NOT_FOUND => {
            Err(Status::generic(404, "get", &meta::GroupResource::new("", "pods/log"), pod, &text))
        }
        _ => Err(Status::generic(500, "", &Default::default(), "", &text)),
    }
}

/// Admission of a connect: the object is the options, made of the query.
async fn admit(call: &Call<'_>, request: &Request) -> Result<(), Status> {
    let Some(own) = call.resource.subresource(&call.ctx.target.subresource) else { return Ok(()) };
    let mut options = json!({"kind": own.kind.as_ref(), "apiVersion": "v1"});
    for (key, value) in request.query.pairs() {
        match key {
            "command" => match options["command"].as_array_mut() {
                Some(parts) => parts.push(value.into()),
                None => options["command"] = json!([value]),
            },
            "stdin" | "stdout" | "stderr" | "tty" => options[key] = (!matches!(value, "false" | "0")).into(),
            _ => options[key] = value.into(),
        }
    }
    let attributes = admission::Attributes {
        ctx: &call.ctx,
        operation: Operation::Connect,
        kind: &own.kind,
        options: &Value::Null,
        old: None,
    };
    let admission = &call.engine().admission;
    admission.admit(attributes, &mut options).await?;
    admission.validate(attributes, &options).await
}

/// nodes/N/proxy, pods/P/proxy, services/S/proxy.
async fn proxy(call: &mut Call<'_>, mut request: Request) -> Result<Response<Body>, Status> {
    let rest = request.info.parts.get(3..).unwrap_or_default().join("/");
    let mut path = format!("/{rest}");
    if request.info.path.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    let prefix = request.info.path.strip_suffix(&path).unwrap_or(&request.info.path).to_owned();
    if let Ok(forwarded) = HeaderValue::from_str(&format!("{prefix}{path}")) {
        request.parts.headers.insert(FORWARDED_URI, forwarded);
    }
    let asked =
        request.parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let path = location::with_query(&path, request.query.pairs());
    let location = match call.resource.info.plural.as_ref() {
        "nodes" => node_location(call, &request.info.name, path).await?,
        "pods" => pod_location(call, &request.info.name, path)?,
        _ => service_location(call, &request.info.name, path)?,
    };
    admit(call, &request).await?;
    let upgrade = Upgrade::take(&mut request.parts.extensions);
    let looks = matches!(request.parts.method, Method::GET | Method::HEAD);
    if rest.is_empty()
        && looks
        && !request.info.path.ends_with('/')
        && !request.parts.headers.contains_key(header::UPGRADE)
    {
        return Ok(to_root(&request));
    }
    let shutdown = call.state.shutdown.clone();
    let answer = call
        .state
        .kubelets
        .forward(&location, request.parts.method, request.parts.headers, request.body, upgrade, &shutdown)
        .await?;
    led_back(answer, &Origin { prefix: &prefix, hosts: [&location.address(), &asked] }).await
}

/// A browser needs the slash at the end, or relative links would lead past the proxy. Upstream: proxyRedirectsforRootPath.
fn to_root(request: &Request) -> Response<Body> {
    let query = request.parts.uri.query().map_or(String::new(), |query| format!("?{query}"));
    let mut moved = Response::new(Body::empty());
    *moved.status_mut() = StatusCode::MOVED_PERMANENTLY;
    if let Ok(location) = HeaderValue::from_str(&format!("{}/{query}", request.info.path)) {
        moved.headers_mut().insert(header::LOCATION, location);
    }
    moved
}

/// A page's links are led back through the proxy; everything else is passed as it comes.
async fn led_back(answer: Response<Body>, origin: &Origin<'_>) -> Result<Response<Body>, Status> {
    let headers = answer.headers();
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_page = kind.split(';').next().is_some_and(|kind| kind.trim() == "text/html");
    if !is_page || headers.contains_key(header::CONTENT_ENCODING) {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    let page = Limited::new(body, MAX_PAGE).collect().await.map_err(|error| Status::internal_error(&error))?.to_bytes();
    let Ok(text) = std::str::from_utf8(&page) else { return Ok(Response::from_parts(parts, Body::from(page))) };
    let rewritten = links::rewrite(text, origin);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(rewritten.into_bytes())))
}

fn split<'a>(id: &'a str, kind: &str) -> Result<(&'a str, &'a str, &'a str), Status> {
    split_name(id).ok_or_else(|| Status::bad_request(format!("invalid {kind} request {}", api::go_text::quote(id))))
}

fn scheme(text: &str) -> Scheme {
    if text == "https" { Scheme::Https } else { Scheme::Http }
}

/// The kubelet of a node, or another port of it. Every address its name has must be one that may be proxied to, and the first is
/// where the request goes. Upstream: node.ResourceLocation.
async fn node_location(call: &Call<'_>, id: &str, path: String) -> Result<Location, Status> {
    let (wanted, name, port) = split(id, "node")?;
    let mut location = location::kubelet(&*node(call, name)?, path)?;
    let found = tokio::net::lookup_host((location.host.as_str(), location.port)).await;
    let found: Vec<_> = found.map_err(|error| Status::bad_request(error.to_string()))?.collect();
    if !found.iter().all(|address| location::is_proxyable(address.ip())) {
        return Err(Status::bad_request("address not allowed"));
    }
    location.checked = found.first().map(std::net::SocketAddr::ip);
    if !port.is_empty() && port != location.port.to_string() {
        location.scheme = scheme(wanted);
        location.port = port.parse().map_err(|_| Status::bad_request(format!("invalid port {port}")))?;
    }
    Ok(location)
}

fn pod_location(call: &Call<'_>, id: &str, path: String) -> Result<Location, Status> {
    let (wanted, name, port) = split(id, "pod")?;
    let namespace = &call.ctx.target.namespace;
    let pod = call.ctx.objects.get("", "pods", namespace, name);
    let pod = pod.ok_or_else(|| Status::not_found(&call.resource.group_resource(), name))?;
    let first = || {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers
            .flat_map(|container| container["ports"].as_array().into_iter().flatten())
            .find_map(|port| port["containerPort"].as_u64())
    };
    let port = if port.is_empty() { first() } else { port.parse().ok() };
    let port = port.and_then(|port| u16::try_from(port).ok()).unwrap_or(80);
    let address = pod["status"]["podIP"].as_str().filter(|address| usable(address));
    let host = address.ok_or_else(|| Status::bad_request("address not allowed"))?.to_string();
    Ok(Location { scheme: scheme(wanted), host, port, path, checked: None })
}

fn service_location(call: &Call<'_>, id: &str, path: String) -> Result<Location, Status> {
    let (wanted, name, port) = split(id, "service")?;
    let namespace = &call.ctx.target.namespace;
    let service = call.ctx.objects.get("", "services", namespace, name);
    let unavailable =
        |why: &str| Status::service_unavailable(format!("{why} for service {}", api::go_text::quote(name)));
    let service = service.ok_or_else(|| unavailable("no endpoints available"))?;
    let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let own = ports.iter().find(|own| {
        (port.is_empty() && ports.len() == 1)
            || own["name"] == port
            || port.parse().is_ok_and(|port: u64| own["port"] == port)
    });
    let port_name = own
        .map(|own| own["name"].as_str().unwrap_or_default().to_string())
        .ok_or_else(|| unavailable("no such port"))?;
    let slices = call.ctx.objects.list("discovery.k8s.io", "endpointslices", namespace);
    let of_service = slices.iter().filter(|slice| meta::label(slice, "kubernetes.io/service-name") == Some(name));
    let mut candidates = Vec::new();
    for slice in of_service {
        let port = slice["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|port| port["name"].as_str().unwrap_or_default() == port_name);
        let Some(port) = port.and_then(|port| port["port"].as_u64()).and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        let ready = slice["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|endpoint| endpoint["conditions"]["ready"] != false);
        for address in ready.filter_map(|endpoint| endpoint["addresses"][0].as_str()) {
            candidates.push((address.to_string(), port));
        }
    }
    use rand::seq::IndexedRandom;
    let chosen = candidates.choose(&mut rand::rng()).filter(|(host, _)| usable(host));
    let (host, port) = chosen.cloned().ok_or_else(|| unavailable("no endpoints available"))?;
    Ok(Location { scheme: scheme(wanted), host, port, path, checked: None })
}

fn usable(address: &str) -> bool {
    address.parse().is_ok_and(location::is_proxyable)
}
