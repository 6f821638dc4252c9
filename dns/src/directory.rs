//! What the answers are made from: Services, EndpointSlices and Namespaces, found by name and by address.

use std::net::IpAddr;
use std::sync::Arc;

use client::{Informer, Informers};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
const BY_SERVICE: &str = "dns/service";
const BY_ADDRESS: &str = "dns/address";

/// The questions the records engine asks; tests answer them from lists.
pub(crate) trait Lookup {
    fn namespace_exists(&self, namespace: &str) -> bool;
    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>>;
    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>>;
    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>>;
    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>>;
    /// False until the caches hold the whole cluster: an unknown name then means "not yet", not "no".
    fn complete(&self) -> bool;
}

/// [`Lookup`] over informers.
#[derive(Debug)]
pub(crate) struct Directory {
    namespaces: Informer<Namespace>,
    services: Informer<Service>,
    slices: Informer<EndpointSlice>,
}

impl Directory {
    pub(crate) fn start(informers: &Informers) -> Self {
        let services: Informer<Service> = informers.of();
        services.add_index(BY_ADDRESS, cluster_ips);
        let slices: Informer<EndpointSlice> = informers.of();
        slices.add_index(BY_SERVICE, |slice| service_of(slice).into_iter().collect());
        slices.add_index(BY_ADDRESS, |slice| {
            slice.endpoints.iter().flatten().flat_map(|endpoint| endpoint.addresses.iter().cloned()).collect()
        });
        Self { namespaces: informers.of(), services, slices }
    }
}

impl Lookup for Directory {
    fn namespace_exists(&self, namespace: &str) -> bool {
        self.namespaces.get("", namespace).is_some()
    }

    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        self.services.get(namespace, name)
    }

    fn slices(&self, namespace: &str, service: &str) -> Vec<Arc<EndpointSlice>> {
        self.slices.by_index(BY_SERVICE, &format!("{namespace}/{service}"))
    }

    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        self.services.by_index(BY_ADDRESS, &address.to_string()).into_iter().next()
    }

    fn slices_at(&self, address: IpAddr) -> Vec<Arc<EndpointSlice>> {
        self.slices.by_index(BY_ADDRESS, &address.to_string())
    }

    fn complete(&self) -> bool {
        self.namespaces.has_synced() && self.services.has_synced() && self.slices.has_synced()
    }
}

/// `namespace/name` of the Service a slice belongs to.
pub(crate) fn service_of(slice: &EndpointSlice) -> Option<String> {
    let name = slice.metadata.labels.as_ref()?.get(SERVICE_NAME_LABEL)?;
    Some(format!("{}/{name}", slice.metadata.namespace.as_deref().unwrap_or_default()))
}

/// The cluster addresses of a Service; none for headless ones.
pub(crate) fn cluster_ips(service: &Service) -> Vec<String> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let all = spec.cluster_ips.clone().or_else(|| spec.cluster_ip.clone().map(|ip| vec![ip])).unwrap_or_default();
    all.into_iter().filter(|ip| !ip.is_empty() && ip != "None").collect()
}
