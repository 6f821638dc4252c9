//! Who of the other servers can be asked: the condition Available of their APIServices, and what they say of themselves.
//!
//! [`from_objects`] decides on what is stored; a server that passes is then asked for its discovery document, five times at once, and
//! one answer is enough. A look is taken when the APIService, its Service or that Service's endpoints change, and every half a
//! minute, for a network may break without any object changing.
//! Upstream: kube-aggregator/pkg/controllers/status/remote, pkg/apiserver/handler_discovery.go.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::go_text::quote;
use api::meta;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Limited};
use json::{Value, json};

use super::service::{ApiService, Remote};
use super::{Aggregator, PREFIX, Told, discovery, openapi, proxy};
use crate::authentication::UserInfo;
use crate::streaming::no_body;

/// How often the network is tried. Upstream: the resync of its informer.
const RESYNC: Duration = Duration::from_secs(30);
/// The first wait after a failure; it doubles up to [`RESYNC`].
const FIRST_RETRY: Duration = Duration::from_millis(50);
/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// Questions at once.
const ATTEMPTS: usize = 5;
/// No document of a server is larger.
const MAX_DOCUMENT: usize = 32 << 20;

/// Reason and message of a condition that is not True.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unavailable {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// What stored objects say against a server.
pub(super) fn from_objects(remote: &Remote, service: Option<&Value>, slices: &[Arc<Value>]) -> Result<(), Unavailable> {
    let named = format!("service/{} in {}", remote.service, quote(&remote.namespace));
    let against = |reason, message| Err(Unavailable { reason, message });
    let Some(service) = service else { return against("ServiceNotFound", format!("{named} is not present")) };
    if service["spec"]["type"].as_str().unwrap_or("ClusterIP") != "ClusterIP" {
        return Ok(());
    }
    let mut ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let Some(port) = ports.find(|port| port["port"].as_u64() == Some(u64::from(remote.port))) else {
        return against("ServicePortError", format!("{named} is not listening on port {}", remote.port));
    };
    let port = port["name"].as_str().unwrap_or_default();
    if slices.is_empty() {
        return against("EndpointsNotFound", format!("cannot find endpointslices for {named}"));
    }
    let serves = |slice: &Arc<Value>| {
        let mut endpoints = slice["endpoints"].as_array().into_iter().flatten();
        let mut ports = slice["ports"].as_array().into_iter().flatten();
        endpoints.any(|own| own["conditions"]["ready"] != false)
            && ports.any(|own| own["name"].as_str().unwrap_or_default() == port && own["port"].is_u64())
    };
    if !slices.iter().any(serves) {
        let message = format!("endpointslices for {named} have no addresses with port name {}", quote(port));
        return against("MissingEndpoints", message);
    }
    Ok(())
}

/// Looks after all of them. Never ends.
pub(super) async fn run(aggregator: Aggregator, client: kube::Client) {
    let mut watched: HashMap<String, component::Shutdown> = HashMap::new();
    loop {
        let seen = aggregator.store.revision();
        let services = aggregator.services();
        let remote: Vec<_> = services.iter().filter(|service| service.remote.is_some()).collect();
        watched.retain(|name, ended| {
            let stays = remote.iter().any(|service| service.name == *name);
            if !stays {
                ended.cancel();
                aggregator.forget(name);
            }
            stays
        });
        for service in remote {
            watched.entry(service.name.clone()).or_insert_with(|| {
                let ended = component::Shutdown::new();
                let checking = check_always(aggregator.clone(), client.clone(), service.name.clone());
                component::spawn_until("available condition of an APIService", &ended, checking);
                ended
            });
        }
        let changed = match aggregator.store.watch(PREFIX, seen) {
            Ok(mut changes) => changes.next().await.is_ok(),
            Err(_) => false,
        };
        if !changed {
            // The window has moved on, or the store is closed.
            tokio::time::sleep(FIRST_RETRY).await;
        }
    }
}

/// Checks one APIService again and again, until it is gone.
async fn check_always(aggregator: Aggregator, client: kube::Client, name: String) {
    let mut retry = FIRST_RETRY;
    loop {
        let seen = aggregator.store.revision();
        let key = format!("{PREFIX}{name}");
        let Some(entry) = aggregator.store.snapshot().get(&key) else { return };
        let service = aggregator.compiled(&entry);
        let Some(remote) = &service.remote else { return };
        let stored: Value = json::from_slice(&entry.value).unwrap_or_default();
        let found = aggregator.check(&service, remote).await;
        let is_there = found.is_ok();
        if let Err(why) = &found
            && service.is_available
        {
            aggregator.metrics.lost(&service.name, why.reason);
        }
        // First what it says of itself: who hears that it is available finds it in discovery and OpenAPI.
        if is_there {
            aggregator.listen(&service, remote).await;
        }
        if let Some(new) = with_condition(&stored, found, jiff::Timestamp::now()) {
            write_status(&client, &new).await;
        }
        let wait = if is_there { RESYNC } else { retry };
        retry = if is_there { FIRST_RETRY } else { (retry * 2).min(RESYNC) };
        let prefixes = [
            key,
            format!("/registry/services/specs/{}/{}", remote.namespace, remote.service),
            format!("/registry/endpointslices/{}/{}", remote.namespace, remote.service),
        ];
        let mut changes = FuturesUnordered::new();
        for prefix in &prefixes {
            if let Ok(mut watch) = aggregator.store.watch(prefix, seen) {
                changes.push(async move {
                    if watch.next().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Some(()) = changes.next() => {}
        }
    }
}

impl Aggregator {
    async fn check(&self, service: &ApiService, remote: &Remote) -> Result<(), Unavailable> {
        let stored = self.objects.get("", "services", &remote.namespace, &remote.service);
        let mut slices = self.objects.list("discovery.k8s.io", "endpointslices", &remote.namespace);
        slices.retain(|slice| meta::label(slice, "kubernetes.io/service-name") == Some(&remote.service));
        from_objects(remote, stored.as_deref(), &slices)?;
        let path = service.root();
        let mut questions: FuturesUnordered<_> = (0..ATTEMPTS).map(|_| self.ask(remote, &path, "*/*")).collect();
        let mut failed = String::new();
        while let Some(answer) = questions.next().await {
            match answer {
                Ok(answer) if (200..300).contains(&answer.code) => return Ok(()),
                Ok(answer) => failed = format!("bad status from {}: {}", answer.url, answer.code),
                Err(why) => failed = why,
            }
        }
        let message = if failed.starts_with("bad status") {
            let url =
                failed.strip_prefix("bad status from ").and_then(|rest| rest.rsplit_once(": ")).map(|(url, _)| url);
            format!("failing or missing response from {}: {failed}", url.unwrap_or_default())
        } else {
            failed
        };
        Err(Unavailable { reason: "FailedDiscoveryCheck", message })
    }

    /// Asks a server as ourselves; an answer is read whole.
    pub(super) async fn ask(&self, remote: &Remote, path: &str, accept: &str) -> Result<Answer, String> {
        let authority = self.resolve(remote)?;
        let url = format!("https://{authority}{path}");
        let failed = |why: String| format!("failing or missing response from {url}: {why}");
        let client = remote.client.as_ref().map_err(|error| failed(error.to_string()))?;
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(&url)
            .header(header::ACCEPT, accept)
            .body(no_body())
            .map_err(|error| failed(error.to_string()))?;
        let own =
            UserInfo { groups: vec!["system:masters".to_owned()], ..UserInfo::new("system:kube-aggregator", &[]) };
        proxy::speak_for(request.headers_mut(), &own, None);
        let asking = async {
            let response = client.request(request).await.map_err(|cause| format!("Get {}: {cause}", quote(&url)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_DOCUMENT).collect().await.map_err(|error| error.to_string())?;
            let text = |name| head.headers.get(name).and_then(|own: &http::HeaderValue| own.to_str().ok());
            let content_type = text(header::CONTENT_TYPE).unwrap_or_default().to_owned();
            Ok(Answer { code: head.status.as_u16(), url: url.clone(), content_type, body: body.to_bytes() })
        };
        let timeout = || format!("Get {}: context deadline exceeded", quote(&url));
        tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_| Err(timeout())).map_err(failed)
    }

    /// Keeps what a server says of itself.
    async fn listen(&self, service: &ApiService, remote: &Remote) {
        let index = openapi::download_index(self, remote).await;
        let openapi_v2 = openapi::download(self, remote).await;
        let made_v3 = openapi_v2.as_ref().filter(|_| index.is_none()).map(|own| {
            let path = format!("apis/{}/{}", service.group, service.version);
            (path, own.as_version_3())
        });
        let discovery = discovery::download(self, service, remote).await;
        let told = Arc::new(Told { discovery, openapi_v3: index.unwrap_or_default(), openapi_v2, made_v3 });
        self.told.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(service.name.clone(), Arc::clone(&told));
            all
        });
    }

    fn forget(&self, name: &str) {
        self.told.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.remove(name);
            all
        });
    }
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) code: u16,
    pub(super) url: String,
    pub(super) content_type: String,
    pub(super) body: bytes::Bytes,
}

/// The object with its condition; None when it says so already.
pub(super) fn with_condition(stored: &Value, found: Result<(), Unavailable>, now: jiff::Timestamp) -> Option<Value> {
    let (status, reason, message) = match found {
        Ok(()) => ("True", "Passed", "all checks passed".to_owned()),
        Err(Unavailable { reason, message }) => ("False", reason, message),
    };
    let mut new = stored.clone();
    if !new["status"]["conditions"].is_array() {
        new["status"] = json!({"conditions": []});
    }
    let conditions = new["status"]["conditions"].as_array_mut()?;
    match conditions.iter_mut().find(|own| own["type"] == "Available") {
        Some(own) => {
            if own["status"] != status {
                own["status"] = status.into();
                own["lastTransitionTime"] = meta::time::format(now).into();
            }
            own["reason"] = reason.into();
            own["message"] = message.into();
        }
        None => conditions.push(json!({
            "type": "Available",
            "status": status,
            "lastTransitionTime": meta::time::format(now),
            "reason": reason,
            "message": message,
        })),
    }
    (new != *stored).then_some(new)
}

async fn write_status(client: &kube::Client, object: &Value) {
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{}/status", meta::name(object));
    let request = Request::builder().method(Method::PUT).uri(path).header(header::CONTENT_TYPE, "application/json");
    let Ok(request) = request.body(object.to_string().into_bytes()) else { return };
    match client.request::<Value>(request).await {
        // Changed or gone meanwhile: whoever did that makes us look again.
        Ok(_) | Err(kube::Error::Api(_)) => {}
        Err(error) => {
            tracing::warn!(%error, apiservice = meta::name(object), "the condition of an APIService could not be written")
        }
    }
}
