//! What a Service means on this node: for each port and family, the addresses it answers on and the endpoints behind.
//! Pure. Upstream counterpart: `pkg/proxy/serviceport.go`, `topology.go`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Service, ServicePort as ApiPort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;

/// A transport protocol that can be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("" | "TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some("SCTP") => Some(Self::Sctp),
            Some(_) => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// One port of a Service in one address family.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ServicePort {
    /// `namespace/name`, for names of chains.
    pub(crate) service: String,
    pub(crate) port_name: String,
    pub(crate) protocol: Protocol,
    pub(crate) cluster_ip: IpAddr,
    pub(crate) port: u16,
    pub(crate) node_port: Option<u16>,
    /// External addresses and those of load balancers.
    pub(crate) external_ips: Vec<IpAddr>,
    /// Addresses of load balancers, which `source_ranges` guards.
    pub(crate) load_balancer_ips: Vec<IpAddr>,
    /// Empty for all.
    pub(crate) source_ranges: Vec<IpNet>,
    /// Traffic from outside goes to endpoints of this node only and keeps its source address.
    pub(crate) external_local: bool,
    /// Seconds a client stays with its endpoint.
    pub(crate) affinity_seconds: Option<u32>,
    /// Behind the cluster address.
    pub(crate) cluster_endpoints: Vec<SocketAddr>,
    /// Behind the outside addresses when `external_local`.
    pub(crate) local_endpoints: Vec<SocketAddr>,
    /// Whether any endpoint is there at all, on whatever node.
    pub(crate) has_endpoints: bool,
}

/// An endpoint of one port.
struct Candidate {
    address: SocketAddr,
    ready: bool,
    serving: bool,
    terminating: bool,
    local: bool,
}

/// Every port of a Service, by family; none for headless and external-name Services.
pub(crate) fn service_ports(
    service: &Service,
    slices: &[impl AsRef<EndpointSlice>],
    node_name: &str,
) -> Vec<ServicePort> {
    let Some(spec) = &service.spec else { return Vec::new() };
    if spec.type_.as_deref() == Some("ExternalName") {
        return Vec::new();
    }
    let mut ports = Vec::new();
    for cluster_ip in cluster_ips(spec) {
        for port in spec.ports.iter().flatten() {
            ports.extend(service_port(service, spec, port, cluster_ip, slices, node_name));
        }
    }
    ports
}

fn service_port(
    service: &Service,
    spec: &ServiceSpec,
    port: &ApiPort,
    cluster_ip: IpAddr,
    slices: &[impl AsRef<EndpointSlice>],
    node_name: &str,
) -> Option<ServicePort> {
    let protocol = Protocol::parse(port.protocol.as_deref())?;
    let same_family = |address: &IpAddr| address.is_ipv4() == cluster_ip.is_ipv4();
    let port_name = port.name.clone().unwrap_or_default();
    let candidates = candidates(slices, &port_name, protocol, cluster_ip.is_ipv4(), node_name);
    let internal_local = spec.internal_traffic_policy.as_deref() == Some("Local");
    let external_local = spec.external_traffic_policy.as_deref() == Some("Local");
    let parse_all = |texts: &Option<Vec<String>>| -> Vec<IpAddr> {
        texts.iter().flatten().filter_map(|text| text.parse().ok()).filter(same_family).collect()
    };
    let load_balancer_ips: Vec<IpAddr> = service
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref())
        .flat_map(|balancer| balancer.ingress.iter().flatten())
        .filter(|ingress| ingress.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|ingress| ingress.ip.as_deref()?.parse().ok())
        .filter(same_family)
        .collect();
    let affinity = spec.session_affinity.as_deref() == Some("ClientIP");
    let affinity_config = spec.session_affinity_config.as_ref().and_then(|config| config.client_ip.as_ref());
    let timeout = affinity_config.and_then(|config| config.timeout_seconds).unwrap_or(10_800);
    Some(ServicePort {
        service: format!(
            "{}/{}",
            service.metadata.namespace.as_deref().unwrap_or_default(),
            service.metadata.name.as_deref().unwrap_or_default()
        ),
        port_name,
        protocol,
        cluster_ip,
        port: u16::try_from(port.port).ok()?,
        node_port: port.node_port.and_then(|number| u16::try_from(number).ok()).filter(|number| *number != 0),
        external_ips: parse_all(&spec.external_ips),
        load_balancer_ips,
        source_ranges: spec
            .load_balancer_source_ranges
            .iter()
            .flatten()
            .filter_map(|text| text.trim().parse().ok())
            .collect(),
        external_local,
        affinity_seconds: affinity.then(|| u32::try_from(timeout).unwrap_or(10_800)),
        cluster_endpoints: usable(&candidates, internal_local),
        local_endpoints: usable(&candidates, true),
        has_endpoints: !usable(&candidates, false).is_empty(),
    })
}

fn cluster_ips(spec: &ServiceSpec) -> Vec<IpAddr> {
    let single = || spec.cluster_ip.clone().map(|ip| vec![ip]);
    let texts = spec.cluster_ips.clone().filter(|ips| !ips.is_empty()).or_else(single).unwrap_or_default();
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn candidates(
    slices: &[impl AsRef<EndpointSlice>],
    port_name: &str,
    protocol: Protocol,
    ipv4: bool,
    node_name: &str,
) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    for slice in slices.iter().map(AsRef::as_ref) {
        if slice.address_type != if ipv4 { "IPv4" } else { "IPv6" } {
            continue;
        }
        let number = slice.ports.iter().flatten().find_map(|port| {
            let named = port.name.as_deref().unwrap_or_default() == port_name;
            let same = Protocol::parse(port.protocol.as_deref()) == Some(protocol);
            if named && same { u16::try_from(port.port?).ok() } else { None }
        });
        let Some(number) = number else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let Some(ip) = endpoint.addresses.first().and_then(|text| text.parse().ok()) else { continue };
            let conditions = endpoint.conditions.as_ref();
            let ready = conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
            found.push(Candidate {
                address: SocketAddr::new(ip, number),
                ready,
                serving: conditions.and_then(|conditions| conditions.serving).unwrap_or(ready),
                terminating: conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
                local: endpoint.node_name.as_deref() == Some(node_name),
            });
        }
    }
    // The same address may stand in two slices while the controller moves it.
    found.sort_by_key(|candidate| candidate.address);
    found.dedup_by_key(|candidate| candidate.address);
    found
}

/// Ready endpoints; while there are none, those that still serve on their way out.
fn usable(candidates: &[Candidate], local_only: bool) -> Vec<SocketAddr> {
    let choose = |fits: fn(&Candidate) -> bool| -> Vec<SocketAddr> {
        let chosen = candidates.iter().filter(|candidate| (!local_only || candidate.local) && fits(candidate));
        chosen.map(|candidate| candidate.address).collect()
    };
    let ready = choose(|candidate| candidate.ready);
    if ready.is_empty() { choose(|candidate| candidate.serving && candidate.terminating) } else { ready }
}

#[cfg(test)]
mod tests;
