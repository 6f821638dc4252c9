//! Requests for a group-version of another server, carried there and back.
//!
//! The user's name goes in headers that count because of the certificate on the connection; headers of that kind a client sent are
//! dropped. Redirects are refused (CVE-2022-3172), a connection that was to become a stream never carries another request
//! (CVE-2018-1002105).
//! Upstream: kube-aggregator/pkg/apiserver/handler_proxy.go, client-go/transport.NewAuthProxyRoundTripper.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio_util::sync::CancellationToken;

use super::Aggregator;
use super::service::{ApiService, Remote};
use crate::authentication::UserInfo;
use crate::endpoints::{self, respond};
use crate::server::body::{Body, RequestBody};
use crate::streaming::{self, HOP_HEADERS, Upgrade};
use crate::webhook::{Cause, service};

const USER: HeaderName = HeaderName::from_static("x-remote-user");
const UID: HeaderName = HeaderName::from_static("x-remote-uid");
const GROUP: HeaderName = HeaderName::from_static("x-remote-group");
const EXTRA: &str = "x-remote-extra-";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Who asks what group-versions there are is not kept waiting for one server.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(5);
/// What a header's name may hold besides letters and digits. Upstream: transport.legalHeaderKeyBytes.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

impl Aggregator {
    /// Carries a request to the server of `service`. Failures are answered as upstream's proxy does, in plain text.
    pub(crate) async fn forward(
        &self,
        service: &ApiService,
        request: endpoints::Request,
        shutdown: &CancellationToken,
    ) -> Response<Body> {
        let Some(remote) = &service.remote else { return respond::page_not_found() };
        if !service.is_available {
            return unavailable();
        }
        let is_discovery = request.info.path.trim_matches('/').split('/').count() == 3;
        let carrying = self.carry(remote, request, shutdown);
        if !is_discovery {
            return carrying.await;
        }
        tokio::time::timeout(DISCOVERY_LIMIT, carrying)
            .await
            .unwrap_or_else(|_| respond::text(503, format!("{}\n", Cause::Deadline)))
    }

    async fn carry(
        &self,
        remote: &Remote,
        request: endpoints::Request,
        shutdown: &CancellationToken,
    ) -> Response<Body> {
        let endpoints::Request { user, parts, body, .. } = request;
        let mut parts = parts;
        let client = match &remote.client {
            Ok(client) => client,
            Err(error) => return respond::text(500, format!("{error}\n")),
        };
        let Ok(authority) = self.resolve(remote) else { return unavailable() };
        let upgrade = Upgrade::take(&mut parts.extensions).filter(|_| parts.headers.contains_key(header::UPGRADE));
        let from = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        speak_for(&mut parts.headers, &user, from);
        if upgrade.is_none() {
            for name in HOP_HEADERS {
                parts.headers.remove(name);
            }
        }
        parts.headers.remove(header::HOST);
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let Ok(uri) = format!("https://{authority}{path}").parse::<Uri>() else { return respond::page_not_found() };
        let mut forwarded = Request::new(body);
        *forwarded.method_mut() = parts.method;
        *forwarded.headers_mut() = parts.headers;
        let answer = match upgrade {
            Some(upgrade) => self.open_stream(remote, forwarded, uri, upgrade, shutdown).await,
            None => {
                *forwarded.uri_mut() = uri;
                client.request(forwarded).await.map(answered)
            }
        };
        answer.unwrap_or_else(|cause| respond::text(503, format!("{cause}\n")))
    }

    /// `HOST:PORT` of the server.
    pub(super) fn resolve(&self, remote: &Remote) -> Result<String, String> {
        service::resolve(self.objects.as_ref(), &remote.namespace, &remote.service, remote.port)
    }

    /// On a connection of its own.
    async fn open_stream(
        &self,
        remote: &Remote,
        mut request: Request<RequestBody>,
        uri: Uri,
        upgrade: Upgrade,
        shutdown: &CancellationToken,
    ) -> Result<Response<Body>, Cause> {
        let client = remote.client.as_ref().map_err(|error| Cause::Other(error.to_string()))?;
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = client.connect(host, uri.port_u16().unwrap_or(443)).await?;
        if let Some(host) = uri.authority().and_then(|own| HeaderValue::from_str(own.as_str()).ok()) {
            request.headers_mut().insert(header::HOST, host);
        }
        *request.uri_mut() = uri.path_and_query().and_then(|path| path.as_str().parse().ok()).unwrap_or_default();
        let mut sender = streaming::handshake(stream).await.map_err(|error| Cause::of(&error))?;
        let response = sender.send_request(request).await.map_err(|error| Cause::of(&error))?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(streaming::join(response, upgrade, shutdown));
        }
        Ok(answered(response))
    }
}

fn unavailable() -> Response<Body> {
    respond::text(503, "service unavailable\n")
}

/// Says in headers who asks.
pub(super) fn speak_for(headers: &mut HeaderMap, user: &UserInfo, from: Option<IpAddr>) {
    let claimed: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(EXTRA)).cloned().collect();
    for name in [USER, UID, GROUP].iter().chain(&claimed) {
        headers.remove(name);
    }
    let mut say = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.append(name, value);
        }
    };
    say(USER, &user.name);
    if !user.uid.is_empty() {
        say(UID, &user.uid);
    }
    user.groups.iter().for_each(|group| say(GROUP, group));
    for (key, values) in &user.extra {
        let key = utf8_percent_encode(key, KEY).to_string().to_ascii_lowercase();
        let Ok(name) = HeaderName::from_bytes(format!("{EXTRA}{key}").as_bytes()) else { continue };
        values.iter().for_each(|value| say(name.clone(), value));
    }
    if let Some(from) = from {
        let before = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok()).map(|value| format!("{value}, "));
        if let Ok(value) = HeaderValue::from_str(&format!("{}{from}", before.unwrap_or_default())) {
            headers.insert(FORWARDED_FOR, value);
        }
    }
}

/// The answer as it is, unless it leads elsewhere.
fn answered(response: Response<Incoming>) -> Response<Body> {
    if response.status().is_redirection() && response.headers().contains_key(header::LOCATION) {
        let refused = "the backend attempted to redirect this request, which is not permitted";
        let mut answer = Response::new(Body::from(refused.as_bytes().to_vec()));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        return answer;
    }
    streaming::pass(response)
}
