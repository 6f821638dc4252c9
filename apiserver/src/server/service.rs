//! The walk of one request through the filters to its endpoint, and of its answer back.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use api::status::Status;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, header};
use json::json;

use super::body::{Body, RequestBody};
use super::metrics::Counted;
use super::state::State;
use super::version;
use super::{debug, first_turn};
use crate::audit::Record;
use crate::authentication::{ANONYMOUS, PeerCertificates, UserInfo};
use crate::authorization::{Answer, Attributes, Decision, Reasons, Verdict};
use crate::endpoints::negotiation::{self, Output, Route};
use crate::endpoints::query::Query;
use crate::endpoints::{self, respond};
use crate::filters::priority_and_fairness::stock;
use crate::filters::request_info::RequestInfo;
use crate::filters::{audit_id, authorization, cors, deadline, impersonation, last_request};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// A connection.
    Remote {
        /// What it showed in the handshake.
        certificates: PeerCertificates,
        /// Where it comes from.
        address: Option<SocketAddr>,
    },
    /// A part of this process, trusted to be this user.
    InProcess(Arc<UserInfo>),
}

impl Caller {
    /// Where a connection comes from.
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Caller::Remote { address, .. } => *address,
            Caller::InProcess(_) => None,
        }
    }

    /// Compression costs more than it saves where no wire is.
    fn may_gzip(&self) -> bool {
        match self {
            Caller::Remote { address, .. } => address.is_none_or(|address| !address.ip().is_loopback()),
            Caller::InProcess(_) => false,
        }
    }
}

/// Serves one request. Never fails, never panics: a panic below becomes a 500.
pub(crate) async fn handle(state: Arc<State>, request: Request<RequestBody>, caller: Caller) -> Response<Body> {
    if !is_readable(request.uri().path()) {
        return unreadable();
    }
    let audit = audit_id::of(request.headers());
    let origin = state.settings.cors.allowed(request.headers());
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let of_error = Output::of_error(request.headers(), &query, state.formats);
    let head = request.method() == Method::HEAD;
    let record = OnceLock::new();
    let walking = async {
        if origin.is_some() && cors::is_preflight(&request) {
            return Ok(cors::preflight());
        }
        walk(&state, request, query, caller, Audited { id: &audit, record: &record }).await
    };
    let guarded = AssertUnwindSafe(walking).catch_unwind();
    let mut response = match guarded.await {
        Ok(Ok(response)) => response,
        Ok(Err(status)) => respond::status(&status, &of_error),
        Err(_) => {
            tracing::error!(audit_id = ?audit, "a request panicked");
            if let Some(record) = record.get() {
                record.panicked();
            }
            let why = "This request caused apiserver to panic. Look in the logs for details.";
            respond::status(&Status::generic(500, "", &Default::default(), "", why), &of_error)
        }
    };
    if head {
        // HTTP/2 does not drop it for us.
        let body = std::mem::replace(response.body_mut(), Body::empty());
        if let Some(bytes) = body.as_bytes() {
            response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
        }
    }
    let headers = response.headers_mut();
    headers.insert(audit_id::HEADER, audit);
    if let Some(origin) = origin {
        cors::mark(headers, origin);
    }
    if let Some(directives) = &state.settings.strict_transport_security {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, directives.clone());
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    response
}

/// Does each `%` of the path stand for an octet? Go's server reads no request otherwise.
fn is_readable(path: &str) -> bool {
    let mut rest = path.as_bytes();
    while let Some(at) = rest.iter().position(|octet| *octet == b'%') {
        match rest[at..] {
            [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => rest = &rest[at + 3..],
            _ => return false,
        }
    }
    true
}

/// What Go's server says of a request it cannot read, on HTTP/1.1; on HTTP/2 it ends the stream without a word.
fn unreadable() -> Response<Body> {
    let mut response = respond::plain(400, "400 Bad Request");
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// How a request is known in the audit log, and its record there once it has one.
#[derive(Clone, Copy)]
struct Audited<'a> {
    id: &'a HeaderValue,
    record: &'a OnceLock<Arc<Record>>,
}

async fn walk(
    state: &Arc<State>,
    request: Request<RequestBody>,
    query: Query,
    caller: Caller,
    audited: Audited<'_>,
) -> Result<Response<Body>, Status> {
    let (mut parts, body) = request.into_parts();
    let info = match RequestInfo::parse(&parts.method, &parts.uri, &query) {
        Ok(info) => info,
        Err(error) => return Ok(respond::text(500, format!("{error}\n"))),
    };
    let started = Instant::now();
    let mut counted = Counted::of(&info, &query);
    let known =
        !info.is_resource_request
            || state.engine.resources.get(&info.api_group, &info.api_version, &info.resource).is_some_and(|resource| {
                info.subresource.is_empty() || resource.subresource(&info.subresource).is_some()
            });
    if !known {
        counted.unknown();
    }
    let ongoing = Arc::new(state.metrics.serving(&counted));
    parts.extensions.insert(Arc::clone(&ongoing));
    let long_running = info.is_long_running();
    let arrived = Arrived { info, query, parts, body, caller };
    let mut result = admitted(state, arrived, audited).await;
    if let Some(record) = audited.record.get() {
        result = result.map(|response| Arc::clone(record).answered(response, long_running));
        // It was decided already: what becomes of this event changes nothing for the request.
        record.settled().await;
    }
    let (code, size) = match &result {
        Ok(response) => (response.status().as_u16(), response.body().as_bytes().map(|bytes| bytes.len() as u64)),
        Err(status) => (status.code, None),
    };
    state.metrics.record(&counted, code, started.elapsed(), size);
    if result.as_ref().is_ok_and(|response| response.extensions().get::<Terminated>().is_some()) {
        state.metrics.terminated(&counted, code);
    }
    result.map(|response| response.map(|body| body.holding(ongoing)))
}

/// A request that is understood as far as its first line.
struct Arrived {
    info: RequestInfo,
    query: Query,
    parts: Parts,
    body: RequestBody,
    caller: Caller,
}

/// What comes after the request is known: who asks, may they, the endpoint.
async fn admitted(state: &Arc<State>, arrived: Arrived, audited: Audited<'_>) -> Result<Response<Body>, Status> {
    let Arrived { info, query, mut parts, body, caller } = arrived;
    let limit = deadline::of(&info, &query, state.settings.request_timeout)?;
    last_request::end_by_chance(&parts.extensions, state.settings.goaway_chance);
    let user = match &caller {
        Caller::InProcess(user) => UserInfo::clone(user),
        Caller::Remote { certificates, .. } => {
            let began = Instant::now();
            let found = state.authenticator.authenticate(&parts, certificates).await;
            let name = found.as_ref().map(|user| user.as_ref().map(|user| user.name.as_str()));
            state.metrics.authenticated(name, began.elapsed());
            if !matches!(&found, Ok(Some(user)) if user.name != ANONYMOUS) {
                last_request::end(&parts.extensions);
            }
            found?.ok_or_else(|| Status::unauthorized("Unauthorized"))?
        }
    };
    parts.headers.remove(header::AUTHORIZATION);
    if let Caller::Remote { address: Some(address), .. } = &caller {
        parts.extensions.insert(*address);
    }
    let of_error = Output::of_error(&parts.headers, &query, state.formats);
    let attributes = info.attributes(&user);
    let record = state.audit.as_ref().and_then(|audit| audit.begin(audited.id, &attributes, &parts, caller.address()));
    if let Some(record) = &record {
        parts.extensions.insert(Arc::clone(record));
        if !record.settled().await {
            record.rejected();
            let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
            return Ok(respond::internal_error(uri, "failed to store audit event"));
        }
        // Nobody else sets it.
        let _ = audited.record.set(Arc::clone(record));
    }
    let checks =
        impersonation::Checks { authorizer: state.authorizer.as_ref(), metrics: state.metrics.impersonation() };
    let impersonating = impersonation::apply(&mut parts.headers, &attributes, checks);
    let (user, attributes) = match impersonating.await {
        Ok(Some(other)) => {
            if let Some(record) = &record {
                record.impersonated(&other);
            }
            (other.clone(), Attributes { user: other, ..attributes })
        }
        Ok(None) => (user, attributes),
        Err(status) => return Ok(respond::refusal(&status, &of_error)),
    };
    let in_store = || stock(&state.engine, &info);
    let admitting = state.limiter.admit(&user, &info, &query, in_store, state.metrics.flow());
    let admitted = match admitting.await {
        Ok(admitted) => admitted,
        Err(refusal) => return Ok(terminated(refusal)),
    };
    let decision = authorize(state, &attributes, record.as_deref(), limit).await;
    let mut response = match decision {
        Decision { verdict: Verdict::Allow, .. } => {
            let (formats, may_gzip) = (state.formats, caller.may_gzip());
            let request = endpoints::Request { info, query, user, parts, body, formats, may_gzip };
            match served(state, request, limit).await {
                Some(answer) => answer.unwrap_or_else(|status| respond::status(&status, &of_error)),
                None => {
                    let why = "request did not complete within the allotted timeout";
                    terminated(respond::status(&Status::timeout(why, 0), &of_error))
                }
            }
        }
        Decision { error: Some(error), .. } => {
            let uri = parts.uri.path_and_query().map_or("", |uri| uri.as_str());
            respond::internal_error(uri, &error)
        }
        Decision { reason, .. } => respond::refusal(&authorization::forbidden(&attributes, &reason), &of_error),
    };
    admitted.mark(&mut response);
    Ok(response)
}

/// Of a response: the server gave the request up to protect itself.
#[derive(Clone, Copy, Debug)]
struct Terminated;

fn terminated(mut response: Response<Body>) -> Response<Body> {
    response.extensions_mut().insert(Terminated);
    response
}

/// The endpoint's answer; None when there was no time left for it.
async fn served(
    state: &Arc<State>,
    request: endpoints::Request,
    limit: Option<Duration>,
) -> Option<Result<Response<Body>, Status>> {
    let answer: BoxFuture<'static, _> = Box::pin(route(Arc::clone(state), request));
    match limit {
        Some(limit) => tokio::time::timeout(limit, answer).await.ok(),
        None => Some(answer.await),
    }
}

/// Asks the authorizer; waiting for somebody else takes no longer than the request may.
async fn authorize(
    state: &State,
    attributes: &Attributes,
    record: Option<&Record>,
    limit: Option<Duration>,
) -> Decision {
    let began = Instant::now();
    let reasons = if record.is_some() { Reasons::OfAll } else { Reasons::OfRefusals };
    let decision = match (state.authorizer.authorize(attributes, reasons), limit) {
        (Answer::Now(decision), _) => decision,
        (Answer::Later(deciding), None) => deciding.await,
        (Answer::Later(deciding), Some(limit)) => tokio::time::timeout(limit, deciding).await.unwrap_or_else(|_| {
            Decision { error: Some("context deadline exceeded".to_owned()), ..Decision::default() }
        }),
    };
    state.metrics.authorized(&decision, began.elapsed());
    if let Some(record) = record {
        let (verdict, reason) = match (decision.verdict, &decision.error) {
            (Verdict::Allow, _) => (Some("allow"), decision.reason.as_str()),
            (_, Some(_)) => (None, "internal error"),
            (_, None) => (Some("forbid"), decision.reason.as_str()),
        };
        if let Some(verdict) = verdict {
            record.annotate("authorization.k8s.io/decision", verdict);
        }
        record.annotate("authorization.k8s.io/reason", reason);
    }
    decision
}

async fn route(state: Arc<State>, request: endpoints::Request) -> Result<Response<Body>, Status> {
    // It is authorized as what stands behind the slashes, and is nothing: Go's router cleans no paths here.
    if request.info.path.starts_with("//") {
        return Ok(respond::page_not_found());
    }
    if let Some(service) = state.aggregator.owner_of(&request.info.path) {
        return Ok(state.aggregator.forward(&service, request, &state.shutdown).await);
    }
    if request.info.is_resource_request {
        return endpoints::serve(&state, request).await;
    }
    let path = request.info.path.as_str();
    if let Some(response) = state.health.serve(path, &request.query, state.metrics.health()) {
        return Ok(response);
    }
    if let Some(answer) = state.pages.serve(path, &request.parts.headers) {
        return answer;
    }
    // A document may have to be made first.
    first_turn::give_up().await;
    let output = Output { gzip: request.gzip(), ..Output::json(&request.parts.headers, &request.query) };
    if let Some(answer) = state.discovery.serve(&request, &state.engine.resources, &state.aggregator) {
        return answer;
    }
    if path.starts_with("/debug/") {
        let endpoints::Request { info, query, parts, body, .. } = request;
        let (profiling, flow) = (state.settings.profiling, state.limiter.flow_control());
        let answer = debug::serve(&info.path, &parts.method, &query, body, profiling, flow).await;
        return Ok(answer.unwrap_or_else(respond::page_not_found));
    }
    let reading = matches!(request.parts.method, Method::GET | Method::HEAD);
    match path {
        "/version" | "/version/" => {
            if request.parts.method != Method::GET {
                return Err(respond::method_not_allowed());
            }
            Route::Json.accepts(&request.parts.headers, request.formats)?;
            Ok(respond::value(200, &version::info(), &Output { pretty: true, ..output }))
        }
        "/" | "/index.html" => {
            let mut paths = state.discovery.paths(&state.engine.resources);
            paths.extend(state.health.paths());
            paths.extend(
                [
                    "/flagz",
                    "/metrics",
                    "/metrics/slis",
                    "/openapi/v2",
                    "/openapi/v3",
                    "/openapi/v3/",
                    "/statusz",
                    "/version",
                ]
                .map(str::to_string),
            );
            let documents = ["/.well-known/openid-configuration", "/openid/v1/jwks"];
            let served = documents.iter().filter(|path| (state.documents)(path).is_some());
            paths.extend(served.map(|path| (*path).to_owned()));
            paths.sort();
            Ok(respond::value(200, &json!({"paths": paths}), &Output { pretty: true, ..output }))
        }
        "/metrics" if request.parts.method == Method::DELETE => {
            state.metrics.reset();
            Ok(respond::plain(200, "metrics reset\n"))
        }
        "/metrics" => {
            state.metrics.storage().measure(&state.engine).await;
            let counting = Arc::clone(&state);
            let counted = tokio::task::spawn_blocking(move || {
                counting.metrics.storage().show(&counting.engine);
                counting.aggregator.show_availability();
                if let Some(control) = counting.limiter.flow_control() {
                    counting.metrics.flow().show(control);
                }
                counting.registries.text()
            });
            let mut response = metrics_text(counted.await.map_err(|error| Status::internal_error(&error))?, &output)?;
            response.headers_mut().insert(PROCESS_STARTED, state.pages.started().as_second().into());
            Ok(response)
        }
        // These two come from a router of resources, which says so of methods it has not.
        _ if request.parts.method != Method::GET && (state.documents)(path).is_some() => {
            Err(respond::method_not_allowed())
        }
        _ if !reading => Ok(respond::page_not_found()),
        "/metrics/slis" => metrics_text(state.metrics.health().text(), &output),
        _ => {
            let (headers, query) = (&request.parts.headers, &request.query);
            let others = &state.aggregator;
            if let Some(response) = state.openapi.serve(path, headers, query, &output, &state.engine.resources, others)
            {
                return Ok(response);
            }
            if let Some((bytes, media_type)) = (state.documents)(path) {
                negotiation::accepts_one_of(&request.parts.headers, &[media_type])?;
                let mut response = respond::bytes_with_type(200, bytes, media_type, false);
                let hour = HeaderValue::from_static("public, max-age=3600");
                response.headers_mut().insert(header::CACHE_CONTROL, hour);
                return Ok(response);
            }
            Ok(respond::page_not_found())
        }
    }
}

/// Lets who compares counters see that they began anew.
const PROCESS_STARTED: HeaderName = HeaderName::from_static("process-start-time-unix");

fn metrics_text(text: Result<String, component::metrics::Error>, output: &Output) -> Result<Response<Body>, Status> {
    let text = text.map_err(|error| Status::internal_error(&error))?;
    Ok(respond::bytes_with_type(200, text.into(), component::metrics::CONTENT_TYPE, output.gzip))
}
