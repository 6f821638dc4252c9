//! The status of a quota: the sum of what matching objects use, for the resources it limits.
//!
//! Upstream: quota.CalculateUsage, resourcequota.syncResourceQuota.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::quantity::{Format, Quantity};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, Pod, ResourceQuota, ResourceQuotaStatus, ScopedResourceSelectorRequirement, Service,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use super::usage::{self, Amounts};
use crate::meta;

/// Names from before `count/...`.
const ALIASES: [&str; 4] = ["configmaps", "resourcequotas", "replicationcontrollers", "secrets"];
/// Counted by what is weighed.
const WEIGHED: [&str; 3] = ["pods", "services", "persistentvolumeclaims"];

/// A resource of which a quota limits the number of objects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    pub group: String,
    pub resource: String,
}

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub quota: Arc<ResourceQuota>,
    pub pods: Vec<Arc<Pod>>,
    pub services: Vec<Arc<Service>>,
    pub claims: Vec<Arc<PersistentVolumeClaim>>,
    /// Numbers of objects in the namespace.
    pub counts: HashMap<Counted, usize>,
    pub now: Timestamp,
}

fn hard(quota: &ResourceQuota) -> BTreeMap<String, RawQuantity> {
    quota.spec.as_ref().and_then(|spec| spec.hard.clone()).unwrap_or_default()
}

fn counted_name(name: &str) -> Option<Counted> {
    if ALIASES.contains(&name) {
        return Some(Counted { group: String::new(), resource: name.to_owned() });
    }
    let counted = name.strip_prefix("count/")?;
    let (resource, group) = counted.split_once('.').unwrap_or((counted, ""));
    if group.is_empty() && WEIGHED.contains(&resource) {
        return None;
    }
    Some(Counted { group: group.to_owned(), resource: resource.to_owned() })
}

/// What has to be counted for this quota.
pub(super) fn counted(quota: &ResourceQuota) -> Vec<Counted> {
    let mut all: Vec<Counted> = hard(quota).keys().filter_map(|name| counted_name(name)).collect();
    all.dedup();
    all
}

/// Scopes, all of which an object must be in.
fn scopes(quota: &ResourceQuota) -> Vec<ScopedResourceSelectorRequirement> {
    let Some(spec) = &quota.spec else { return Vec::new() };
    let plain = spec.scopes.iter().flatten().map(|name| ScopedResourceSelectorRequirement {
        scope_name: name.clone(),
        operator: "Exists".to_owned(),
        values: None,
    });
    let selected = spec.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten().cloned());
    plain.chain(selected).collect()
}

fn fits(requirement: &ScopedResourceSelectorRequirement, value: Option<&str>) -> bool {
    let value = value.filter(|value| !value.is_empty());
    let listed = value.is_some_and(|value| requirement.values.iter().flatten().any(|one| one == value));
    match requirement.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        _ => false,
    }
}

fn pod_in_scope(pod: &Pod, requirement: &ScopedResourceSelectorRequirement) -> bool {
    match requirement.scope_name.as_str() {
        "Terminating" => usage::is_terminating(pod),
        "NotTerminating" => !usage::is_terminating(pod),
        "BestEffort" => usage::is_best_effort(pod),
        "NotBestEffort" => !usage::is_best_effort(pod),
        "PriorityClass" => fits(requirement, pod.spec.as_ref().and_then(|spec| spec.priority_class_name.as_deref())),
        "CrossNamespacePodAffinity" => usage::crosses_namespaces(pod),
        _ => false,
    }
}

fn claim_in_scope(claim: &PersistentVolumeClaim, requirement: &ScopedResourceSelectorRequirement) -> bool {
    let class = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.as_deref());
    requirement.scope_name == "VolumeAttributesClass" && fits(requirement, class)
}

fn total(snapshot: &Snapshot) -> Amounts {
    let scopes = scopes(&snapshot.quota);
    let mut sum = Amounts::new();
    for pod in snapshot.pods.iter().filter(|pod| scopes.iter().all(|scope| pod_in_scope(pod, scope))) {
        usage::add(&mut sum, usage::pod(pod, snapshot.now));
    }
    for claim in snapshot.claims.iter().filter(|claim| scopes.iter().all(|scope| claim_in_scope(claim, scope))) {
        usage::add(&mut sum, usage::claim(claim));
    }
    // Nothing else is in any scope.
    if scopes.is_empty() {
        for service in &snapshot.services {
            usage::add(&mut sum, usage::service(service));
        }
        for name in hard(&snapshot.quota).into_keys() {
            let count = counted_name(&name).and_then(|counted| snapshot.counts.get(&counted));
            if let Some(count) = count {
                sum.insert(name, Quantity::new(i64::try_from(*count).unwrap_or(i64::MAX), Format::DecimalSI));
            }
        }
    }
    sum
}

/// True if this controller knows how to measure the resource.
fn is_known(snapshot: &Snapshot, name: &str) -> bool {
    let native = ["pods", "cpu", "memory", "ephemeral-storage", "services", "persistentvolumeclaims"];
    let counted = counted_name(name);
    native.contains(&name)
        || ["requests.", "limits.", "hugepages-", "services."].iter().any(|prefix| name.starts_with(prefix))
        || name.contains(".storageclass.storage.k8s.io/")
        || counted.as_ref().is_some_and(|counted| snapshot.counts.contains_key(counted))
        || (name.starts_with("count/") && counted.is_none())
}

/// The status to write, if it differs.
pub(super) fn plan(snapshot: &Snapshot) -> Option<ResourceQuotaStatus> {
    if meta::is_deleting(&snapshot.quota.metadata) {
        return None;
    }
    let hard = hard(&snapshot.quota);
    let old = snapshot.quota.status.clone().unwrap_or_default();
    let before = usage::parse(old.used.as_ref());
    let sum = total(snapshot);
    let mut used = Amounts::new();
    for name in hard.keys() {
        match (sum.get(name), before.get(name)) {
            (Some(amount), _) => drop(used.insert(name.clone(), amount.clone())),
            // Nothing there uses it.
            (None, _) if is_known(snapshot, name) => {
                drop(used.insert(name.clone(), Quantity::new(0, Format::DecimalSI)))
            }
            (None, Some(amount)) => drop(used.insert(name.clone(), amount.clone())),
            (None, None) => {}
        }
    }
    let same_hard = old.hard.is_some() && usage::parse(old.hard.as_ref()) == usage::parse(Some(&hard));
    if same_hard && old.used.is_some() && before == used {
        return None;
    }
    let raw = used.into_iter().map(|(name, amount)| (name, RawQuantity(amount.to_string()))).collect();
    Some(ResourceQuotaStatus { hard: Some(hard), used: Some(raw) })
}
