//! One node with what runs on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::objects::{HostPort, Node, Pod, Resources};

/// A node and the sums over its pods. Upstream: `framework.NodeInfo`.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeInfo {
    /// The node; an empty one while only pods of it were seen.
    pub node: Arc<Node>,
    /// Whether the node itself was seen.
    pub known: bool,
    /// Assigned and assumed pods.
    pub pods: Vec<Arc<Pod>>,
    /// How many of them have terms about other pods.
    pub with_affinity: usize,
    /// How many of them may keep others away.
    pub with_required_anti_affinity: usize,
    /// What they request.
    pub requested: Resources,
    /// CPU and memory, with a minimum for containers that request none.
    pub non_zero: (i64, i64),
    /// Host ports taken.
    pub ports: Vec<HostPort>,
    /// How many pods use each claim, by namespace/name.
    pub claims: BTreeMap<String, usize>,
    /// Grows with each change of this node.
    pub generation: u64,
}

impl NodeInfo {
    /// A node without pods.
    #[cfg(test)]
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, known: true, ..Self::default() }
    }

    /// The node's name.
    pub(crate) fn name(&self) -> &str {
        self.node.name()
    }

    /// Adds a pod and what it takes.
    pub(crate) fn add_pod(&mut self, pod: Arc<Pod>) {
        self.with_affinity += usize::from(pod.has_affinity());
        self.with_required_anti_affinity += usize::from(pod.has_required_anti_affinity());
        self.requested.add(&pod.requests);
        self.non_zero.0 += pod.non_zero.0;
        self.non_zero.1 += pod.non_zero.1;
        self.ports.extend(pod.host_ports.iter().cloned());
        for (claim, _) in pod.claims() {
            *self.claims.entry(format!("{}/{claim}", pod.namespace())).or_default() += 1;
        }
        self.pods.push(pod);
    }

    /// Takes a pod and what it took away.
    pub(crate) fn remove_pod(&mut self, uid: &str) {
        let Some(at) = self.pods.iter().position(|pod| pod.uid() == uid) else { return };
        let pod = self.pods.swap_remove(at);
        self.with_affinity -= usize::from(pod.has_affinity());
        self.with_required_anti_affinity -= usize::from(pod.has_required_anti_affinity());
        self.requested.subtract(&pod.requests);
        self.non_zero.0 -= pod.non_zero.0;
        self.non_zero.1 -= pod.non_zero.1;
        for port in &pod.host_ports {
            if let Some(at) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(at);
            }
        }
        for (claim, _) in pod.claims() {
            let key = format!("{}/{claim}", pod.namespace());
            if let Some(count) = self.claims.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.claims.remove(&key);
                }
            }
        }
    }

    /// Whether a port is free. Upstream: `HostPortInfo.CheckConflict`.
    pub(crate) fn port_is_free(&self, wanted: &HostPort) -> bool {
        const ALL: &str = "0.0.0.0";
        !self.ports.iter().any(|taken| {
            taken.port == wanted.port
                && taken.protocol == wanted.protocol
                && (taken.ip == wanted.ip || taken.ip == ALL || wanted.ip == ALL)
        })
    }

    /// Pods with terms about other pods.
    pub(crate) fn pods_with_affinity(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let any = self.with_affinity > 0;
        self.pods.iter().filter(move |pod| any && pod.has_affinity())
    }

    /// Pods that may keep others away.
    pub(crate) fn pods_with_required_anti_affinity(&self) -> impl Iterator<Item = &Arc<Pod>> {
        let any = self.with_required_anti_affinity > 0;
        self.pods.iter().filter(move |pod| any && pod.has_required_anti_affinity())
    }
}
