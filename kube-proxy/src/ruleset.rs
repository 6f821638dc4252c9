//! The rules of one Service as a value, and the difference between what is installed and what should be.
//!
//! A [`Fragment`] holds everything one Service adds to the tables: chains, sets and elements of the shared maps.
//! Nothing here talks to the kernel; [`crate::nftables`] renders a [`Plan`] as one transaction.
//!
//! ```text
//! map service-ips       address . protocol . port : goto service-X | external-X
//! map service-nodeports           protocol . port : goto service-X | external-X
//! map no-endpoint-*                               : goto reject-chain | drop
//! service-X   [mark foreign sources] [affinity] numgen random mod n vmap { 0 : goto endpoint-A, ... }
//! external-X  [guard sources] [mark] goto service-X, or choose among local endpoints
//! endpoint-A  [mark hairpin] [remember affinity] dnat to A
//! ```

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use client::Key;
use sha2::{Digest, Sha256};

use crate::Config;
use crate::model::{Protocol, ServicePort};

/// Address family: each has a table of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// nft's word for the family and for its addresses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }
}

/// A place in a shared map or set: family, map, key.
pub(crate) type Element = (Family, &'static str, String);

/// What one Service adds to the tables.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Fragment {
    /// Rules by chain.
    pub(crate) chains: BTreeMap<(Family, String), Vec<String>>,
    /// Affinity sets: name to seconds.
    pub(crate) sets: BTreeMap<(Family, String), u32>,
    /// Map elements with their verdict; set elements with an empty one.
    pub(crate) elements: BTreeMap<Element, String>,
    /// UDP addresses with the endpoints behind, whose flows must be forgotten when an endpoint goes.
    pub(crate) udp: BTreeSet<(SocketAddr, SocketAddr)>,
}

/// What is to be done to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) add_sets: BTreeMap<(Family, String), u32>,
    pub(crate) fill_chains: BTreeMap<(Family, String), Vec<String>>,
    pub(crate) delete_elements: BTreeMap<Element, String>,
    pub(crate) add_elements: BTreeMap<Element, String>,
    pub(crate) delete_chains: BTreeSet<(Family, String)>,
    pub(crate) delete_sets: BTreeSet<(Family, String)>,
    pub(crate) stale_udp: BTreeSet<(SocketAddr, SocketAddr)>,
    fragments: Vec<(Key, Fragment)>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.add_sets.is_empty()
            && self.fill_chains.is_empty()
            && self.delete_elements.is_empty()
            && self.add_elements.is_empty()
            && self.delete_chains.is_empty()
            && self.delete_sets.is_empty()
    }
}

/// The fragments in the kernel.
#[derive(Debug, Default)]
pub(crate) struct Installed {
    fragments: HashMap<Key, Fragment>,
    /// Which Service an element belongs to: the first of two that claim it keeps it.
    owners: HashMap<Element, Key>,
    /// False until the tables were written as a whole.
    pub(crate) complete: bool,
}

impl Installed {
    /// The way from what is installed to the given fragments; an empty fragment removes its Service.
    pub(crate) fn plan(&self, wanted: impl IntoIterator<Item = (Key, Fragment)>) -> Plan {
        let mut plan = Plan::default();
        let nothing = Fragment::default();
        let mut claimed: HashMap<Element, Key> = HashMap::new();
        for (key, mut fragment) in wanted {
            fragment.elements.retain(|element, _| {
                let owner = claimed.get(element).or_else(|| self.owners.get(element));
                let free = owner.is_none_or(|owner| *owner == key);
                if free {
                    claimed.insert(element.clone(), key.clone());
                } else {
                    tracing::warn!(service = %key, address = element.2, "another Service answers there already");
                }
                free
            });
            plan.add_difference(self.fragments.get(&key).unwrap_or(&nothing), &fragment);
            plan.fragments.push((key, fragment));
        }
        plan
    }

    /// Remembers a plan that the kernel took.
    pub(crate) fn commit(&mut self, plan: Plan) {
        self.complete = true;
        for element in plan.delete_elements.keys() {
            self.owners.remove(element);
        }
        for (key, fragment) in plan.fragments {
            for element in fragment.elements.keys() {
                self.owners.insert(element.clone(), key.clone());
            }
            if fragment == Fragment::default() {
                self.fragments.remove(&key);
            } else {
                self.fragments.insert(key, fragment);
            }
        }
    }
}

impl Plan {
    fn add_difference(&mut self, old: &Fragment, new: &Fragment) {
        for (name, seconds) in &new.sets {
            if old.sets.get(name) != Some(seconds) {
                self.add_sets.insert(name.clone(), *seconds);
            }
        }
        for (name, rules) in &new.chains {
            if old.chains.get(name) != Some(rules) {
                self.fill_chains.insert(name.clone(), rules.clone());
            }
        }
        for (element, verdict) in &old.elements {
            if new.elements.get(element) != Some(verdict) {
                self.delete_elements.insert(element.clone(), verdict.clone());
            }
        }
        for (element, verdict) in &new.elements {
            if old.elements.get(element) != Some(verdict) {
                self.add_elements.insert(element.clone(), verdict.clone());
            }
        }
        self.delete_chains.extend(old.chains.keys().filter(|name| !new.chains.contains_key(*name)).cloned());
        self.delete_sets.extend(old.sets.keys().filter(|name| !new.sets.contains_key(*name)).cloned());
        self.stale_udp.extend(old.udp.difference(&new.udp).copied());
    }
}

/// The rules of a Service's ports.
pub(crate) fn fragment(ports: &[ServicePort], config: &Config) -> Fragment {
    let mut fragment = Fragment::default();
    for port in ports {
        add_port(&mut fragment, port, config);
    }
    fragment
}

fn add_port(fragment: &mut Fragment, port: &ServicePort, config: &Config) {
    let family = Family::of(&port.cluster_ip);
    let ip = family.as_str();
    let protocol = port.protocol.as_str();
    let (service_chain, external_chain) = (chain_name("service", port, ""), chain_name("external", port, ""));
    fragment.elements.insert((family, "cluster-ips", port.cluster_ip.to_string()), String::new());

    let inside = format!("{} . {protocol} . {}", port.cluster_ip, port.port);
    if port.cluster_endpoints.is_empty() {
        // Endpoints on other nodes only, with an internal policy of Local: upstream drops instead of refusing.
        let verdict = if port.has_endpoints { "drop" } else { "goto reject-chain" };
        fragment.elements.insert((family, "no-endpoint-services", inside), verdict.to_owned());
    } else {
        fragment.elements.insert((family, "service-ips", inside), format!("goto {service_chain}"));
        let mut rules = Vec::new();
        rules.extend(masquerade_rules(family, port, config));
        rules.extend(choice(fragment, family, port, &port.cluster_endpoints));
        fragment.chains.insert((family, service_chain.clone()), rules);
    }

    let outside = outside_addresses(port, family);
    if outside.is_empty() {
        return;
    }
    let endpoints = if port.external_local { &port.local_endpoints } else { &port.cluster_endpoints };
    if endpoints.is_empty() {
        let verdict = if port.has_endpoints { "drop" } else { "goto reject-chain" };
        for (map, key) in outside {
            let map = if map == "service-ips" { "no-endpoint-services" } else { "no-endpoint-nodeports" };
            fragment.elements.insert((family, map, key), verdict.to_owned());
        }
        return;
    }
    let mut rules = source_guard(port, ip);
    if port.external_local {
        // Pods and this node see the whole Service; others reach local endpoints and keep their address.
        if !port.cluster_endpoints.is_empty() {
            for cidr in config.cluster_cidr.iter().filter(|cidr| Family::of(&cidr.addr()) == family) {
                rules.push(format!("{ip} saddr {cidr} goto {service_chain}"));
            }
            rules.push("fib saddr type local jump mark-for-masquerade".to_owned());
            rules.push(format!("fib saddr type local goto {service_chain}"));
        }
        rules.extend(choice(fragment, family, port, endpoints));
    } else {
        rules.push("jump mark-for-masquerade".to_owned());
        rules.push(format!("goto {service_chain}"));
    }
    fragment.chains.insert((family, external_chain.clone()), rules);
    for (map, key) in outside {
        fragment.elements.insert((family, map, key), format!("goto {external_chain}"));
    }
}

/// Where a port answers besides the cluster address: map and key.
fn outside_addresses(port: &ServicePort, family: Family) -> Vec<(&'static str, String)> {
    let protocol = port.protocol.as_str();
    let mut places: Vec<(&'static str, String)> = port
        .external_ips
        .iter()
        .chain(&port.load_balancer_ips)
        .filter(|address| Family::of(address) == family)
        .map(|address| ("service-ips", format!("{address} . {protocol} . {}", port.port)))
        .collect();
    if let Some(node_port) = port.node_port {
        places.push(("service-nodeports", format!("{protocol} . {node_port}")));
    }
    places
}

fn masquerade_rules(family: Family, port: &ServicePort, config: &Config) -> Vec<String> {
    let ip = family.as_str();
    let to_cluster = format!("{ip} daddr {} {} dport {}", port.cluster_ip, port.protocol.as_str(), port.port);
    if config.masquerade_all {
        return vec![format!("{to_cluster} jump mark-for-masquerade")];
    }
    let inside: Vec<String> =
        config.cluster_cidr.iter().filter(|cidr| Family::of(&cidr.addr()) == family).map(ToString::to_string).collect();
    match inside.as_slice() {
        [] => Vec::new(),
        [one] => vec![format!("{to_cluster} {ip} saddr != {one} jump mark-for-masquerade")],
        several => vec![format!("{to_cluster} {ip} saddr != {{ {} }} jump mark-for-masquerade", several.join(", "))],
    }
}

/// Load balancers with source ranges: others are dropped.
fn source_guard(port: &ServicePort, ip: &str) -> Vec<String> {
    let v4 = port.cluster_ip.is_ipv4();
    let ranges: Vec<String> =
        port.source_ranges.iter().filter(|range| range.addr().is_ipv4() == v4).map(ToString::to_string).collect();
    if ranges.is_empty() || port.load_balancer_ips.is_empty() {
        return Vec::new();
    }
    let balancers: Vec<String> = port.load_balancer_ips.iter().map(ToString::to_string).collect();
    vec![format!("{ip} daddr {{ {} }} {ip} saddr != {{ {} }} drop", balancers.join(", "), ranges.join(", "))]
}

/// The rules that choose one of `endpoints`, whose chains are added on the way.
fn choice(fragment: &mut Fragment, family: Family, port: &ServicePort, endpoints: &[SocketAddr]) -> Vec<String> {
    let ip = family.as_str();
    let mut rules = Vec::new();
    let mut targets = Vec::new();
    for endpoint in endpoints {
        let text = endpoint.to_string();
        let chain = chain_name("endpoint", port, &text);
        let mut steps = vec![format!("{ip} saddr {} jump mark-for-masquerade", endpoint.ip())];
        if let Some(seconds) = port.affinity_seconds {
            let set = chain_name("affinity", port, &text);
            steps.push(format!("update @{set} {{ {ip} saddr }}"));
            rules.push(format!("{ip} saddr @{set} goto {chain}"));
            fragment.sets.insert((family, set), seconds);
        }
        steps.push(format!("meta l4proto {} dnat to {text}", port.protocol.as_str()));
        fragment.chains.insert((family, chain.clone()), steps);
        targets.push(chain);
        if port.protocol == Protocol::Udp {
            fragment.udp.insert((SocketAddr::new(port.cluster_ip, port.port), *endpoint));
        }
    }
    match targets.as_slice() {
        [only] => rules.push(format!("goto {only}")),
        several => {
            let arms: Vec<String> =
                several.iter().enumerate().map(|(at, chain)| format!("{at} : goto {chain}")).collect();
            rules.push(format!("numgen random mod {} vmap {{ {} }}", several.len(), arms.join(", ")));
        }
    }
    rules
}

/// A chain or set name: unique by hash, readable by what follows, within nft's limit of 128 characters.
fn chain_name(role: &str, port: &ServicePort, endpoint: &str) -> String {
    let protocol = port.protocol.as_str();
    let identity = format!(
        "{}/{protocol}/{}{}",
        port.service,
        port.port_name,
        if endpoint.is_empty() { String::new() } else { format!("__{endpoint}") }
    );
    let digest = Sha256::digest(identity.as_bytes());
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02X}")).collect();
    let readable: String = identity
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.') { c } else { '.' })
        .collect();
    let mut name = format!("{role}-{hash}-{readable}");
    name.truncate(120);
    name
}

#[cfg(test)]
mod tests;
