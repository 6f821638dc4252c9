//! Takes changes of the cluster in: into the cache, and to the pods they may help.
//!
//! Upstream: `eventhandlers.go`.

use std::sync::Arc;

use client::{Change, Key};
use tokio::time::Instant;

use super::Scheduler;
use crate::framework::{ClusterEvent, NodeChange, PodChange};
use crate::objects::{Lister, Node, Pod};
use crate::watch::Input;

/// Keeps a lister in step with a change.
fn keep<K: kube::ResourceExt>(lister: &mut Lister<K>, change: &Change<K>) {
    match change {
        Change::Applied { new, .. } => lister.insert(Key::of(&**new), new.clone()),
        Change::Deleted(old) => lister.remove(&Key::of(&**old)),
    }
}

impl Scheduler {
    /// Takes one change in.
    pub(super) fn take(&mut self, input: Input) {
        match input {
            Input::Pod(Change::Applied { old, new }) => self.pod_applied(old.as_deref(), new),
            Input::Pod(Change::Deleted(pod)) => self.pod_gone(&pod),
            Input::Node(Change::Applied { old, new }) => self.node_applied(old.as_deref(), new),
            Input::Node(Change::Deleted(node)) => {
                self.cache.remove_node(node.name());
                self.wake(&ClusterEvent::NodeDelete(&node));
            }
            Input::Namespace(change) => {
                keep(&mut self.cluster.namespaces, &change);
                self.cluster.namespaces_version += 1;
                if let Change::Applied { old, new } = &change
                    && old.as_ref().is_none_or(|old| old.metadata.labels != new.metadata.labels)
                {
                    self.wake(&ClusterEvent::Namespace);
                }
            }
            Input::Service(change) => keep(&mut self.cluster.services, &change),
            Input::ReplicationController(change) => keep(&mut self.cluster.replication_controllers, &change),
            Input::ReplicaSet(change) => keep(&mut self.cluster.replica_sets, &change),
            Input::StatefulSet(change) => keep(&mut self.cluster.stateful_sets, &change),
            Input::DisruptionBudget(change) => keep(&mut self.cluster.disruption_budgets, &change),
            Input::Claim(change) => {
                keep(&mut self.cluster.claims, &change);
                self.wake(&match &change {
                    Change::Applied { new, .. } => ClusterEvent::Claim(new),
                    Change::Deleted(_) => ClusterEvent::ClaimDelete,
                });
            }
            Input::Volume(change) => {
                keep(&mut self.cluster.volumes, &change);
                if let Change::Applied { .. } = &change {
                    self.wake(&ClusterEvent::Volume);
                }
            }
            Input::StorageClass(change) => {
                keep(&mut self.cluster.storage_classes, &change);
                if matches!(change, Change::Applied { .. }) {
                    self.wake(&ClusterEvent::StorageClass);
                }
            }
            Input::CsiNode(change) => {
                keep(&mut self.cluster.csi_nodes, &change);
                if matches!(change, Change::Applied { .. }) {
                    self.wake(&ClusterEvent::CsiNode);
                }
            }
        }
    }

    /// Lets pods that an event may help be tried again.
    pub(super) fn wake(&mut self, event: &ClusterEvent<'_>) {
        self.queue.move_all(event, Instant::now());
    }

    fn node_applied(&mut self, old: Option<&Node>, new: Arc<Node>) {
        let Some(old) = old else {
            self.cache.set_node(new.clone());
            self.wake(&ClusterEvent::NodeAdd(&new));
            return;
        };
        let change = NodeChange::between(old, &new);
        if change.any() || old.images != new.images {
            self.cache.set_node(new.clone());
        }
        // A heartbeat helps nobody.
        if change.any() {
            self.wake(&ClusterEvent::NodeUpdate(old, &new, change));
        }
    }

    fn pod_applied(&mut self, old: Option<&Pod>, new: Arc<Pod>) {
        if new.finished {
            return self.pod_gone(&new);
        }
        if !new.node_name.is_empty() {
            return self.assigned_pod_applied(old, new);
        }
        if new.scheduler_name != self.config.scheduler_name || self.cache.is_assumed(new.uid()) {
            return;
        }
        let now = Instant::now();
        if self.queue.contains(new.uid()) {
            let change = old.map(|old| PodChange::between(old, &new)).unwrap_or_default();
            let event = ClusterEvent::TargetPodUpdate(&new, change);
            self.queue.update(&new, change.any().then_some(&event), now);
        } else {
            self.queue.add(new, now);
        }
    }

    fn assigned_pod_applied(&mut self, old: Option<&Pod>, new: Arc<Pod>) {
        let known = self.cache.contains(new.uid()) && !self.cache.is_assumed(new.uid());
        self.cache.set_pod(new.clone());
        self.queue.delete(new.uid());
        match old.filter(|_| known) {
            None => self.wake(&ClusterEvent::AssignedPodAdd(&new)),
            Some(old) => {
                let change = PodChange::between(old, &new);
                if change.any() {
                    self.wake(&ClusterEvent::AssignedPodUpdate(old, &new, change));
                }
            }
        }
    }

    fn pod_gone(&mut self, pod: &Pod) {
        let promised = self.queue.nominator.node_of(pod.uid()).is_some();
        self.queue.delete(pod.uid());
        self.preempting.end(pod.uid());
        let held = self.cache.remove_pod(pod.uid()).is_some();
        // A promise given back is room, too.
        if held || promised {
            self.wake(&ClusterEvent::AssignedPodDelete(pod));
        }
    }
}
