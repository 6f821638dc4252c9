//! Fields of a Service that belong together, and what an update leaves out and means to keep.
//! Upstream: normalizeClusterIPs, patchAllocatedValues, dropTypeDependentFields.

use json::{Value, json};

use super::super::super::fields::{at, items, items_mut, object_mut, remove, set, text};
use super::super::super::validation::same;
use super::{is_external_name, kind, needs_health_check, needs_node_ports};

/// Makes `clusterIP` and `clusterIPs` agree, guessing which one the client changed.
pub(super) fn cluster_ips(new: &mut Value, old: Option<&Value>) {
    let one = |service: &Value| text(&service["spec"], "clusterIP").to_owned();
    let many = |service: &Value| items(&service["spec"], "clusterIPs").to_vec();
    let own = one(new);
    let Some(old) = old else {
        if !own.is_empty() && many(new).is_empty() {
            set(object_mut(new, "spec"), "clusterIPs", json!([own]));
        }
        return;
    };
    let before = one(old);
    if !many(old).is_empty() && many(new).is_empty() && own == before {
        set(object_mut(new, "spec"), "clusterIPs", many(old));
    }
    // Upstream compares the lists alone here.
    if own != before && many(new) == many(old) {
        if own.is_empty() && !before.is_empty() {
            remove(object_mut(new, "spec"), "clusterIPs");
        } else {
            set(object_mut(new, "spec"), "clusterIPs", json!([own]));
        }
    }
}

/// Addresses and ports the client did not repeat stay as they are.
pub(super) fn keep_allocated(new: &mut Value, old: &Value) {
    if !is_external_name(old) && !is_external_name(new) {
        let before = text(&old["spec"], "clusterIP");
        if text(&new["spec"], "clusterIP").is_empty() && !before.is_empty() {
            set(object_mut(new, "spec"), "clusterIP", before);
        }
        let before = items(&old["spec"], "clusterIPs");
        if items(&new["spec"], "clusterIPs").is_empty() && !before.is_empty() {
            set(object_mut(new, "spec"), "clusterIPs", before.to_vec());
        }
    }
    if needs_node_ports(old) && needs_node_ports(new) {
        let node_port = |port: &Value| port["nodePort"].as_i64().unwrap_or(0);
        let used: Vec<i64> = items(&new["spec"], "ports").iter().map(node_port).filter(|port| *port != 0).collect();
        let before = items(&old["spec"], "ports");
        for port in items_mut(object_mut(new, "spec"), "ports") {
            if node_port(port) != 0 {
                continue;
            }
            let name = text(port, "name");
            let kept = before.iter().rev().find(|old| text(old, "name") == name).map_or(0, node_port);
            if kept != 0 && !used.contains(&kept) {
                set(port, "nodePort", kept);
            }
        }
    }
    if needs_health_check(old) && needs_health_check(new) {
        let before = at(old, &["spec", "healthCheckNodePort"]).clone();
        if at(new, &["spec", "healthCheckNodePort"]).as_i64().unwrap_or(0) == 0 && !before.is_null() {
            set(object_mut(new, "spec"), "healthCheckNodePort", before);
        }
    }
}

/// Clears what the new type has no use for, if the client did not change it as well.
pub(super) fn drop_by_type(new: &mut Value, old: &Value) {
    let unchanged = |new: &Value, key: &str| same(at(new, &["spec", key]), at(old, &["spec", key]));
    let drop = |new: &mut Value, key: &str| {
        if unchanged(new, key) {
            remove(object_mut(new, "spec"), key);
        }
    };
    if !is_external_name(old) && is_external_name(new) {
        if unchanged(new, "clusterIP") && unchanged(new, "clusterIPs") {
            remove(object_mut(new, "spec"), "clusterIP");
            remove(object_mut(new, "spec"), "clusterIPs");
        }
        drop(new, "ipFamilies");
        drop(new, "ipFamilyPolicy");
        drop(new, "internalTrafficPolicy");
    }
    if needs_node_ports(old) && !needs_node_ports(new) {
        let ports = |service: &Value| {
            items(&service["spec"], "ports").iter().filter_map(|port| port["nodePort"].as_i64()).collect::<Vec<_>>()
        };
        let before = ports(old);
        if ports(new).iter().all(|port| *port == 0 || before.contains(port)) {
            items_mut(object_mut(new, "spec"), "ports").for_each(|port| {
                remove(port, "nodePort");
            });
        }
    }
    if needs_health_check(old) && !needs_health_check(new) {
        drop(new, "healthCheckNodePort");
    }
    if kind(old) == "LoadBalancer" && kind(new) != "LoadBalancer" {
        drop(new, "allocateLoadBalancerNodePorts");
        drop(new, "loadBalancerClass");
    }
    if super::validate::externally_accessible(old) && !super::validate::externally_accessible(new) {
        drop(new, "externalTrafficPolicy");
    }
    if kind(new) != "LoadBalancer" {
        set(new, "status", json!({"loadBalancer": {}}));
    }
}
