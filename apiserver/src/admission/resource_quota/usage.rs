//! What one object takes of which resource, and what a quota may count.
//! Upstream: pkg/quota/v1/evaluator/core.

use std::collections::{BTreeMap, BTreeSet};

use api::quantity::{Format, Quantity};
use json::Value;

use super::scope::in_scope;
use crate::admission::limit_ranger::pod_total;
use crate::context::Target;
use crate::registry::fields::{At, at, items, text};
use crate::registry::validation::resources::quantity;

/// Amounts by resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

pub(super) fn count_name(target: &Target) -> String {
    if target.group.is_empty() {
        format!("count/{}", target.resource)
    } else {
        format!("count/{}.{}", target.resource, target.group)
    }
}

/// The limits of a quota that this object is held to.
pub(super) fn hard(quota: &Value, object: &Value, target: &Target) -> Amounts {
    if !in_scope(quota, &target.resource, object) {
        return Amounts::new();
    }
    let count = count_name(target);
    let concerned = |name: &str| {
        name == count
            || target.group.is_empty()
                && match target.resource.as_str() {
                    "pods" => is_pod_resource(name),
                    "services" => matches!(name, "services" | "services.loadbalancers" | "services.nodeports"),
                    "persistentvolumeclaims" => [PVC_COUNT, PVC_STORAGE]
                        .iter()
                        .any(|own| name == *own || name.ends_with(&format!("{CLASS_SUFFIX}{own}"))),
                    "replicationcontrollers" | "secrets" | "configmaps" | "resourcequotas" => name == target.resource,
                    _ => false,
                }
    };
    At::root(at(quota, &["spec", "hard"]))
        .entries()
        .filter(|(name, _)| concerned(name))
        .map(|(name, amount)| (name.to_owned(), quantity(&amount)))
        .collect()
}

const PVC_COUNT: &str = "persistentvolumeclaims";
const PVC_STORAGE: &str = "requests.storage";
const CLASS_SUFFIX: &str = ".storageclass.storage.k8s.io/";
/// Those every container must name when a quota does.
const REQUIRED: [(&str, &str, &str); 6] = [
    ("cpu", "requests", "cpu"),
    ("limits.cpu", "limits", "cpu"),
    ("limits.memory", "limits", "memory"),
    ("memory", "requests", "memory"),
    ("requests.cpu", "requests", "cpu"),
    ("requests.memory", "requests", "memory"),
];

fn is_pod_resource(name: &str) -> bool {
    let bare = name.strip_prefix("requests.").unwrap_or(name);
    matches!(name, "pods" | "limits.cpu" | "limits.memory" | "limits.ephemeral-storage")
        || matches!(bare, "cpu" | "memory" | "ephemeral-storage")
        || bare.starts_with("hugepages-")
        || name.starts_with("requests.") && bare.contains('/')
}

/// What the quota counts and a container does not name.
pub(super) fn missing_amounts(hard: &Amounts, object: &Value, resource: &str) -> Option<String> {
    if resource != "pods" || at(object, &["spec", "resources"]).as_object().is_some_and(|map| !map.is_empty()) {
        return None;
    }
    let mut missing = Vec::new();
    for (name, field, of) in REQUIRED.iter().filter(|(name, ..)| hard.contains_key(*name)) {
        let without: BTreeSet<&str> = ["containers", "initContainers"]
            .iter()
            .flat_map(|list| items(&object["spec"], list))
            .filter(|container| at(container, &["resources", field, of]).is_null())
            .map(|container| text(container, "name"))
            .collect();
        if !without.is_empty() {
            missing.push(format!("{name} for: {}", without.into_iter().collect::<Vec<_>>().join(",")));
        }
    }
    (!missing.is_empty()).then(|| missing.join("; "))
}

pub(super) fn add(into: &mut Amounts, amounts: &Amounts) {
    for (name, amount) in amounts {
        into.entry(name.clone()).or_default().add(amount);
    }
}

fn one(count: i64) -> Quantity {
    Quantity::new(count, Format::DecimalSI)
}

/// What one object takes.
pub(super) fn usage(target: &Target, object: &Value) -> Amounts {
    let mut usage = Amounts::from([(count_name(target), one(1))]);
    if !target.group.is_empty() {
        return usage;
    }
    match target.resource.as_str() {
        "pods" => pod_usage(object, &mut usage),
        "services" => service_usage(object, &mut usage),
        "persistentvolumeclaims" => claim_usage(object, &mut usage),
        other => drop(usage.insert(other.to_owned(), one(1))),
    }
    usage
}

fn pod_usage(pod: &Value, usage: &mut Amounts) {
    if matches!(at(pod, &["status", "phase"]).as_str(), Some("Failed" | "Succeeded")) {
        return;
    }
    usage.insert("pods".to_owned(), one(1));
    for (name, amount) in pod_total(&pod["spec"], "requests") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            usage.insert(name.clone(), amount.clone());
        }
        usage.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in pod_total(&pod["spec"], "limits") {
        usage.insert(format!("limits.{name}"), amount);
    }
}

fn service_usage(service: &Value, usage: &mut Amounts) {
    let spec = &service["spec"];
    let ports = items(spec, "ports");
    let count = |count: usize| one(i64::try_from(count).unwrap_or(i64::MAX));
    let balanced = text(spec, "type") == "LoadBalancer";
    let node_ports = match text(spec, "type") {
        "LoadBalancer" if spec["allocateLoadBalancerNodePorts"] == false => {
            ports.iter().filter(|port| port["nodePort"].as_i64().is_some_and(|number| number != 0)).count()
        }
        "LoadBalancer" | "NodePort" => ports.len(),
        _ => 0,
    };
    usage.insert("services".to_owned(), one(1));
    usage.insert("services.loadbalancers".to_owned(), one(i64::from(balanced)));
    usage.insert("services.nodeports".to_owned(), count(node_ports));
}

fn claim_usage(claim: &Value, usage: &mut Amounts) {
    let class = text(&claim["spec"], "storageClassName");
    let mut insert = |name: &str, amount: &Quantity| {
        usage.insert(name.to_owned(), amount.clone());
        if !class.is_empty() {
            usage.insert(format!("{class}{CLASS_SUFFIX}{name}"), amount.clone());
        }
    };
    insert(PVC_COUNT, &one(1));
    let size =
        |path: &[&str]| Some(at(claim, path)).filter(|size| !size.is_null()).map(|size| quantity(&At::root(size)));
    let size =
        size(&["spec", "resources", "requests", "storage"]).max(size(&["status", "allocatedResources", "storage"]));
    if let Some(size) = size {
        insert(PVC_STORAGE, &size);
    }
}
