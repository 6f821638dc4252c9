//! The records of the cluster domain, by the Kubernetes DNS specification 1.1.0. Pure: a name and a type in, records out.
//!
//! ```text
//! SERVICE.NAMESPACE.svc.DOMAIN                      cluster addresses, or every ready endpoint when headless
//! ENDPOINT.SERVICE.NAMESPACE.svc.DOMAIN             one endpoint of a headless Service, by hostname or dashed address
//! _PORT._PROTOCOL.SERVICE.NAMESPACE.svc.DOMAIN      SRV
//! 10-0-0-1.NAMESPACE.pod.DOMAIN                     the address itself, in a namespace that exists
//! dns-version.DOMAIN                                TXT 1.1.0
//! 1.0.0.10.in-addr.arpa                             PTR of cluster addresses and of endpoints of headless Services
//! ```

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::Error;
use crate::directory::{Lookup, cluster_ips, service_of};

/// What a name gives.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// Records, and further ones that save the client a question.
    Records(Vec<Record>, Vec<Record>),
    /// An alias to a name outside the cluster, to be followed.
    Alias(Box<Record>, Name),
    /// The name exists, with no record of this type.
    NoData,
    /// No such name in the cluster domain.
    NoName,
    /// A name that is not the cluster's to answer.
    Elsewhere,
}

/// The cluster domain.
#[derive(Debug)]
pub(crate) struct Zone {
    domain: Name,
    ttl: u32,
}

impl Zone {
    pub(crate) fn new(domain: &str, ttl: u32) -> Result<Self, Error> {
        let text = format!("{}.", domain.trim_end_matches('.'));
        let domain = Name::from_ascii(&text).map_err(|_| Error::Domain(domain.to_owned()))?;
        Ok(Self { domain: domain.to_lowercase(), ttl })
    }

    /// The start of authority that goes with "no such record", which also says how long to believe it.
    pub(crate) fn authority(&self) -> Record {
        let server = self.name(&["ns", "dns"]);
        let contact = self.name(&["hostmaster"]);
        let soa = SOA::new(server, contact, 1, 7200, 1800, 86400, self.ttl);
        Record::from_rdata(self.domain.clone(), self.ttl, RData::SOA(soa))
    }

    /// Answers a question about `name`, which keeps the case it was asked in.
    pub(crate) fn find(&self, lookup: &impl Lookup, name: &Name, kind: RecordType) -> Found {
        if self.domain.zone_of(name) {
            let labels = labels(name, usize::from(name.num_labels() - self.domain.num_labels()));
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            return self.in_domain(lookup, name, kind, &labels);
        }
        match name.parse_arpa_name() {
            Ok(net) => self.reverse(lookup, name, kind, net.addr(), net.prefix_len() == net.max_prefix_len()),
            Err(_) => Found::Elsewhere,
        }
    }

    fn in_domain(&self, lookup: &impl Lookup, name: &Name, kind: RecordType, labels: &[&str]) -> Found {
        match labels {
            [] => self.apex(name, kind),
            ["svc" | "pod"] => Found::NoData,
            ["dns-version"] => self.typed(name, kind, RecordType::TXT, RData::TXT(TXT::new(vec!["1.1.0".to_owned()]))),
            [namespace, "svc" | "pod"] if lookup.namespace_exists(namespace) => Found::NoData,
            [address, namespace, "pod"] if lookup.namespace_exists(namespace) => self.pod(name, kind, address),
            [service, namespace, "svc"] => match lookup.service(namespace, service) {
                Some(found) => self.service(lookup, name, kind, &found),
                None => Found::NoName,
            },
            [first, second, service, namespace, "svc"] => {
                let (Some(port), Some(protocol)) = (first.strip_prefix('_'), second.strip_prefix('_')) else {
                    return Found::NoName;
                };
                match lookup.service(namespace, service) {
                    Some(found) => self.srv(lookup, name, kind, &found, Some((port, protocol))),
                    None => Found::NoName,
                }
            }
            [endpoint, service, namespace, "svc"] => self.endpoint(lookup, name, kind, [endpoint, service, namespace]),
            _ => Found::NoName,
        }
    }

    fn apex(&self, name: &Name, kind: RecordType) -> Found {
        match kind {
            RecordType::SOA => Found::Records(vec![self.authority()], Vec::new()),
            RecordType::NS => self.one(name, RData::NS(NS(self.name(&["ns", "dns"])))),
            _ => Found::NoData,
        }
    }

    fn pod(&self, name: &Name, kind: RecordType, dashed: &str) -> Found {
        match undash(dashed) {
            Some(address) => self.addresses(name, kind, [address]),
            None => Found::NoName,
        }
    }

    fn service(&self, lookup: &impl Lookup, name: &Name, kind: RecordType, service: &Service) -> Found {
        let spec = service.spec.as_ref();
        if spec.and_then(|spec| spec.type_.as_deref()) == Some("ExternalName") {
            let target = spec.and_then(|spec| spec.external_name.as_deref()).unwrap_or_default();
            return match Name::from_utf8(format!("{}.", target.trim_end_matches('.'))) {
                Ok(target) => Found::Alias(Box::new(self.record(name, RData::CNAME(CNAME(target.clone())))), target),
                Err(_) => Found::NoData,
            };
        }
        if kind == RecordType::SRV {
            return self.srv(lookup, name, kind, service, None);
        }
        let addresses = cluster_ips(service);
        if !addresses.is_empty() {
            return self.addresses(name, kind, addresses.iter().filter_map(|ip| ip.parse().ok()));
        }
        let endpoints = headless_endpoints(lookup, service);
        if endpoints.is_empty() {
            // A headless Service without endpoints has no name, as upstream answers.
            return Found::NoName;
        }
        self.addresses(name, kind, endpoints.iter().map(|endpoint| endpoint.address))
    }

    fn endpoint(&self, lookup: &impl Lookup, name: &Name, kind: RecordType, path: [&str; 3]) -> Found {
        let [endpoint, service, namespace] = path;
        let Some(service) = lookup.service(namespace, service).filter(|service| cluster_ips(service).is_empty()) else {
            return Found::NoName;
        };
        let named: Vec<IpAddr> = headless_endpoints(lookup, &service)
            .into_iter()
            .filter(|candidate| candidate.label.eq_ignore_ascii_case(endpoint))
            .map(|candidate| candidate.address)
            .collect();
        if named.is_empty() { Found::NoName } else { self.addresses(name, kind, named) }
    }

    /// SRV records of a Service; of one port when `wanted` names it, of all named ports otherwise.
    fn srv(
        &self,
        lookup: &impl Lookup,
        name: &Name,
        kind: RecordType,
        service: &Service,
        wanted: Option<(&str, &str)>,
    ) -> Found {
        let matches = |port: Option<&str>, protocol: Option<&str>| match wanted {
            None => true,
            Some((wanted_port, wanted_protocol)) => {
                let port_matches =
                    wanted_port == "*" || port.is_some_and(|port| port.eq_ignore_ascii_case(wanted_port));
                port_matches && protocol.unwrap_or("TCP").eq_ignore_ascii_case(wanted_protocol)
            }
        };
        let own = self.service_name(service);
        let mut targets = BTreeSet::new();
        if cluster_ips(service).is_empty() {
            for endpoint in headless_endpoints(lookup, service) {
                let target = own.prepend_label(endpoint.label.as_bytes()).unwrap_or_else(|_| own.clone());
                for (port, protocol, number) in &endpoint.ports {
                    if matches(Some(port), Some(protocol)) {
                        targets.insert((target.clone(), *number, endpoint.address));
                    }
                }
            }
        } else {
            let addresses: Vec<IpAddr> = cluster_ips(service).iter().filter_map(|ip| ip.parse().ok()).collect();
            for port in service.spec.iter().flat_map(|spec| spec.ports.iter().flatten()) {
                if matches(port.name.as_deref(), port.protocol.as_deref()) {
                    let number = u16::try_from(port.port).unwrap_or(0);
                    targets.extend(addresses.iter().map(|address| (own.clone(), number, *address)));
                }
            }
        }
        if targets.is_empty() {
            return Found::NoName;
        }
        if kind != RecordType::SRV && kind != RecordType::ANY {
            return Found::NoData;
        }
        let names: BTreeSet<_> = targets.iter().map(|(target, number, _)| (target.clone(), *number)).collect();
        let weight = u16::try_from(100 / names.len().max(1)).unwrap_or(1).max(1);
        let answers = names
            .into_iter()
            .map(|(target, number)| self.record(name, RData::SRV(SRV::new(0, weight, number, target))))
            .collect();
        let hosts: BTreeSet<_> = targets.into_iter().map(|(target, _, address)| (target, address)).collect();
        let additional =
            hosts.into_iter().map(|(target, address)| self.record(&target, address_data(address))).collect();
        Found::Records(answers, additional)
    }

    fn reverse(&self, lookup: &impl Lookup, name: &Name, kind: RecordType, address: IpAddr, whole: bool) -> Found {
        if !whole {
            return Found::Elsewhere;
        }
        if let Some(service) = lookup.service_at(address) {
            return self.typed(name, kind, RecordType::PTR, RData::PTR(PTR(self.service_name(&service))));
        }
        let mut names = Vec::new();
        for slice in lookup.slices_at(address) {
            let Some(owner) = service_of(&slice) else { continue };
            let Some((namespace, service)) = owner.split_once('/') else { continue };
            let Some(service) = lookup.service(namespace, service) else { continue };
            let own = self.service_name(&service);
            for endpoint in endpoints_of(&slice, publishes_not_ready(&service)) {
                // An address alone names nobody: only endpoints with a hostname have a reverse name.
                if endpoint.address == address && endpoint.has_hostname {
                    names.extend(own.prepend_label(endpoint.label.as_bytes()));
                }
            }
        }
        if names.is_empty() {
            return Found::Elsewhere;
        }
        if kind != RecordType::PTR && kind != RecordType::ANY {
            return Found::NoData;
        }
        Found::Records(names.into_iter().map(|target| self.record(name, RData::PTR(PTR(target)))).collect(), Vec::new())
    }

    fn addresses(&self, name: &Name, kind: RecordType, addresses: impl IntoIterator<Item = IpAddr>) -> Found {
        let unique: BTreeSet<IpAddr> = addresses.into_iter().collect();
        let records: Vec<Record> = unique
            .into_iter()
            .filter(|address| match kind {
                RecordType::A => address.is_ipv4(),
                RecordType::AAAA => address.is_ipv6(),
                RecordType::ANY => true,
                _ => false,
            })
            .map(|address| self.record(name, address_data(address)))
            .collect();
        if records.is_empty() { Found::NoData } else { Found::Records(records, Vec::new()) }
    }

    fn typed(&self, name: &Name, asked: RecordType, kind: RecordType, data: RData) -> Found {
        if asked == kind || asked == RecordType::ANY { self.one(name, data) } else { Found::NoData }
    }

    fn one(&self, name: &Name, data: RData) -> Found {
        Found::Records(vec![self.record(name, data)], Vec::new())
    }

    fn record(&self, name: &Name, data: RData) -> Record {
        Record::from_rdata(name.clone(), self.ttl, data)
    }

    fn service_name(&self, service: &Service) -> Name {
        let namespace = service.metadata.namespace.as_deref().unwrap_or_default();
        self.name(&[service.metadata.name.as_deref().unwrap_or_default(), namespace, "svc"])
    }

    /// A name below the domain. API validation keeps names within DNS's limits; what does not fit gives the domain.
    fn name(&self, labels: &[&str]) -> Name {
        Name::from_labels(labels.iter().map(|label| label.as_bytes()))
            .and_then(|name| name.append_domain(&self.domain))
            .unwrap_or_else(|_| self.domain.clone())
    }
}

/// An endpoint of a headless Service.
struct HeadlessEndpoint {
    address: IpAddr,
    /// Its name below the Service: the hostname, or the address with dashes.
    label: String,
    has_hostname: bool,
    /// Port name, protocol, number.
    ports: Vec<(String, String, u16)>,
}

fn headless_endpoints(lookup: &impl Lookup, service: &Service) -> Vec<HeadlessEndpoint> {
    let meta = &service.metadata;
    let slices = lookup.slices(meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    let not_ready_too = publishes_not_ready(service);
    slices.iter().flat_map(|slice| endpoints_of(slice, not_ready_too)).collect()
}

fn endpoints_of(slice: &EndpointSlice, not_ready_too: bool) -> Vec<HeadlessEndpoint> {
    let ports: Vec<_> = slice
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            let number = u16::try_from(port.port?).ok()?;
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            Some((port.name.clone().unwrap_or_default(), protocol, number))
        })
        .collect();
    let mut found = Vec::new();
    for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| not_ready_too || is_ready(endpoint)) {
        let addresses = endpoint.addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok());
        found.extend(addresses.map(|address| HeadlessEndpoint {
            address,
            label: endpoint.hostname.clone().unwrap_or_else(|| dash(address)),
            has_hostname: endpoint.hostname.is_some(),
            ports: ports.clone(),
        }));
    }
    found
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

fn address_data(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    }
}

fn dash(address: IpAddr) -> String {
    address.to_string().replace(['.', ':'], "-")
}

/// `10-0-0-1` or `fd00--1` as an address.
fn undash(text: &str) -> Option<IpAddr> {
    text.replace('-', ".").parse().or_else(|_| text.replace('-', ":").parse()).ok()
}

/// The first `count` labels, in lower case.
fn labels(name: &Name, count: usize) -> Vec<String> {
    name.iter().take(count).map(|label| String::from_utf8_lossy(label).to_lowercase()).collect()
}

#[cfg(test)]
mod tests;
