//! Which Services changed since the last look, themselves or in their endpoints.

use std::collections::BTreeSet;
use std::sync::Arc;

use client::{Change, Informer, Informers, Key, Subscription};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// Services with this label belong to another proxy.
const PROXY_NAME_LABEL: &str = "service.kubernetes.io/service-proxy-name";
const BY_SERVICE: &str = "kube-proxy/service";

#[derive(Debug)]
pub(crate) struct ChangeTracker {
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
    service_changes: Subscription<Service>,
    slice_changes: Subscription<EndpointSlice>,
}

impl ChangeTracker {
    pub(crate) fn start(informers: &Informers) -> Self {
        let services: Informer<Service> = informers.of();
        let slices: Informer<EndpointSlice> = informers.of();
        slices.add_index(BY_SERVICE, |slice| service_key(slice).iter().map(Key::to_string).collect());
        Self { service_changes: services.subscribe(), slice_changes: slices.subscribe(), services, slices }
    }

    /// Waits until both caches hold the whole cluster: rules made from half of it would cut traffic that worked.
    pub(crate) async fn synced(&self) {
        self.services.synced().await;
        self.slices.synced().await;
    }

    /// Every Service there is.
    pub(crate) fn all(&self) -> BTreeSet<Key> {
        self.services.list().iter().map(|service| Key::of(service.as_ref())).collect()
    }

    /// Waits for a change, then takes all that are there.
    pub(crate) async fn dirty(&mut self) -> BTreeSet<Key> {
        let mut dirty = BTreeSet::new();
        tokio::select! {
            Some(change) = self.service_changes.next() => note_service(&change, &mut dirty),
            Some(change) = self.slice_changes.next() => note_slice(&change, &mut dirty),
            // Both ended: the process is shutting down.
            else => std::future::pending().await,
        }
        while let Some(change) = self.service_changes.try_next() {
            note_service(&change, &mut dirty);
        }
        while let Some(change) = self.slice_changes.try_next() {
            note_slice(&change, &mut dirty);
        }
        dirty
    }

    /// A Service that is ours, with its slices.
    pub(crate) fn service(&self, key: &Key) -> Option<(Arc<Service>, Vec<Arc<EndpointSlice>>)> {
        let service = self.services.get(&key.namespace, &key.name)?;
        let foreign = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(PROXY_NAME_LABEL));
        (!foreign).then(|| (service, self.slices.by_index(BY_SERVICE, &key.to_string())))
    }
}

fn note_service(change: &Change<Service>, dirty: &mut BTreeSet<Key>) {
    dirty.insert(Key::of(change.object().as_ref()));
}

fn note_slice(change: &Change<EndpointSlice>, dirty: &mut BTreeSet<Key>) {
    dirty.extend(service_key(change.object()));
    if let Change::Applied { old: Some(old), .. } = change {
        dirty.extend(service_key(old));
    }
}

fn service_key(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
    Some(Key::new(slice.metadata.namespace.as_deref().unwrap_or_default(), name))
}
