//! What the controllers of endpoints and endpoint slices both ask of services and pods.
//!
//! Upstream: k8s.io/endpointslice/util.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Mutex;

use client::{Change, Informer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::engine::Key;
use crate::{meta, pods};

/// Label of services without a cluster IP.
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";
/// Annotation with the time of the change that led to a write.
pub(crate) const LAST_CHANGE_TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// The services whose endpoints a change of a pod may touch.
pub(crate) fn touched_by(services: &Informer<Service>, change: &Change<Pod>) -> Vec<Key> {
    let pod = change.object();
    let old = match change {
        Change::Applied { old: Some(old), .. } => Some(old),
        _ => None,
    };
    let labels_changed = old.is_some_and(|old| {
        let subdomain = |pod: &Pod| pod.spec.as_ref().map(|spec| (spec.hostname.clone(), spec.subdomain.clone()));
        old.metadata.labels != pod.metadata.labels || subdomain(old) != subdomain(pod)
    });
    if old.is_some_and(|old| !labels_changed && !endpoint_changed(old, pod)) {
        return Vec::new();
    }
    let selected = |pod: &Pod, service: &Service| {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|selector| meta::contains_all(meta::labels(&pod.metadata), selector))
    };
    let candidates = services.list_in(meta::namespace(&pod.metadata));
    let touched =
        candidates.iter().filter(|service| selected(pod, service) || old.is_some_and(|old| selected(old, service)));
    touched.map(|service| Key::of(&**service)).collect()
}

fn endpoint_changed(old: &Pod, new: &Pod) -> bool {
    meta::is_deleting(&old.metadata) != meta::is_deleting(&new.metadata)
        || pods::is_ready(old) != pods::is_ready(new)
        || pods::is_terminal(old) != pods::is_terminal(new)
        || addresses(old) != addresses(new)
}

/// The pod's addresses, in canonical form.
pub(crate) fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let Some(status) = &pod.status else { return Vec::new() };
    status.pod_ips.iter().flatten().filter_map(|address| address.ip.parse().ok()).collect()
}

/// True if the pod may be reached at all. Upstream: ShouldPodBeInEndpoints.
pub(crate) fn belongs(pod: &Pod, include_terminating: bool) -> bool {
    let has_address = pod.status.as_ref().is_some_and(|status| {
        status.pod_ip.as_ref().is_some_and(|ip| !ip.is_empty())
            || status.pod_ips.as_ref().is_some_and(|ips| !ips.is_empty())
    });
    !pods::is_terminal(pod) && has_address && (include_terminating || !meta::is_deleting(&pod.metadata))
}

/// True if the service neither has nor will get a cluster IP.
pub(crate) fn is_headless(service: &Service) -> bool {
    matches!(cluster_ip(service), "" | "None")
}

/// The cluster IP as written.
pub(crate) fn cluster_ip(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default()
}

/// The pod's hostname, if the service gives it a name in DNS.
pub(crate) fn hostname<'a>(pod: &'a Pod, service: &Service) -> Option<&'a str> {
    let spec = pod.spec.as_ref()?;
    let hostname = spec.hostname.as_deref().filter(|name| !name.is_empty())?;
    let subdomain = spec.subdomain.as_deref().unwrap_or_default();
    (subdomain == meta::name(&service.metadata) && service.metadata.namespace == pod.metadata.namespace)
        .then_some(hostname)
}

/// The pod's port the service port leads to. Upstream: endpointslice.FindPort.
pub(crate) fn find_port(pod: &Pod, port: &ServicePort) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars =
        spec.init_containers.iter().flatten().filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let protocol = |protocol: &Option<String>| protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    spec.containers
        .iter()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .find(|candidate| {
            candidate.name.as_ref() == Some(name) && protocol(&candidate.protocol) == protocol(&port.protocol)
        })
        .map(|found| found.container_port)
}

/// The pods a service selects.
pub(crate) fn selected_pods(service: &Service, pods: &Informer<Pod>) -> Vec<std::sync::Arc<Pod>> {
    let Some(selector) = service.spec.as_ref().and_then(|spec| spec.selector.as_ref()) else { return Vec::new() };
    let mut all = pods.list_in(meta::namespace(&service.metadata));
    all.retain(|pod| meta::contains_all(meta::labels(&pod.metadata), selector));
    all
}

/// Remembers which changes were seen per service, to tell when the one being written happened.
///
/// Upstream: util.TriggerTimeTracker.
#[derive(Debug, Default)]
pub(crate) struct TriggerTimes {
    seen: Mutex<HashMap<Key, Seen>>,
}

#[derive(Debug, Default, Clone)]
struct Seen {
    service: Option<Timestamp>,
    pods: HashMap<String, Timestamp>,
}

impl TriggerTimes {
    /// The earliest change since the last call, if any.
    pub(crate) fn compute<'a>(
        &self,
        key: &Key,
        service: &Service,
        pods: impl Iterator<Item = &'a Pod>,
    ) -> Option<Timestamp> {
        let created = service.metadata.creation_timestamp.as_ref().map(|time| time.0);
        let mut now = Seen { service: created, pods: HashMap::new() };
        for pod in pods {
            let ready = pods::condition(pod, "Ready").and_then(|condition| condition.last_transition_time.as_ref());
            if let Some(time) = ready {
                now.pods.insert(meta::name(&pod.metadata).to_owned(), time.0);
            }
        }
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(before) = seen.insert(key.clone(), now.clone()) else { return created };
        let changed = now
            .pods
            .iter()
            .filter(|(name, time)| before.pods.get(*name).is_none_or(|known| *time > known))
            .map(|(_, time)| *time);
        let service_changed = now.service.filter(|time| before.service.is_none_or(|known| *time > known));
        changed.chain(service_changed).min()
    }

    /// The service is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(key);
    }
}

/// The annotation's text.
pub(crate) fn trigger_text(time: Timestamp) -> String {
    time.to_string()
}

/// `IPv4` and `IPv6` as the service asks for them. Upstream: getAddressTypesForService.
pub(crate) fn address_families(service: &Service) -> BTreeSet<&'static str> {
    let families = service.spec.iter().flat_map(|spec| spec.ip_families.iter().flatten());
    let known: BTreeSet<&'static str> = families
        .filter_map(|family| match family.as_str() {
            "IPv4" => Some("IPv4"),
            "IPv6" => Some("IPv6"),
            _ => None,
        })
        .collect();
    if !known.is_empty() {
        return known;
    }
    match cluster_ip(service) {
        "" | "None" => BTreeSet::from(["IPv4", "IPv6"]),
        ip if ip.contains(':') => BTreeSet::from(["IPv6"]),
        _ => BTreeSet::from(["IPv4"]),
    }
}
