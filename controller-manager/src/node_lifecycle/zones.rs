//! How fast nodes of a zone may be tainted NoExecute: many silent nodes at once are rather our trouble than theirs.
//!
//! Normal: one node every ten seconds. More than half of at least three nodes silent: slower in large zones, not at all
//! in small ones. Every node of every zone silent: not at all, and taints put on before are taken off.
//!
//! Upstream: nodelifecycle.handleDisruption, ComputeZoneState.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;

use super::plan::ready;
use crate::meta;

const LARGE_CLUSTER: usize = 50;
const NORMAL: Duration = Duration::from_secs(10);
const LARGE_DISRUPTION: Duration = Duration::from_secs(100);
const UNHEALTHY: f64 = 0.55;

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    ready: usize,
    silent: usize,
}

#[derive(Debug, Default)]
pub(super) struct Zones {
    counts: HashMap<String, Count>,
    /// When the next node of a zone may be tainted.
    next: HashMap<String, Timestamp>,
}

fn zone(node: &Node) -> String {
    let label = |name| meta::labels(&node.metadata).get(name).cloned().unwrap_or_default();
    format!("{}:{}", label("topology.kubernetes.io/region"), label("topology.kubernetes.io/zone"))
}

impl Zones {
    /// Counts anew; true if the cluster fell silent altogether, or came back.
    pub(super) fn update<'a>(&mut self, nodes: impl Iterator<Item = &'a Node>) -> bool {
        let before = self.is_everything_silent();
        self.counts.clear();
        for node in nodes {
            if meta::labels(&node.metadata).contains_key("node.kubernetes.io/exclude-disruption") {
                continue;
            }
            let count = self.counts.entry(zone(node)).or_default();
            if ready(node).is_some_and(|ready| ready.status == "True") {
                count.ready += 1;
            } else {
                count.silent += 1;
            }
        }
        before != self.is_everything_silent()
    }

    pub(super) fn is_everything_silent(&self) -> bool {
        !self.counts.is_empty() && self.counts.values().all(|count| count.ready == 0 && count.silent > 0)
    }

    /// Time between two nodes of a zone; `None` stops it.
    fn interval(&self, zone: &str) -> Option<Duration> {
        if self.is_everything_silent() {
            return None;
        }
        let count = self.counts.get(zone).copied().unwrap_or_default();
        let total = count.ready + count.silent;
        #[allow(clippy::cast_precision_loss)]
        let share = count.silent as f64 / total.max(1) as f64;
        match (count.ready > 0 && count.silent > 2 && share >= UNHEALTHY, total > LARGE_CLUSTER) {
            (false, _) => Some(NORMAL),
            (true, true) => Some(LARGE_DISRUPTION),
            (true, false) => None,
        }
    }

    /// Takes the permit to taint this node; else says when to ask again, if ever.
    pub(super) fn permit(&mut self, node: &Node, now: Timestamp) -> Result<(), Option<Duration>> {
        let zone = zone(node);
        let Some(interval) = self.interval(&zone) else { return Err(None) };
        if let Some(wait) = self.next.get(&zone).and_then(|next| meta::until(*next, now)) {
            return Err(Some(wait));
        }
        self.next.insert(zone, now.checked_add(interval).unwrap_or(now));
        Ok(())
    }
}
