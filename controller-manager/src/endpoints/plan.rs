//! The Endpoints object of a service: addresses grouped by the ports they share.
//!
//! Upstream: endpoint.syncService, endpoints.RepackSubsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    EndpointAddress, EndpointPort, EndpointSubset, Endpoints, ObjectReference, Pod, Service,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::engine::Write;
use crate::{meta, pods, services};

const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";
const MANAGER: &str = "endpoint-controller";
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MAX_CAPACITY: usize = 1000;

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub service: Arc<Service>,
    pub pods: Vec<Arc<Pod>>,
    pub present: Option<Arc<Endpoints>>,
    pub trigger: Option<Timestamp>,
}

/// Made by this controller, of whatever version: it has always copied the service's labels and added its own.
pub(super) fn is_ours(endpoints: &Endpoints) -> bool {
    meta::labels(&endpoints.metadata).get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
}

/// The write that is needed, if any.
pub(super) fn plan(snapshot: &Snapshot) -> Option<Write> {
    let service = &snapshot.service;
    let wanted = repack(subsets(snapshot));
    let labels = wanted_labels(service);
    let present = snapshot.present.as_deref();
    if let Some(present) = present {
        let annotated = meta::annotation(&present.metadata, OVER_CAPACITY).is_some();
        if same_labels(&present.metadata, service)
            && repack(present.subsets.clone().unwrap_or_default()) == wanted
            && !annotated
            && capacity(&wanted) <= MAX_CAPACITY
        {
            return None;
        }
    }
    let mut metadata = present.map_or_else(
        || ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        |present| present.metadata.clone(),
    );
    metadata.labels = Some(labels);
    let annotations = metadata.annotations.get_or_insert_default();
    match snapshot.trigger {
        Some(time) => annotations.insert(services::LAST_CHANGE_TRIGGER_TIME.to_owned(), services::trigger_text(time)),
        None => annotations.remove(services::LAST_CHANGE_TRIGGER_TIME),
    };
    let (subsets, truncated) = truncate(wanted);
    if truncated {
        annotations.insert(OVER_CAPACITY.to_owned(), "truncated".to_owned());
    } else {
        annotations.remove(OVER_CAPACITY);
    }
    if annotations.is_empty() {
        metadata.annotations = None;
    }
    let endpoints = Endpoints { metadata, subsets: Some(subsets).filter(|subsets| !subsets.is_empty()) };
    if present.is_some_and(|present| *present == endpoints) {
        return None;
    }
    let about = &endpoints.metadata;
    let key = format!("{}/{}", meta::namespace(about), meta::name(about));
    Some(if present.is_none() {
        let message = format!("Failed to create endpoint for service {key}: {{error}}");
        Write::create(&endpoints).announce_failure(meta::warning::<Endpoints>(about, "FailedToCreateEndpoint", message))
    } else {
        let message = format!("Failed to update endpoint {key}: {{error}}");
        Write::update(&endpoints).announce_failure(meta::warning::<Endpoints>(about, "FailedToUpdateEndpoint", message))
    })
}

fn wanted_labels(service: &Service) -> BTreeMap<String, String> {
    let mut labels = meta::labels(&service.metadata).clone();
    if services::is_headless(service) {
        labels.insert(services::HEADLESS.to_owned(), String::new());
    } else {
        labels.remove(services::HEADLESS);
    }
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Upstream: labelsCorrectForEndpoints, which does not compare the headless label.
fn same_labels(metadata: &ObjectMeta, service: &Service) -> bool {
    let own = meta::labels(metadata);
    let inherited = || own.iter().filter(|(key, _)| !matches!(key.as_str(), services::HEADLESS | MANAGED_BY));
    let service_labels = meta::labels(&service.metadata);
    own.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER)
        && inherited().all(|(key, value)| service_labels.get(key) == Some(value))
        && inherited().count() == service_labels.len()
}

fn subsets(snapshot: &Snapshot) -> Vec<EndpointSubset> {
    let service = &snapshot.service;
    let spec = service.spec.clone().unwrap_or_default();
    let publish = spec.publish_not_ready_addresses == Some(true);
    let mut subsets = Vec::new();
    for pod in snapshot.pods.iter().filter(|pod| services::belongs(pod, publish)) {
        let Some(address) = address(service, pod) else { continue };
        let ready = publish || pods::is_ready(pod);
        let mut add = |ports: Vec<EndpointPort>| {
            let (addresses, not_ready) =
                if ready { (Some(vec![address.clone()]), None) } else { (None, Some(vec![address.clone()])) };
            subsets.push(EndpointSubset {
                addresses,
                not_ready_addresses: not_ready,
                ports: Some(ports).filter(|ports| !ports.is_empty()),
            });
        };
        let ports = spec.ports.clone().unwrap_or_default();
        if ports.is_empty() && spec.cluster_ip.as_deref() == Some("None") {
            add(Vec::new());
        }
        for port in &ports {
            if let Some(number) = services::find_port(pod, port) {
                add(vec![EndpointPort {
                    name: port.name.clone().filter(|name| !name.is_empty()),
                    port: number,
                    protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                    app_protocol: port.app_protocol.clone(),
                }]);
            }
        }
    }
    subsets
}

fn address(service: &Service, pod: &Pod) -> Option<EndpointAddress> {
    let first_family =
        service.spec.as_ref().and_then(|spec| spec.ip_families.as_ref()).and_then(|families| families.first());
    let addresses = services::addresses(pod);
    let want_v6 = match (first_family, services::cluster_ip(service)) {
        (Some(family), _) => family == "IPv6",
        (None, "" | "None") => addresses.first().is_some_and(std::net::IpAddr::is_ipv6),
        (None, ip) => ip.contains(':'),
    };
    let ip = addresses.into_iter().find(|address| address.is_ipv6() == want_v6)?;
    Some(EndpointAddress {
        ip: ip.to_string(),
        hostname: services::hostname(pod, service).map(str::to_owned),
        node_name: pods::node_name(pod).map(str::to_owned),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
    })
}

/// An address and the uid of what it stands for.
type AddressKey = (String, String);

/// Name, number, protocol and application protocol.
type PortKey = (String, i32, String, String);

/// Which addresses are ready.
type Readiness = BTreeMap<AddressKey, bool>;

fn address_key(address: &EndpointAddress) -> AddressKey {
    (address.ip.clone(), address.target_ref.as_ref().and_then(|target| target.uid.clone()).unwrap_or_default())
}

fn port_key(port: &EndpointPort) -> PortKey {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    (text(&port.name), port.port, text(&port.protocol), text(&port.app_protocol))
}

/// The canonical form: ports with the same addresses share a subset; an address not ready for a port once is not ready
/// for it at all.
fn repack(subsets: Vec<EndpointSubset>) -> Vec<EndpointSubset> {
    let mut known: BTreeMap<AddressKey, EndpointAddress> = BTreeMap::new();
    let mut by_port: BTreeMap<Option<PortKey>, (Option<EndpointPort>, Readiness)> = BTreeMap::new();
    for subset in subsets {
        let ports: Vec<Option<EndpointPort>> = match subset.ports {
            Some(ports) if !ports.is_empty() => ports.into_iter().map(Some).collect(),
            _ => vec![None],
        };
        let states = [(subset.addresses, true), (subset.not_ready_addresses, false)];
        for (address, ready) in
            states.into_iter().flat_map(|(list, ready)| list.into_iter().flatten().map(move |one| (one, ready)))
        {
            let key = address_key(&address);
            known.entry(key.clone()).or_insert(address);
            for port in &ports {
                let (_, states) =
                    by_port.entry(port.as_ref().map(port_key)).or_insert_with(|| (port.clone(), BTreeMap::new()));
                states.entry(key.clone()).and_modify(|known| *known &= ready).or_insert(ready);
            }
        }
    }
    let mut by_addresses: BTreeMap<Readiness, Vec<EndpointPort>> = BTreeMap::new();
    for (port, states) in by_port.into_values() {
        by_addresses.entry(states).or_default().extend(port);
    }
    let mut packed: Vec<EndpointSubset> = by_addresses
        .into_iter()
        .map(|(states, ports)| {
            let pick = |wanted: bool| {
                let chosen = states.iter().filter(|(_, ready)| **ready == wanted);
                let addresses: Vec<EndpointAddress> = chosen.filter_map(|(key, _)| known.get(key).cloned()).collect();
                Some(addresses).filter(|addresses| !addresses.is_empty())
            };
            EndpointSubset {
                addresses: pick(true),
                not_ready_addresses: pick(false),
                ports: Some(ports).filter(|ports| !ports.is_empty()),
            }
        })
        .collect();
    packed.sort_by_key(|subset| subset.ports.iter().flatten().map(port_key).collect::<Vec<_>>());
    packed
}

fn count(addresses: &Option<Vec<EndpointAddress>>) -> usize {
    addresses.as_ref().map_or(0, Vec::len)
}

fn capacity(subsets: &[EndpointSubset]) -> usize {
    subsets.iter().map(|subset| count(&subset.addresses) + count(&subset.not_ready_addresses)).sum()
}

/// At most a thousand addresses, ready ones first, taken evenly from all subsets. Upstream: truncateEndpoints.
fn truncate(mut subsets: Vec<EndpointSubset>) -> (Vec<EndpointSubset>, bool) {
    if capacity(&subsets) <= MAX_CAPACITY {
        return (subsets, false);
    }
    let ready: usize = subsets.iter().map(|subset| count(&subset.addresses)).sum();
    let not_ready = capacity(&subsets) - ready;
    let cut_ready = ready > MAX_CAPACITY;
    let (budget, total) = if cut_ready { (MAX_CAPACITY, ready) } else { (MAX_CAPACITY - ready, not_ready) };
    let mut left = budget;
    for subset in &mut subsets {
        let list = if cut_ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
        let share = (count(list) * budget).div_ceil(total.max(1)).min(left);
        if let Some(list) = list {
            list.truncate(share);
            left -= list.len();
        }
        if cut_ready {
            subset.not_ready_addresses = None;
        }
        subset.not_ready_addresses = subset.not_ready_addresses.take().filter(|list| !list.is_empty());
    }
    (subsets, true)
}
