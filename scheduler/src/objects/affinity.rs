//! What a pod wants of the pods around it.

use k8s_openapi::api::core::v1 as core;

use super::{Labels, Pod, Selector};

/// Pods of some namespaces and labels, seen from one topology. Upstream: `framework.AffinityTerm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AffinityTerm {
    /// Namespaces by name.
    pub namespaces: Vec<String>,
    /// Namespaces by label.
    pub namespace_selector: Selector,
    /// The pods meant.
    pub selector: Selector,
    /// The node label whose values are the places.
    pub topology_key: String,
}

impl AffinityTerm {
    /// From the API's form: neither namespaces nor a selector means the pod's own.
    pub(crate) fn new(namespace: &str, term: &core::PodAffinityTerm) -> Self {
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.to_owned());
        }
        Self {
            namespaces,
            namespace_selector: Selector::new(term.namespace_selector.as_ref()),
            selector: Selector::new(term.label_selector.as_ref()),
            topology_key: term.topology_key.clone(),
        }
    }

    /// Whether a pod is meant; `namespace_labels` are those of the pod's namespace.
    /// Upstream: `AffinityTerm.Matches`.
    pub(crate) fn matches(&self, pod: &Pod, namespace_labels: Option<&Labels>) -> bool {
        let in_namespace = self.namespaces.iter().any(|namespace| namespace == pod.namespace())
            || namespace_labels.is_some_and(|labels| self.namespace_selector.matches(labels));
        in_namespace && self.selector.matches(pod.labels())
    }
}

/// A wish with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WeightedAffinityTerm {
    /// 1 to 100.
    pub weight: i64,
    /// What is wished for.
    pub term: AffinityTerm,
}

/// All terms of a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PodAffinity {
    /// Must be near.
    pub required: Vec<AffinityTerm>,
    /// Must not be near.
    pub required_anti: Vec<AffinityTerm>,
    /// Better near.
    pub preferred: Vec<WeightedAffinityTerm>,
    /// Better not near.
    pub preferred_anti: Vec<WeightedAffinityTerm>,
}

impl PodAffinity {
    /// From the API's form; none when there is no term.
    pub(crate) fn new(namespace: &str, affinity: &core::Affinity) -> Option<Box<Self>> {
        let required = |terms: &Option<Vec<core::PodAffinityTerm>>| -> Vec<AffinityTerm> {
            terms.iter().flatten().map(|term| AffinityTerm::new(namespace, term)).collect()
        };
        let preferred = |terms: &Option<Vec<core::WeightedPodAffinityTerm>>| -> Vec<WeightedAffinityTerm> {
            let weighted = |one: &core::WeightedPodAffinityTerm| WeightedAffinityTerm {
                weight: i64::from(one.weight),
                term: AffinityTerm::new(namespace, &one.pod_affinity_term),
            };
            terms.iter().flatten().map(weighted).collect()
        };
        let mut parsed = Self::default();
        if let Some(near) = &affinity.pod_affinity {
            parsed.required = required(&near.required_during_scheduling_ignored_during_execution);
            parsed.preferred = preferred(&near.preferred_during_scheduling_ignored_during_execution);
        }
        if let Some(anti) = &affinity.pod_anti_affinity {
            parsed.required_anti = required(&anti.required_during_scheduling_ignored_during_execution);
            parsed.preferred_anti = preferred(&anti.preferred_during_scheduling_ignored_during_execution);
        }
        (parsed != Self::default()).then(|| Box::new(parsed))
    }
}
