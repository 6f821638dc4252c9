//! The other kinds decisions look at: namespaces, what owns pods, disruption budgets.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::Key;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::{ClusterResourceScope, NamespaceResourceScope};
use serde::Deserialize;

use super::{Labels, Selector, kind};

/// A kind by namespace and name.
#[derive(Clone, Debug)]
pub(crate) struct Lister<K> {
    objects: BTreeMap<Key, Arc<K>>,
}

impl<K> Default for Lister<K> {
    fn default() -> Self {
        Self { objects: BTreeMap::new() }
    }
}

impl<K> Lister<K> {
    /// One object.
    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&Arc<K>> {
        self.objects.get(&Key::new(namespace, name))
    }

    /// The objects of a namespace.
    pub(crate) fn in_namespace<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Arc<K>> {
        let from = Key::new(namespace, "");
        self.objects.range(from..).take_while(move |(key, _)| key.namespace == namespace).map(|(_, object)| object)
    }

    /// Every object.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Arc<K>)> {
        self.objects.iter()
    }

    /// Takes a new state.
    pub(crate) fn insert(&mut self, key: Key, object: Arc<K>) {
        self.objects.insert(key, object);
    }

    /// Forgets an object.
    pub(crate) fn remove(&mut self, key: &Key) {
        self.objects.remove(key);
    }
}

/// A namespace: its labels.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Namespace {
    /// Name and labels.
    pub metadata: ObjectMeta,
}

kind!(Namespace, "", "v1", "Namespace", "namespaces", ClusterResourceScope);

/// A service: the labels it selects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Service {
    /// Name.
    pub metadata: ObjectMeta,
    /// Selector.
    pub spec: MapSelector,
}

/// A spec with a plain label map as its selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct MapSelector {
    /// None when the object selects nothing.
    pub selector: Option<Labels>,
}

kind!(Service, "", "v1", "Service", "services", NamespaceResourceScope);

/// A replication controller: the labels it selects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicationController {
    /// Name.
    pub metadata: ObjectMeta,
    /// Selector.
    pub spec: MapSelector,
}

kind!(ReplicationController, "", "v1", "ReplicationController", "replicationcontrollers", NamespaceResourceScope);

/// A spec with a label selector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, from = "RawSelector")]
pub(crate) struct OwnedSelector {
    /// Selects nothing when unset.
    pub selector: Selector,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawSelector {
    selector: Option<LabelSelector>,
}

impl From<RawSelector> for OwnedSelector {
    fn from(raw: RawSelector) -> Self {
        Self { selector: Selector::new(raw.selector.as_ref()) }
    }
}

/// A replica set: the labels it selects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ReplicaSet {
    /// Name.
    pub metadata: ObjectMeta,
    /// Selector.
    pub spec: OwnedSelector,
}

kind!(ReplicaSet, "apps", "v1", "ReplicaSet", "replicasets", NamespaceResourceScope);

/// A stateful set: the labels it selects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StatefulSet {
    /// Name.
    pub metadata: ObjectMeta,
    /// Selector.
    pub spec: OwnedSelector,
}

kind!(StatefulSet, "apps", "v1", "StatefulSet", "statefulsets", NamespaceResourceScope);

/// How many pods of an application may be down.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodDisruptionBudget {
    /// Name.
    pub metadata: ObjectMeta,
    /// Selector.
    pub spec: OwnedSelector,
    /// What is left of the budget.
    pub status: Disruption,
}

/// The state of a disruption budget.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Disruption {
    /// How many more may go down.
    pub disruptions_allowed: i32,
    /// Pods whose going is already counted.
    pub disrupted_pods: BTreeMap<String, serde::de::IgnoredAny>,
}

kind!(PodDisruptionBudget, "policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets", NamespaceResourceScope);
