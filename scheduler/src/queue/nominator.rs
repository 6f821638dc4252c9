//! Pods that are promised a node while their victims leave it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::objects::Pod;

/// Promises by node. Other pods' checks count them in. Upstream: `backend/queue.nominator`.
#[derive(Debug, Default)]
pub(crate) struct Nominator {
    by_node: HashMap<String, Vec<Arc<Pod>>>,
    nodes: HashMap<String, String>,
}

impl Nominator {
    /// Promises a node to a pod, instead of any other.
    pub(crate) fn add(&mut self, pod: &Arc<Pod>, node: &str) {
        self.remove(pod.uid());
        if node.is_empty() {
            return;
        }
        self.by_node.entry(node.to_owned()).or_default().push(pod.clone());
        self.nodes.insert(pod.uid().to_owned(), node.to_owned());
    }

    /// Takes a promise back.
    pub(crate) fn remove(&mut self, uid: &str) {
        let Some(node) = self.nodes.remove(uid) else { return };
        if let Some(pods) = self.by_node.get_mut(&node) {
            pods.retain(|pod| pod.uid() != uid);
            if pods.is_empty() {
                self.by_node.remove(&node);
            }
        }
    }

    /// Follows a pod's own status. A promise made here that the API does not show yet is kept.
    pub(crate) fn update(&mut self, old: Option<&Pod>, pod: &Arc<Pod>) {
        let shown_before = old.is_some_and(|old| !old.nominated_node_name.is_empty());
        let node = match pod.nominated_node_name.as_str() {
            "" if shown_before => String::new(),
            "" => self.nodes.get(pod.uid()).cloned().unwrap_or_default(),
            shown => shown.to_owned(),
        };
        self.add(pod, &node);
    }

    /// The pods a node is promised to.
    pub(crate) fn on(&self, node: &str) -> &[Arc<Pod>] {
        self.by_node.get(node).map_or(&[], Vec::as_slice)
    }

    /// Where a pod is promised a node.
    pub(crate) fn node_of(&self, uid: &str) -> Option<&str> {
        self.nodes.get(uid).map(String::as_str)
    }

    /// True when nothing is promised.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}
