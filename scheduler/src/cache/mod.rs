//! What runs where, as far as the scheduler knows: the watched state plus what it assumes it has just bound.
//!
//! [`Cache`] is written by events and by the scheduling cycle; [`Snapshot`] is what one cycle reads. Both share each
//! node's [`NodeInfo`] behind an `Arc`: a change copies only the node it touches, and taking a snapshot replaces only
//! the nodes that changed since the last one. A pod moves through it so:
//!
//! ```text
//! (none) --assume--> assumed --add (watch)--> added --remove--> (none)
//!                       '------forget (bind failed)------------> (none)
//! ```
//!
//! After a restart the watch alone rebuilds it. Upstream counterpart: `pkg/scheduler/backend/cache`.

mod cluster;
mod node_info;
mod snapshot;
mod tally;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use cluster::Cluster;
pub(crate) use node_info::NodeInfo;
pub(crate) use snapshot::Snapshot;
pub(crate) use tally::{Counts, Give, Tallies, Tally};

use crate::objects::{Node, Pod};

/// The scheduler's own view of nodes and assigned pods.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    nodes: HashMap<Arc<str>, Arc<NodeInfo>>,
    /// Where each assigned or assumed pod is, by uid.
    pods: HashMap<Arc<str>, Placed>,
    /// Counts changes; each node carries the count of its last one.
    generation: u64,
    /// Nodes changed since the last snapshot.
    dirty: Vec<Arc<str>>,
    /// A node came, went or changed its zone: the order must be made anew.
    order_changed: bool,
    /// On how many nodes each image is.
    image_nodes: HashMap<Arc<str>, usize>,
}

#[derive(Debug)]
struct Placed {
    pod: Arc<Pod>,
    node: Arc<str>,
    assumed: bool,
}

impl Cache {
    /// An empty cache.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A node appeared or changed.
    pub(crate) fn set_node(&mut self, node: Arc<Node>) {
        let name: Arc<str> = node.name().into();
        let known = self.nodes.get(&name).filter(|info| info.known).map(|info| info.node.clone());
        let moved = known.as_ref().is_none_or(|old| old.zone_key() != node.zone_key());
        self.order_changed |= moved;
        let images_changed = known.as_ref().is_none_or(|old| old.images != node.images);
        if images_changed {
            if let Some(old) = &known {
                self.count_images(old, false);
            }
            self.count_images(&node, true);
        }
        self.change(name, |info| {
            info.node = node;
            info.known = true;
        });
    }

    /// A node went; its pods stay known until they go too.
    pub(crate) fn remove_node(&mut self, name: &str) {
        let Some(info) = self.nodes.get(name).cloned() else { return };
        if !info.known {
            return;
        }
        self.count_images(&info.node, false);
        self.order_changed = true;
        if info.pods.is_empty() {
            self.nodes.remove(name);
        } else {
            self.change(name.into(), |info| {
                info.known = false;
                info.node = Arc::new(Node::default());
            });
        }
    }

    /// Takes a pod as bound before the API says so. False when the pod is there already.
    pub(crate) fn assume_pod(&mut self, pod: &Arc<Pod>, node: &str) -> bool {
        if self.pods.contains_key(pod.uid()) {
            return false;
        }
        self.place(pod.clone(), node.into(), true);
        true
    }

    /// Gives an assumption up; an added pod stays.
    pub(crate) fn forget_pod(&mut self, uid: &str) {
        if self.is_assumed(uid) {
            self.remove_pod(uid);
        }
    }

    /// An assigned pod was seen, new or changed: confirms an assumption, or corrects it.
    pub(crate) fn set_pod(&mut self, pod: Arc<Pod>) {
        self.remove_pod(pod.uid());
        let node = pod.node_name.as_str().into();
        self.place(pod, node, false);
    }

    /// An assigned pod is gone.
    pub(crate) fn remove_pod(&mut self, uid: &str) -> Option<Arc<Pod>> {
        let placed = self.pods.remove(uid)?;
        self.change(placed.node.clone(), |info| info.remove_pod(uid));
        if self.nodes.get(&placed.node).is_some_and(|info| !info.known && info.pods.is_empty()) {
            self.nodes.remove(&placed.node);
        }
        Some(placed.pod)
    }

    /// True while a pod is assumed and not confirmed.
    pub(crate) fn is_assumed(&self, uid: &str) -> bool {
        self.pods.get(uid).is_some_and(|placed| placed.assumed)
    }

    /// True when a pod is on a node, assumed or confirmed.
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// Brings a snapshot up to date; costs what changed. Upstream: `cacheImpl.UpdateSnapshot`.
    pub(crate) fn update_snapshot(&mut self, snapshot: &mut Snapshot) {
        if self.order_changed {
            self.order_changed = false;
            self.dirty.clear();
            snapshot.set_generation(self.generation);
            snapshot.rebuild(self.nodes.values().filter(|info| info.known), &self.image_nodes);
            return;
        }
        if self.dirty.is_empty() {
            return;
        }
        snapshot.set_generation(self.generation);
        for name in std::mem::take(&mut self.dirty) {
            if let Some(info) = self.nodes.get(&name).filter(|info| info.known) {
                snapshot.replace(info);
            }
        }
        snapshot.finish_update();
    }

    fn place(&mut self, pod: Arc<Pod>, node: Arc<str>, assumed: bool) {
        let added = pod.clone();
        self.change(node.clone(), |info| info.add_pod(added));
        self.pods.insert(pod.uid().into(), Placed { pod, node, assumed });
    }

    fn change(&mut self, name: Arc<str>, apply: impl FnOnce(&mut NodeInfo)) {
        self.generation += 1;
        let info = self.nodes.entry(name.clone()).or_default();
        let info = Arc::make_mut(info);
        info.generation = self.generation;
        apply(info);
        if self.dirty.last() != Some(&name) {
            self.dirty.push(name);
        }
    }

    fn count_images(&mut self, node: &Node, present: bool) {
        for name in node.images.iter().flat_map(|image| &image.names) {
            if present {
                *self.image_nodes.entry(name.as_str().into()).or_default() += 1;
            } else if let Some(count) = self.image_nodes.get_mut(name.as_str()) {
                *count -= 1;
                if *count == 0 {
                    self.image_nodes.remove(name.as_str());
                }
            }
        }
        // Scores of image locality depend on these counts; the snapshot takes them when it is next rebuilt.
        self.order_changed = true;
    }
}

#[cfg(test)]
mod tests;
