//! The quality-of-service class of a pod. Upstream: `qos.ComputePodQOS`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};

use super::PodExt;
use crate::resources::milli;

/// Decides a pod's cgroup and who goes first when memory is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QosClass {
    Guaranteed,
    Burstable,
    BestEffort,
}

impl QosClass {
    /// As the API spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "Guaranteed",
            Self::Burstable => "Burstable",
            Self::BestEffort => "BestEffort",
        }
    }
}

/// The class by the pod's resources; the one in its status wins, since it never changes.
pub(crate) fn qos_class(pod: &Pod) -> QosClass {
    match pod.status().qos_class.as_deref() {
        Some("Guaranteed") => return QosClass::Guaranteed,
        Some("Burstable") => return QosClass::Burstable,
        Some("BestEffort") => return QosClass::BestEffort,
        _ => {}
    }
    if let Some(resources) = &pod.spec().resources {
        return class_of([resources].into_iter());
    }
    let none = ResourceRequirements::default();
    let all = pod.containers().iter().chain(pod.init_containers());
    let all: Vec<_> = all.map(|container| container.resources.as_ref().unwrap_or(&none)).collect();
    class_of(all.into_iter())
}

fn class_of<'a>(all: impl Iterator<Item = &'a ResourceRequirements>) -> QosClass {
    let mut requests: BTreeMap<&str, i64> = BTreeMap::new();
    let mut limits: BTreeMap<&str, i64> = BTreeMap::new();
    let mut limited = true;
    for resources in all {
        let mut has = [false, false];
        for (name, quantity) in resources.requests.iter().flatten() {
            if matches!(name.as_str(), "cpu" | "memory") && milli(quantity) > 0 {
                *requests.entry(name).or_default() += milli(quantity);
            }
        }
        for (name, quantity) in resources.limits.iter().flatten() {
            if matches!(name.as_str(), "cpu" | "memory") && milli(quantity) > 0 {
                *limits.entry(name).or_default() += milli(quantity);
                has[usize::from(name == "memory")] = true;
            }
        }
        limited &= has == [true, true];
    }
    if requests.is_empty() && limits.is_empty() {
        QosClass::BestEffort
    } else if limited && requests.len() == limits.len() && requests.iter().all(|(name, v)| limits.get(name) == Some(v))
    {
        QosClass::Guaranteed
    } else {
        QosClass::Burstable
    }
}
