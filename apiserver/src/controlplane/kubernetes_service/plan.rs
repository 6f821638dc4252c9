//! What Endpoints and EndpointSlice of the Service `kubernetes` are to say, and which writes make them say so. Pure.
//!
//! Upstream: reconcilers.leaseEndpointReconciler, .masterCountEndpointReconciler, .EndpointsAdapter.

use std::net::IpAddr;

use json::{Value, json};

use crate::registry::bootstrap::Write;
use crate::registry::fields::{items, object_mut, remove, set, text};

/// What is to be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Of all servers.
    pub(super) addresses: &'a [IpAddr],
    /// This server's.
    pub(super) port: u16,
    /// Whether a port that is there already is made this server's.
    pub(super) port_follows: bool,
}

/// The writes, given what is there.
pub(super) fn plan(wanted: Wanted<'_>, endpoints: Option<&Value>, slice: Option<&Value>) -> Vec<Write> {
    let desired = desired_endpoints(wanted, endpoints);
    let desired_slice = desired_slice(&desired, slice);
    let mut writes = Vec::new();
    match endpoints {
        None => writes.push(Write::Create(desired)),
        Some(existing) if *existing != desired => writes.push(Write::Update(desired)),
        Some(_) => {}
    }
    match slice {
        None => writes.push(Write::Create(desired_slice)),
        // The family of a slice cannot be changed.
        Some(existing) if text(existing, "addressType") != text(&desired_slice, "addressType") => {
            writes.push(Write::Recreate(desired_slice));
        }
        Some(existing) if *existing != desired_slice => writes.push(Write::Update(desired_slice)),
        Some(_) => {}
    }
    writes
}

/// The addresses where so many servers are said to be, and none says whether it lives: those that are there and one's own, without the ones
/// next to it where they are too many.
pub(super) fn counted(endpoints: Option<&Value>, own: IpAddr, count: usize) -> Vec<IpAddr> {
    let mut addresses = present(endpoints);
    if addresses.contains(&own) && addresses.len() <= count {
        return addresses;
    }
    addresses.push(own);
    sort(&mut addresses);
    while addresses.len() > count.max(1) {
        let at = addresses.iter().position(|address| *address == own).unwrap_or_default();
        addresses.remove((at + 1) % addresses.len());
    }
    addresses
}

/// The addresses that are there.
pub(super) fn present(endpoints: Option<&Value>) -> Vec<IpAddr> {
    let first = endpoints.and_then(|object| items(object, "subsets").first());
    let addresses = first.map_or(&[][..], |subset| items(subset, "addresses"));
    addresses.iter().filter_map(|address| text(address, "ip").parse().ok()).collect()
}

/// As upstream sorts them: by their text.
fn sort(addresses: &mut Vec<IpAddr>) {
    addresses.sort_by_key(IpAddr::to_string);
    addresses.dedup();
}

fn desired_endpoints(wanted: Wanted<'_>, existing: Option<&Value>) -> Value {
    let mut desired = existing.cloned().unwrap_or_else(
        || json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "kubernetes", "namespace": "default"}}),
    );
    // The controller that makes slices of endpoints is to leave these alone.
    set(object_mut(&mut desired["metadata"], "labels"), "endpointslice.kubernetes.io/skip-mirror", "true");
    if wanted.addresses.is_empty() {
        remove(&mut desired, "subsets");
        return desired;
    }
    let kept = match items(&desired, "subsets") {
        [subset] => Some(subset.clone()),
        _ => None,
    };
    let mut subset = kept.unwrap_or_else(|| json!({}));
    let mut addresses = wanted.addresses.to_vec();
    sort(&mut addresses);
    let mut there = present(Some(&desired));
    let as_many = there.len() == items(&subset, "addresses").len();
    sort(&mut there);
    if !as_many || there != addresses || items(&subset, "addresses").len() != addresses.len() {
        let addresses: Vec<Value> = addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
        set(&mut subset, "addresses", addresses);
        remove(&mut subset, "notReadyAddresses");
    }
    if wanted.port_follows || items(&subset, "ports").is_empty() {
        set(&mut subset, "ports", json!([{"name": "https", "port": wanted.port, "protocol": "TCP"}]));
    }
    set(&mut desired, "subsets", vec![subset]);
    desired
}

/// The slice that says the same as the endpoints.
fn desired_slice(endpoints: &Value, existing: Option<&Value>) -> Value {
    let addresses = present(Some(endpoints));
    let is_v6 = !addresses.is_empty() && addresses.iter().all(IpAddr::is_ipv6);
    let family = if is_v6 { "IPv6" } else { "IPv4" };
    let fresh = || {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default"}, "addressType": family, "endpoints": [],
        })
    };
    let mut desired = match existing.filter(|slice| text(slice, "addressType") == family) {
        Some(slice) => slice.clone(),
        None => fresh(),
    };
    set(&mut desired["metadata"], "labels", json!({"kubernetes.io/service-name": "kubernetes"}));
    let ready = |address: &IpAddr| json!({"addresses": [address.to_string()], "conditions": {"ready": true}});
    let ready: Vec<Value> = addresses.iter().filter(|address| address.is_ipv6() == is_v6).map(ready).collect();
    set(&mut desired, "endpoints", ready);
    match items(endpoints, "subsets").first() {
        Some(subset) => set(&mut desired, "ports", subset["ports"].clone()),
        None => {
            remove(&mut desired, "ports");
        }
    }
    desired
}
