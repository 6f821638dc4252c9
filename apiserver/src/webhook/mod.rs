//! The HTTP client, over TLS but where a kubeconfig file says otherwise, towards webhooks: of admission ([`crate::admission`]), of custom resources ([`conversion`]) and those that
//! files name; and towards documents that somebody publishes ([`fetch`]).
//!
//! A [`Webhook`] is made once of a stored `clientConfig` and holds its connections; whoever compiled the configuration keeps
//! it and drops it with the configuration. A call takes no longer than it is given, reads no more than [`MAX_ANSWER`], follows
//! no redirect and is repeated only when the webhook says when. What it says when it fails are upstream's words, which clients and tests look for.
//! Upstream: k8s.io/apiserver/pkg/util/webhook, client-go/rest.Request.

mod backoff;
mod certificate;
pub mod conversion;
mod failure;
pub(crate) mod fetch;
pub(crate) mod http;
pub(crate) mod kubeconfig;
pub(crate) mod memory;
pub(crate) mod review;
pub(crate) mod service;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use backoff::Backoff;
pub use certificate::Identity;
pub(crate) use certificate::{Trust, client_config};
pub(crate) use failure::Cause;
pub use failure::{BadBundle, Error};

use std::time::Duration;

use ::http::response::Parts;
use ::http::uri::Scheme;
use ::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use component::duration::GoDuration;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use json::Value;
use rustls_pki_types::ServerName;
use tokio::time::Instant;

use self::kubeconfig::Users;
use crate::context::Objects;

/// An answer with more bytes than this is refused: a patch of the largest object there may be, in base64, fits three times.
pub const MAX_ANSWER: usize = 12 << 20;
/// What those call themselves who do not say who they are: whom kubeconfig files name is told no more.
const NOBODY: &str = "Go-http-client/1.1";
/// How often a webhook that says when to come again is asked again. Upstream: client-go/rest.Request.maxRetries.
const RETRIES: usize = 10;

/// Is a `caBundle` fit to tell whom to trust? One that is not there trusts the system's authorities.
/// Upstream: apiserver/pkg/util/webhook.ValidateCABundle.
///
/// # Errors
/// What upstream says of it.
pub(crate) fn check_bundle(bundle: &Value) -> Result<(), Error> {
    let bundle = STANDARD.decode(bundle.as_str().unwrap_or_default()).map_err(|_| BadBundle::NotPem)?;
    if !bundle.is_empty() {
        certificate::authorities(&bundle)?;
    }
    Ok(())
}

/// Where a webhook is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    /// A Service, looked up anew for each call.
    Service { namespace: String, name: String, port: u16 },
    /// A host of a URL.
    Host { host: String, port: u16 },
}

/// Where a webhook is, and what it is called.
#[derive(Debug)]
struct Place {
    scheme: Scheme,
    address: Address,
    /// The URL it is known by, without query: what errors show.
    url: String,
    path: String,
}

/// A webhook that can be called.
#[derive(Debug)]
pub struct Webhook {
    place: Place,
    host_header: HeaderValue,
    agent: &'static str,
    authorization: Option<HeaderValue>,
    client: http::Client,
}

/// Whom a webhook is believed to be, and what we show it.
pub(crate) struct Access<'a> {
    trust: Trust<'a>,
    identity: Option<&'a Identity>,
    authorization: Option<HeaderValue>,
}

/// Who calls; webhooks see it as the user agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// Admission.
    Admission,
    /// Conversion of custom resources.
    Conversion,
}

impl Webhook {
    /// Of a `clientConfig`, which has either `service` or `url`.
    ///
    /// # Errors
    /// Those of a configuration that cannot be used; they are to be told with each request the webhook is for.
    pub fn new(client_config: &Value, caller: Caller) -> Result<Webhook, Error> {
        Webhook::shown(client_config, caller, &Users::default())
    }

    /// As [`Webhook::new`], and shown what these users say.
    pub(crate) fn shown(client_config: &Value, caller: Caller, users: &Users) -> Result<Webhook, Error> {
        let bundle = client_config.get("caBundle").and_then(Value::as_str).unwrap_or_default();
        let bundle = STANDARD.decode(bundle).map_err(|_| BadBundle::NotPem)?;
        // A conversion webhook's bundle of nothing but white space is none.
        let blank = caller == Caller::Conversion && bundle.trim_ascii().is_empty();
        let trust = if bundle.is_empty() || blank { Trust::System } else { Trust::Bundle(&bundle) };
        let place = if let Some(service) = client_config.get("service").filter(|own| own.is_object()) {
            of_service(service)
        } else {
            of_url(client_config.get("url").and_then(Value::as_str).unwrap_or_default())?
        };
        let agent = match caller {
            Caller::Admission => "kube-apiserver-admission",
            Caller::Conversion => "kube-apiserver",
        };
        let access = match users.of(authority_of(&place.url)) {
            Some(user) => user.access(trust),
            None => Access { trust, identity: None, authorization: None },
        };
        Webhook::reached(place, access, agent)
    }

    /// Of a URL, as somebody. Over plain HTTP nobody is shown who that is. Upstream: clientcmd's ClientConfig.
    fn of_server(url: &str, access: Access<'_>) -> Result<Webhook, Error> {
        let place = of_url(url)?;
        let access = match place.scheme == Scheme::HTTP {
            true => Access { identity: None, authorization: None, ..access },
            false => access,
        };
        Webhook::reached(place, access, NOBODY)
    }

    fn reached(place: Place, access: Access<'_>, agent: &'static str) -> Result<Webhook, Error> {
        let server = match &place.address {
            Address::Service { namespace, name, .. } => format!("{name}.{namespace}.svc"),
            Address::Host { host, .. } => host.clone(),
        };
        let invalid = || Error::Url(format!("invalid host {server:?}"));
        let host_header = HeaderValue::from_str(authority_of(&place.url)).map_err(|_| invalid())?;
        let client = if place.scheme == Scheme::HTTP {
            http::Client::in_the_clear()
        } else {
            let name = ServerName::try_from(server.clone()).map_err(|_| invalid())?;
            http::Client::new(certificate::client_config(access.trust, access.identity)?, name)
        };
        Ok(Webhook { place, host_header, agent, authorization: access.authorization, client })
    }

    /// Posts a review and gives the answer's bytes. `objects` knows the services.
    ///
    /// # Errors
    /// Whatever came between, in upstream's words.
    pub async fn post(&self, objects: &dyn Objects, body: Bytes, limit: Duration) -> Result<Bytes, Error> {
        let deadline = Instant::now() + limit;
        let query = format!("timeout={}", GoDuration(limit));
        let mut attempt = 0;
        loop {
            let (head, bytes) = self.post_once(objects, body.clone(), &query, deadline).await?;
            let Some(pause) = retry_after(&head).filter(|_| attempt < RETRIES) else {
                return failure::of_answer(&head, &bytes).map(|()| bytes);
            };
            attempt += 1;
            let pause = tokio::time::sleep(pause);
            tokio::time::timeout_at(deadline, pause).await.map_err(|_| Error::Waiting(Cause::Deadline))?;
        }
    }

    async fn post_once(
        &self,
        objects: &dyn Objects,
        body: Bytes,
        query: &str,
        deadline: Instant,
    ) -> Result<(Parts, Bytes), Error> {
        let failed = |cause| Error::Post { url: format!("{}?{query}", self.place.url), cause };
        let asking = self.ask(objects, body, query);
        let response = match tokio::time::timeout_at(deadline, asking).await {
            Ok(answer) => answer.map_err(failed)?,
            Err(_) => return Err(failed(Cause::Deadline)),
        };
        let (head, body) = response.into_parts();
        Ok((head, collected(body, deadline).await?))
    }

    async fn ask(&self, objects: &dyn Objects, body: Bytes, query: &str) -> Result<::http::Response<Incoming>, Cause> {
        let Place { scheme, address, path, .. } = &self.place;
        let authority = match address {
            Address::Service { namespace, name, port } => {
                service::resolve(objects, namespace, name, *port).map_err(Cause::Service)?
            }
            Address::Host { host, port } => service::authority(host, *port),
        };
        let uri = format!("{scheme}://{authority}{path}?{query}");
        let uri: Uri = uri.parse().map_err(|_| Cause::Other(format!("invalid URL {uri:?}")))?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::HOST, &self.host_header)
            .header(header::USER_AGENT, self.agent)
            .header(header::ACCEPT, "application/json, */*")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, body.len())
            .body(Full::new(body).map_err(|never| match never {}).boxed())
            .map_err(|error| Cause::Other(error.to_string()))?;
        if let Some(own) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, own.clone());
        }
        self.client.request(request).await
    }
}

/// All of an answer's body.
async fn collected(body: Incoming, deadline: Instant) -> Result<Bytes, Error> {
    match tokio::time::timeout_at(deadline, Limited::new(body, MAX_ANSWER).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
        Ok(Err(_)) => Err(Error::Body(Cause::UnexpectedEof)),
        Err(_) => Err(Error::Body(Cause::Deadline)),
    }
}

/// How long somebody who is too busy wants to be left alone. Upstream: client-go/rest.withRetry.IsNextRetry.
fn retry_after(head: &Parts) -> Option<Duration> {
    let is_busy = head.status == StatusCode::TOO_MANY_REQUESTS || head.status.is_server_error();
    let seconds = head.headers.get(header::RETRY_AFTER).filter(|_| is_busy)?.to_str().ok()?;
    seconds.parse().ok().map(Duration::from_secs)
}

/// Of a `service`.
fn of_service(service: &Value) -> Place {
    let text = |key: &str| service.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (namespace, name) = (text("namespace"), text("name"));
    let port = service.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok()).unwrap_or(443);
    let path = rooted(&text("path"));
    let url = format!("https://{name}.{namespace}.svc:{port}{path}");
    Place { scheme: Scheme::HTTPS, address: Address::Service { namespace, name, port }, url, path }
}

/// Of a URL: one of a `clientConfig` was found to be `https`.
fn of_url(url: &str) -> Result<Place, Error> {
    if url.is_empty() {
        return Err(Error::Nowhere);
    }
    let unparsable = || Error::Url(format!("parse {url:?}: invalid URI for request"));
    let parsed: Uri = url.parse().map_err(|_| unparsable())?;
    let host = parsed.host().ok_or_else(unparsable)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let path = rooted(parsed.path());
    let authority = parsed.authority().map(ToString::to_string).unwrap_or_default();
    let scheme = parsed.scheme().filter(|scheme| **scheme == Scheme::HTTP).cloned().unwrap_or(Scheme::HTTPS);
    let usual = if scheme == Scheme::HTTP { 80 } else { 443 };
    let port = parsed.port_u16().unwrap_or(usual);
    Ok(Place { address: Address::Host { host, port }, url: format!("{scheme}://{authority}{path}"), path, scheme })
}

fn authority_of(url: &str) -> &str {
    url.split_once("://").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default()
}

fn rooted(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}
