//! node-ipam-controller: gives every node its pod CIDR.
//!
//! The ranges in use are those the nodes carry, read once before the first allocation and followed by the watch; between
//! a write and its appearance in the cache a range is held in memory. Runs only with `--allocate-node-cidrs`.
//!
//! Upstream: pkg/controller/nodeipam/ipam (RangeAllocator).

mod cidr_set;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Change, Informer};
use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use serde_json::json;

use crate::engine::{Applier, Context, Controller, Error, Event, PatchKind, Requeue, Write};
use crate::meta;
use cidr_set::CidrSet;

/// Allocations are ordered by one worker: each takes what the one before left.
const WORKERS: usize = 1;

struct State {
    nodes: Informer<Node>,
    applier: Applier,
    /// One per family.
    sets: Mutex<Vec<CidrSet>>,
}

/// Runs the controller until shutdown; without cluster CIDRs there is nothing to give.
pub(crate) async fn run(context: Context, name: &'static str) {
    let config = &context.config;
    if !config.allocate_node_cidrs || config.cluster_cidr.is_empty() {
        return;
    }
    let mask = |range: &IpNet| match range {
        IpNet::V4(_) => config.node_cidr_mask_size_ipv4,
        IpNet::V6(_) => config.node_cidr_mask_size_ipv6,
    };
    let mut sets: Vec<CidrSet> = config.cluster_cidr.iter().map(|range| CidrSet::new(*range, mask(range))).collect();
    for set in &mut sets {
        config.service_cluster_ip_range.iter().for_each(|range| set.occupy(*range));
    }
    let state = Arc::new(State {
        nodes: context.informers.of(),
        applier: context.applier("cidrAllocator"),
        sets: Mutex::new(sets),
    });
    let (on_node, first) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .waits_for(async move {
            first.nodes.synced().await;
            for node in first.nodes.list() {
                first.occupy(&node);
            }
        })
        .watch(&state.nodes, move |change: &Change<Node>, queue| {
            match change {
                Change::Deleted(node) => on_node.release(node),
                Change::Applied { new, .. } => {
                    on_node.occupy(new);
                    if pod_cidrs(new).is_empty() && !meta::is_deleting(&new.metadata) {
                        queue.add(meta::name(&new.metadata).to_owned());
                    }
                }
            };
        })
        .run(WORKERS, move |name| state.clone().reconcile(name))
        .await;
}

fn pod_cidrs(node: &Node) -> Vec<IpNet> {
    let Some(spec) = &node.spec else { return Vec::new() };
    let all = spec.pod_cidrs.iter().flatten().chain(spec.pod_cidr.iter().filter(|_| spec.pod_cidrs.is_none()));
    all.filter_map(|text| text.parse().ok()).collect()
}

impl State {
    fn sets(&self) -> MutexGuard<'_, Vec<CidrSet>> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn occupy(&self, node: &Node) {
        let mut sets = self.sets();
        for range in pod_cidrs(node) {
            sets.iter_mut().for_each(|set| set.occupy(range));
        }
    }

    fn release(&self, node: &Node) {
        let mut sets = self.sets();
        for range in pod_cidrs(node) {
            sets.iter_mut().for_each(|set| set.release(range));
        }
    }

    /// One range a family, or none at all.
    fn take(&self) -> Option<Vec<IpNet>> {
        let mut sets = self.sets();
        let mut taken = Vec::new();
        for at in 0..sets.len() {
            match sets[at].take() {
                Some(range) => taken.push(range),
                None => {
                    for range in taken {
                        sets.iter_mut().for_each(|set| set.release(range));
                    }
                    return None;
                }
            }
        }
        Some(taken)
    }

    fn record(&self, node: &Node, status: &'static str) {
        let name = meta::name(&node.metadata);
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(name.to_owned()),
            uid: node.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        let message = format!("Node {name} status is now: {status}");
        self.applier.record(&Event { regarding, warning: false, reason: status, message });
    }

    async fn reconcile(self: Arc<Self>, name: String) -> Result<Requeue, Error> {
        let Some(node) = self.nodes.get("", &name).filter(|node| pod_cidrs(node).is_empty()) else {
            return Ok(Requeue::Done);
        };
        let Some(ranges) = self.take() else {
            self.record(&node, "CIDRNotAvailable");
            let message = "no pod CIDR is left".to_owned();
            return Err(Error::Invalid { object: format!("Node {name}"), message });
        };
        let texts: Vec<String> = ranges.iter().map(IpNet::to_string).collect();
        // The uid keeps a node registered anew from getting the range of the one before.
        let body = json!({"metadata": {"uid": node.metadata.uid}, "spec": {"podCIDR": texts[0], "podCIDRs": texts}});
        match self.applier.write(&Write::patch::<Node>(&node.metadata, PatchKind::Strategic, body)).await {
            Ok(_) => Ok(Requeue::Done),
            Err(error) => {
                let mut sets = self.sets();
                for range in ranges {
                    sets.iter_mut().for_each(|set| set.release(range));
                }
                drop(sets);
                if error.is_not_found() {
                    return Ok(Requeue::Done);
                }
                // It has ranges already, which are seen a moment later.
                if error.is_invalid() {
                    return Err(error);
                }
                self.record(&node, "CIDRAssignmentFailed");
                Err(error)
            }
        }
    }
}
