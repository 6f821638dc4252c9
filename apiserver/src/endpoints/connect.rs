//! Subresources that are streams: log, exec, attach, portforward, proxy.
//! Upstream: pod/rest, node/rest, service proxy, handlers.ConnectResource.

use std::sync::Arc;

use api::field::{self, ErrorList, Path};
use api::meta;
use api::status::Status;
use http::{Method, Response, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};

use super::query::Query;
use super::{Call, Request};
use crate::admission::{Attributes, Operation};
use crate::filters::authorization;
use crate::server::body::Body;
use crate::streaming::location::{self, Location, Scheme, split_name};
use crate::streaming::no_body;

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
    let target = &call.ctx.target;
    let entry = call.engine().get(call.resource, &target.namespace, &target.name).await?;
    let pod = crate::registry::store::decode(&entry)?;
    let upgrade = request.parts.extensions.remove::<OnUpgrade>();
    if subresource != "log" {
        // A WebSocket is opened by GET: reading must not be enough to run commands.
        if request.parts.method == Method::GET {
            let mut create = request.info.attributes(&request.user);
            create.verb = "create".to_string();
            authorization::check(call.state.authorizer.as_ref(), &create)?;
        }
        admit(call, &request).await?;
    } else {
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
    let location = location::kubelet(&*self::node(call, node)?, path)?;
    if subresource != "log" && !request.parts.headers.contains_key(header::UPGRADE) {
        return Err(Status::bad_request("Upgrade request required"));
    }
    let (method, body) =
        if subresource == "log" { (Method::GET, no_body()) } else { (request.parts.method, request.body) };
    let shutdown = call.state.shutdown.clone();
    let mut response =
        call.state.kubelets.forward(&location, method, request.parts.headers, body, upgrade, &shutdown).await?;
    if subresource == "log" {
        response = log_answer(response, meta::name(&pod)).await?;
    }
    Ok(response)
}

/// What the parameters of a log may be. Upstream: validation.ValidatePodLogOptions.
fn log_options(query: &Query, pod: &str) -> Result<(), Status> {
    let number = |key: &str| query.get(key).and_then(|text| text.parse::<i64>().ok());
    let mut errors = ErrorList::new();
    for (key, least) in [("tailLines", 0), ("limitBytes", 1)] {
        if let Some(given) = number(key).filter(|given| *given < least) {
            let why =
                if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
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
    use http_body_util::BodyExt;
    let status = response.status();
    if status == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        return Ok(response);
    }
    let limited = http_body_util::Limited::new(response.into_body(), 8 << 10);
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
    let attributes =
        Attributes { ctx: &call.ctx, operation: Operation::Connect, kind: &own.kind, options: &Value::Null, old: None };
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
    let path = location::with_query(&path, request.query.pairs());
    let location = match call.resource.info.plural.as_ref() {
        "nodes" => {
            let (_, name, _) = split(&request.info.name, "node")?;
            location::kubelet(&*node(call, name)?, path)?
        }
        "pods" => pod_location(call, &request.info.name, path)?,
        _ => service_location(call, &request.info.name, path)?,
    };
    admit(call, &request).await?;
    let upgrade = request.parts.extensions.remove::<OnUpgrade>();
    let shutdown = call.state.shutdown.clone();
    call.state
        .kubelets
        .forward(&location, request.parts.method, request.parts.headers, request.body, upgrade, &shutdown)
        .await
}

fn split<'a>(id: &'a str, kind: &str) -> Result<(&'a str, &'a str, &'a str), Status> {
    split_name(id).ok_or_else(|| Status::bad_request(format!("invalid {kind} request {}", api::go_text::quote(id))))
}

fn scheme(text: &str) -> Scheme {
    if text == "https" { Scheme::Https } else { Scheme::Http }
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
    Ok(Location { scheme: scheme(wanted), host, port, path })
}

fn service_location(call: &Call<'_>, id: &str, path: String) -> Result<Location, Status> {
    let (wanted, name, port) = split(id, "service")?;
    let namespace = &call.ctx.target.namespace;
    let service = call.ctx.objects.get("", "services", namespace, name);
    let service = service.ok_or_else(|| Status::not_found(&call.resource.group_resource(), name))?;
    let ports = service["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let own = ports.iter().find(|own| {
        (port.is_empty() && ports.len() == 1)
            || own["name"] == port
            || port.parse().is_ok_and(|port: u64| own["port"] == port)
    });
    let unavailable =
        |why: &str| Status::service_unavailable(format!("{why} for service {}", api::go_text::quote(name)));
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
    Ok(Location { scheme: scheme(wanted), host, port, path })
}

/// Addresses of this host are nobody's pod. Upstream: proxyutil.IsProxyableIP.
fn usable(address: &str) -> bool {
    address.parse::<std::net::IpAddr>().is_ok_and(|address| {
        let link_local = match address {
            std::net::IpAddr::V4(v4) => v4.is_link_local(),
            std::net::IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0) == 0xfe80,
        };
        !address.is_loopback() && !address.is_unspecified() && !address.is_multicast() && !link_local
    })
}
