//! Everything decisions look at besides nodes and their pods.

use crate::objects::{
    CsiNode, Labels, Lister, Namespace, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget, ReplicaSet,
    ReplicationController, Selector, Service, StatefulSet, StorageClass,
};

/// The kinds the plugins read, as last seen. Upstream: the listers of the shared informers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    /// For selectors on namespaces.
    pub namespaces: Lister<Namespace>,
    /// Counts changes of namespaces.
    pub namespaces_version: u64,
    /// For spreading by default.
    pub services: Lister<Service>,
    /// For spreading by default.
    pub replication_controllers: Lister<ReplicationController>,
    /// For spreading by default.
    pub replica_sets: Lister<ReplicaSet>,
    /// For spreading by default.
    pub stateful_sets: Lister<StatefulSet>,
    /// For preemption.
    pub disruption_budgets: Lister<PodDisruptionBudget>,
    /// For volumes.
    pub claims: Lister<PersistentVolumeClaim>,
    /// For volumes.
    pub volumes: Lister<PersistentVolume>,
    /// For volumes.
    pub storage_classes: Lister<StorageClass>,
    /// For volumes.
    pub csi_nodes: Lister<CsiNode>,
}

impl Cluster {
    /// The labels of a namespace.
    pub(crate) fn namespace_labels(&self, name: &str) -> Option<&Labels> {
        self.namespaces.get("", name)?.metadata.labels.as_ref()
    }

    /// What selects a pod's fellows: the services that select it and the controller that owns it, all together.
    /// None when nothing does. Upstream: `helper.DefaultSelector`.
    pub(crate) fn default_selector(&self, pod: &Pod) -> Option<Selector> {
        let namespace = pod.namespace();
        let mut selector = Selector::new(Some(&Default::default()));
        for service in self.services.in_namespace(namespace) {
            if let Some(labels) = service.spec.selector.as_ref().filter(|labels| !labels.is_empty()) {
                let selects = Selector::from_labels(labels);
                if selects.matches(pod.labels()) {
                    selector.and(&selects);
                }
            }
        }
        let owners = pod.metadata.owner_references.iter().flatten();
        if let Some(owner) = owners.into_iter().find(|owner| owner.controller == Some(true)) {
            match (owner.api_version.split_once('/').map_or("", |(group, _)| group), owner.kind.as_str()) {
                ("", "ReplicationController") => {
                    let labels = self.replication_controllers.get(namespace, &owner.name);
                    if let Some(labels) = labels.and_then(|owner| owner.spec.selector.as_ref()) {
                        selector.and(&Selector::from_labels(labels));
                    }
                }
                ("apps", "ReplicaSet") => {
                    if let Some(owner) = self.replica_sets.get(namespace, &owner.name) {
                        selector.and(&owner.spec.selector);
                    }
                }
                ("apps", "StatefulSet") => {
                    if let Some(owner) = self.stateful_sets.get(namespace, &owner.name) {
                        selector.and(&owner.spec.selector);
                    }
                }
                _ => {}
            }
        }
        (!selector.is_empty()).then_some(selector)
    }
}
