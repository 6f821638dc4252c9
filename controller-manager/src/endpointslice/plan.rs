//! How the endpoints of a service are laid out in slices, touching as few slices as possible.
//!
//! Per address family and set of ports: what is still right stays where it is, changed endpoints are replaced in place,
//! new ones first fill slices that are written anyway, then an unchanged slice with just enough room, then new slices.
//!
//! Upstream: endpointslice.Reconciler.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod, Service};
use k8s_openapi::api::discovery::v1::{
    Endpoint, EndpointConditions, EndpointHints, EndpointPort, EndpointSlice, ForNode, ForZone,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::{meta, pods, services};

pub(super) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(super) const MANAGER: &str = "endpointslice-controller.k8s.io";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub service: Arc<Service>,
    /// Pods the service selects.
    pub pods: Vec<Arc<Pod>>,
    /// Their nodes.
    pub nodes: Vec<Arc<Node>>,
    /// The service's slices that are ours.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// When what is being written happened.
    pub trigger: Option<Timestamp>,
    pub max_endpoints: usize,
}

/// Slices to write, and what could not be placed.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub create: Vec<EndpointSlice>,
    pub update: Vec<EndpointSlice>,
    pub delete: Vec<EndpointSlice>,
    /// Pods left out because their node is not known yet.
    pub skipped: Vec<String>,
}

pub(super) fn plan(snapshot: &Snapshot) -> Changes {
    let families = services::address_families(&snapshot.service);
    let mut changes = Changes::default();
    for family in &families {
        family_plan(snapshot, family, &mut changes);
    }
    let foreign = snapshot.slices.iter().filter(|slice| !families.contains(slice.address_type.as_str()));
    changes.delete.extend(foreign.map(|slice| (**slice).clone()));
    for slice in changes.create.iter_mut().chain(&mut changes.update) {
        annotate_trigger(slice, snapshot.trigger);
    }
    changes
}

fn annotate_trigger(slice: &mut EndpointSlice, trigger: Option<Timestamp>) {
    let annotations = slice.metadata.annotations.get_or_insert_default();
    match trigger {
        Some(time) => {
            annotations.insert(services::LAST_CHANGE_TRIGGER_TIME.to_owned(), services::trigger_text(time));
        }
        None => {
            annotations.remove(services::LAST_CHANGE_TRIGGER_TIME);
        }
    }
    if annotations.is_empty() {
        slice.metadata.annotations = None;
    }
}

fn family_plan(snapshot: &Snapshot, family: &'static str, changes: &mut Changes) {
    let service = &snapshot.service;
    let existing: Vec<&Arc<EndpointSlice>> =
        snapshot.slices.iter().filter(|slice| slice.address_type == family).collect();
    let (own, foreign): (Vec<&Arc<EndpointSlice>>, Vec<_>) =
        existing.iter().partition(|slice| is_owned(slice, service));
    let mut group = Changes::default();
    group.delete.extend(foreign.iter().map(|slice| (***slice).clone()));

    let mut by_ports: BTreeMap<String, Vec<EndpointSlice>> = BTreeMap::new();
    for slice in own {
        by_ports.entry(ports_key(slice.ports.as_deref().unwrap_or_default())).or_default().push((**slice).clone());
    }
    for (key, (ports, endpoints)) in desired(snapshot, family, &mut changes.skipped) {
        let slices = by_ports.remove(&key).unwrap_or_default();
        Layout::new(snapshot, slices, endpoints).finish(|| new_slice(service, family, ports.clone()), &mut group);
    }
    group.delete.extend(by_ports.into_values().flatten());

    // A service always has a slice: readers tell "no endpoints" from "not looked at yet" by it.
    if group.delete.len() == existing.len() && group.create.is_empty() {
        let placeholder = new_slice(service, family, Vec::new());
        if group.delete.len() == 1 && same_placeholder(&group.delete[0], &placeholder) {
            group.delete.clear();
        } else {
            group.create.push(placeholder);
        }
    }
    hints(snapshot, &existing, &mut group);
    reuse_deleted(service, &mut group);
    changes.create.append(&mut group.create);
    changes.update.append(&mut group.update);
    changes.delete.append(&mut group.delete);
}

/// Rewriting a slice that would be deleted costs one write instead of two.
fn reuse_deleted(service: &Service, group: &mut Changes) {
    let mut kept = Vec::new();
    for deleted in std::mem::take(&mut group.delete) {
        if is_owned(&deleted, service)
            && let Some(created) = group.create.pop()
        {
            let metadata = ObjectMeta {
                labels: created.metadata.labels.clone(),
                owner_references: created.metadata.owner_references.clone(),
                ..deleted.metadata
            };
            group.update.push(EndpointSlice { metadata, ..created });
        } else {
            kept.push(deleted);
        }
    }
    group.delete = kept;
}

/// Wanted endpoints by their ports.
fn desired(
    snapshot: &Snapshot,
    family: &str,
    skipped: &mut Vec<String>,
) -> BTreeMap<String, (Vec<EndpointPort>, Vec<Endpoint>)> {
    let service = &snapshot.service;
    let publish = service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses) == Some(true);
    let nodes: HashMap<&str, &Arc<Node>> =
        snapshot.nodes.iter().map(|node| (meta::name(&node.metadata), node)).collect();
    let mut wanted: BTreeMap<String, (Vec<EndpointPort>, Vec<Endpoint>)> = BTreeMap::new();
    for pod in snapshot.pods.iter().filter(|pod| services::belongs(pod, true)) {
        let mut ports = endpoint_ports(service, pod);
        let key = ports_key(&ports);
        ports.sort_by_key(port_key);
        let (_, endpoints) = wanted.entry(key).or_insert_with(|| (ports, Vec::new()));
        let node_name = pods::node_name(pod).unwrap_or_default();
        let node = nodes.get(node_name);
        if node.is_none() && !publish {
            let (namespace, name) = (meta::namespace(&service.metadata), meta::name(&service.metadata));
            let message = format!(
                "skipping Pod {} for Service {namespace}/{name}: Node {node_name} Not Found",
                meta::name(&pod.metadata)
            );
            if !skipped.contains(&message) {
                skipped.push(message);
            }
            continue;
        }
        let endpoint = endpoint(pod, node.map(|node| &***node), service, family, publish);
        if !endpoint.addresses.is_empty() {
            endpoints.push(endpoint);
        }
    }
    wanted
}

fn endpoint(pod: &Pod, node: Option<&Node>, service: &Service, family: &str, publish: bool) -> Endpoint {
    let (serving, terminating) = (pods::is_ready(pod), meta::is_deleting(&pod.metadata));
    let of_family = |address: &IpAddr| address.is_ipv6() == (family == "IPv6");
    let zone = node.and_then(|node| meta::labels(&node.metadata).get(ZONE)).filter(|zone| !zone.is_empty());
    Endpoint {
        addresses: services::addresses(pod)
            .iter()
            .filter(|address| of_family(address))
            .map(IpAddr::to_string)
            .collect(),
        conditions: Some(EndpointConditions {
            ready: Some(publish || (serving && !terminating)),
            serving: Some(serving),
            terminating: Some(terminating),
        }),
        hostname: services::hostname(pod, service).map(str::to_owned),
        node_name: pods::node_name(pod).map(str::to_owned),
        target_ref: Some(ObjectReference {
            kind: Some("Pod".to_owned()),
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        }),
        zone: zone.cloned(),
        ..Endpoint::default()
    }
}

fn endpoint_ports(service: &Service, pod: &Pod) -> Vec<EndpointPort> {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    ports
        .filter_map(|port| {
            Some(EndpointPort {
                name: Some(port.name.clone().unwrap_or_default()),
                port: Some(services::find_port(pod, port)?),
                protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect()
}

fn port_key(port: &EndpointPort) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    format!("{}/{}/{}/{}", text(&port.name), port.port.unwrap_or(0), protocol, text(&port.app_protocol))
}

fn ports_key(ports: &[EndpointPort]) -> String {
    let mut keys: Vec<String> = ports.iter().map(port_key).collect();
    keys.sort();
    keys.join(" ")
}

/// Endpoints with the same identity replace each other in place.
fn identity(endpoint: &Endpoint) -> (Vec<String>, Option<String>, Option<String>, Option<String>) {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    let target = endpoint.target_ref.clone().unwrap_or_default();
    (addresses, endpoint.hostname.clone().filter(|name| !name.is_empty()), target.namespace, target.name)
}

/// Equal in all that identity leaves open. Upstream: EndpointsEqualBeyondHash.
fn same_state(a: &Endpoint, b: &Endpoint) -> bool {
    let target = |endpoint: &Endpoint| {
        endpoint.target_ref.clone().map(|reference| ObjectReference { resource_version: None, ..reference })
    };
    let conditions = |endpoint: &Endpoint| endpoint.conditions.clone().unwrap_or_default();
    a.node_name == b.node_name && a.zone == b.zone && conditions(a) == conditions(b) && target(a) == target(b)
}

fn is_owned(slice: &EndpointSlice, service: &Service) -> bool {
    let owners = slice.metadata.owner_references.iter().flatten();
    owners.into_iter().any(|owner| {
        Some(&owner.uid) == service.metadata.uid.as_ref() && owner.kind == "Service" && owner.api_version == "v1"
    })
}

fn is_reserved(label: &str) -> bool {
    matches!(label, SERVICE_NAME | MANAGED_BY | services::HEADLESS)
}

/// The labels a slice of the service has.
fn slice_labels(service: &Service) -> BTreeMap<String, String> {
    let inherited = meta::labels(&service.metadata).iter().filter(|(key, _)| !is_reserved(key));
    let mut labels: BTreeMap<String, String> = inherited.map(|(key, value)| (key.clone(), value.clone())).collect();
    if services::is_headless(service) {
        labels.insert(services::HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), meta::name(&service.metadata).to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn new_slice(service: &Service, family: &str, ports: Vec<EndpointPort>) -> EndpointSlice {
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(Vec::new()),
        metadata: ObjectMeta {
            namespace: service.metadata.namespace.clone(),
            generate_name: Some(meta::generate_name(meta::name(&service.metadata))),
            labels: Some(slice_labels(service)),
            owner_references: Some(vec![meta::controller_ref::<Service>(&service.metadata)]),
            ..ObjectMeta::default()
        },
        ports: Some(ports),
    }
}

fn same_placeholder(slice: &EndpointSlice, placeholder: &EndpointSlice) -> bool {
    let empty = slice.endpoints.as_ref().is_none_or(Vec::is_empty) && slice.ports.as_ref().is_none_or(Vec::is_empty);
    empty && slice.metadata.labels == placeholder.metadata.labels
}

/// The slices of one set of ports while endpoints are placed.
struct Layout {
    changed: Vec<EndpointSlice>,
    unchanged: Vec<EndpointSlice>,
    empty: Vec<EndpointSlice>,
    /// Endpoints without a place yet, in reverse.
    left: Vec<Endpoint>,
    max: usize,
}

impl Layout {
    fn new(snapshot: &Snapshot, slices: Vec<EndpointSlice>, endpoints: Vec<Endpoint>) -> Self {
        let labels = slice_labels(&snapshot.service);
        let mut layout = Self {
            changed: Vec::new(),
            unchanged: Vec::new(),
            empty: Vec::new(),
            left: endpoints,
            max: snapshot.max_endpoints.max(1),
        };
        for mut slice in slices {
            let present = slice.endpoints.take().unwrap_or_default();
            let mut kept = Vec::new();
            let mut changed = meta::labels(&slice.metadata) != &labels;
            for old in &present {
                let Some(at) = layout.left.iter().position(|new| identity(new) == identity(old)) else {
                    changed = true;
                    continue;
                };
                let new = layout.left.remove(at);
                changed |= !same_state(&new, old);
                kept.push(if same_state(&new, old) { old.clone() } else { new });
            }
            let emptied = kept.is_empty() && !present.is_empty();
            slice.endpoints = Some(kept);
            slice.metadata.labels = Some(labels.clone());
            match (emptied, changed) {
                (true, _) => layout.empty.push(slice),
                (false, true) => layout.changed.push(slice),
                (false, false) => layout.unchanged.push(slice),
            }
        }
        layout.left.reverse();
        layout
    }

    fn fill(&mut self, slice: &mut EndpointSlice) {
        let endpoints = slice.endpoints.get_or_insert_default();
        while endpoints.len() < self.max
            && let Some(endpoint) = self.left.pop()
        {
            endpoints.push(endpoint);
        }
    }

    /// The unchanged slice that all that is left fits into most tightly.
    fn take_tightest(&mut self) -> Option<EndpointSlice> {
        let needed = self.left.len();
        let size = |slice: &EndpointSlice| slice.endpoints.as_ref().map_or(0, Vec::len);
        let candidates =
            self.unchanged.iter().enumerate().filter(|(_, slice)| size(slice) + needed <= self.max && size(slice) > 0);
        let (at, _) = candidates.max_by_key(|(_, slice)| size(slice))?;
        Some(self.unchanged.remove(at))
    }

    fn finish(mut self, new: impl Fn() -> EndpointSlice, changes: &mut Changes) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.sort_by_key(|slice| std::cmp::Reverse(slice.endpoints.as_ref().map_or(0, Vec::len)));
        for slice in &mut changed {
            self.fill(slice);
        }
        while !self.left.is_empty() {
            if let Some(mut slice) = self.take_tightest() {
                self.fill(&mut slice);
                changed.push(slice);
            } else {
                let mut slice = new();
                self.fill(&mut slice);
                changes.create.push(slice);
            }
        }
        changes.update.append(&mut changed);
        changes.delete.append(&mut self.empty);
    }
}

/// Zone and node hints for `trafficDistribution`; without it hints are taken away. Upstream: trafficdist.ReconcileHints.
fn hints(snapshot: &Snapshot, existing: &[&Arc<EndpointSlice>], group: &mut Changes) {
    let distribution = snapshot.service.spec.as_ref().and_then(|spec| spec.traffic_distribution.as_deref());
    let (zones, nodes) = match distribution {
        Some("PreferClose" | "PreferSameZone") => (true, false),
        Some("PreferSameNode") => (true, true),
        _ => (false, false),
    };
    let wanted = |endpoint: &Endpoint| -> Option<EndpointHints> {
        let for_zones = endpoint.zone.clone().filter(|_| zones).map(|name| vec![ForZone { name }]);
        let for_nodes = endpoint.node_name.clone().filter(|_| nodes).map(|name| vec![ForNode { name }]);
        (for_zones.is_some() || for_nodes.is_some()).then_some(EndpointHints { for_nodes, for_zones })
    };
    // Of an endpoint that is not ready the hints do not matter while hints are wanted at all.
    let settled = |endpoint: &Endpoint| {
        let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true);
        (zones && !ready) || endpoint.hints == wanted(endpoint)
    };
    let touched = |slice: &EndpointSlice, group: &Changes| {
        group.update.iter().chain(&group.delete).any(|other| other.metadata.uid == slice.metadata.uid)
    };
    for slice in existing {
        if !touched(slice, group) && slice.endpoints.iter().flatten().any(|endpoint| !settled(endpoint)) {
            group.update.push((***slice).clone());
        }
    }
    for slice in group.create.iter_mut().chain(&mut group.update) {
        for endpoint in slice.endpoints.iter_mut().flatten() {
            if !settled(endpoint) {
                endpoint.hints = wanted(endpoint);
            }
        }
    }
}
