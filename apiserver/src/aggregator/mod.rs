//! Aggregation: group-versions that other servers serve, behind this one.
//!
//! An APIService with a Service hands its group-version to that Service: [`proxy`] carries requests there with the user's name in
//! headers, proven by the front proxy's certificate. [`availability`] finds out who can be asked and keeps what they say of
//! themselves; [`discovery`] and [`openapi`] join that with our own documents. [`auto_register`] keeps the APIServices of what this
//! server serves itself.
//!
//! As with RBAC and webhooks, a stored APIService is compiled once per revision and kept with its entry, connections included.
//! Upstream: k8s.io/kube-aggregator.

mod auto_register;
mod availability;
pub(crate) mod discovery;
mod metrics;
pub(crate) mod openapi;
mod openapi_v3;
mod proxy;
mod service;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use component::Shutdown;
use component::metrics::Registry;
use store::Store;

use self::metrics::Metrics;
pub(crate) use self::service::ApiService;
use crate::context::Objects;
use crate::webhook::Identity;

/// Where APIServices are stored.
const PREFIX: &str = "/registry/apiregistration.k8s.io/apiservices/";

/// See the module header. Clones share it.
#[derive(Clone)]
pub(crate) struct Aggregator {
    store: Arc<Store>,
    objects: Arc<dyn Objects>,
    /// The front proxy's certificate; without one, other servers see an unknown client.
    identity: Option<Arc<Identity>>,
    /// What other servers said of themselves last, by the name of the APIService.
    told: Arc<ArcSwap<HashMap<String, Arc<Told>>>>,
    metrics: Arc<Metrics>,
}

/// What one of them said.
#[derive(Debug, Default)]
struct Told {
    /// Its part of aggregated discovery: an APIVersionDiscovery.
    discovery: Option<json::Value>,
    /// Its index of OpenAPI v3 documents: path to URL.
    openapi_v3: json::Map,
    /// Its OpenAPI v2 document.
    openapi_v2: Option<openapi::Document>,
    /// The v3 document made of it, by its path, where it has none itself.
    made_v3: Option<(String, openapi::Document)>,
}

impl Aggregator {
    pub(crate) fn new(store: Arc<Store>, objects: Arc<dyn Objects>, identity: Option<Identity>) -> Aggregator {
        let identity = identity.map(Arc::new);
        Aggregator { store, objects, identity, told: Arc::default(), metrics: Arc::default() }
    }

    /// The APIService of a group-version, if another server serves it.
    fn remote(&self, group: &str, version: &str) -> Option<Arc<ApiService>> {
        let entry = self.store.snapshot().get(&format!("{PREFIX}{version}.{group}"))?;
        let service = self.compiled(&entry);
        service.remote.is_some().then_some(service)
    }

    /// The APIService a path leads to: one below `/apis` by its group-version, an OpenAPI document by whose it is.
    pub(crate) fn owner_of(&self, path: &str) -> Option<Arc<ApiService>> {
        if let Some(document) = path.strip_prefix("/openapi/v3/") {
            return self.owner_of_document(document);
        }
        let (group, version) = group_version_of(path)?;
        self.remote(group, version)
    }

    /// All of them, by name.
    fn services(&self) -> Vec<Arc<ApiService>> {
        self.store.snapshot().range(PREFIX, None).map(|entry| self.compiled(entry)).collect()
    }

    /// What is counted of them, for `/metrics`.
    pub(crate) fn registry(&self) -> Registry {
        self.metrics.registry()
    }

    /// Shows in [`Self::registry`] which of them can be asked now.
    pub(crate) fn show_availability(&self) {
        self.metrics.show(&self.services());
    }

    fn compiled(&self, entry: &Arc<store::Entry>) -> Arc<ApiService> {
        entry.slot(|entry| {
            let stored = json::from_slice(&entry.value).unwrap_or_default();
            ApiService::compile(&stored, self.identity.as_deref())
        })
    }

    /// Runs what goes on beside requests, until shutdown. `client` may write APIServices.
    pub(crate) fn start(&self, client: kube::Client, shutdown: &Shutdown) {
        let registration = auto_register::run(Arc::clone(&self.store), Arc::clone(&self.objects), client.clone());
        component::spawn_until("autoregister", shutdown, registration);
        component::spawn_until("available condition", shutdown, availability::run(self.clone(), client));
    }
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aggregator")
    }
}

/// Group and version of a path below `/apis`.
fn group_version_of(path: &str) -> Option<(&str, &str)> {
    let mut parts = path.strip_prefix("/apis/")?.split('/');
    let (group, version) = (parts.next()?, parts.next()?);
    (!group.is_empty() && !version.is_empty()).then_some((group, version))
}
