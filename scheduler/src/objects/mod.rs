//! The API objects the scheduler reads, cut down to what it decides by.
//!
//! Watched objects are decoded straight into these types ([`Pod`] and [`Node`] with selectors, quantities and ports
//! already parsed), so that the informer, the queue and the cache share one small object and nothing is parsed twice.
//! Never here: any decision. Upstream counterpart: `framework.PodInfo` and the typed listers.

mod affinity;
mod cluster;
mod node;
mod pod;
mod quantity;
mod resources;
mod selector;
mod storage;
mod taint;

pub(crate) use affinity::{AffinityTerm, PodAffinity, WeightedAffinityTerm};
pub(crate) use cluster::{Lister, Namespace, PodDisruptionBudget, Service};
pub(crate) use cluster::{ReplicaSet, ReplicationController, StatefulSet};
pub(crate) use node::Node;
pub(crate) use pod::{HostPort, NodeAffinity, Pod, SpreadConstraint, Unsatisfiable, Volume};
pub(crate) use quantity::Amount;
pub(crate) use resources::Resources;
pub(crate) use selector::{NodeSelector, NodeSelectorTerm, PreferredTerm, Selector, TopologyTerm};
pub(crate) use storage::SELECTED_NODE;
pub(crate) use storage::{BindingMode, ClaimPhase, CsiNode, PersistentVolume, PersistentVolumeClaim, StorageClass};
pub(crate) use taint::{Effect, Taint, Toleration, find_untolerated};

/// Labels as the API has them.
pub(crate) type Labels = std::collections::BTreeMap<String, String>;

/// Makes a cut-down type a kind that informers can list and watch: its group, version, kind, plural and scope.
macro_rules! kind {
    ($type:ty, $group:literal, $version:literal, $kind:literal, $plural:literal, $scope:ty) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = $scope;

            fn kind((): &()) -> std::borrow::Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> std::borrow::Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> std::borrow::Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> std::borrow::Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
                &mut self.metadata
            }
        }
    };
}
use kind;

#[cfg(test)]
mod tests;
