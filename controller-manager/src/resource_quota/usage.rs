//! What one object uses.
//!
//! Upstream: quota/v1/evaluator/core, component-helpers/resource (PodRequests, PodLimits).

use std::collections::BTreeMap;

use api::quantity::{Format, Quantity};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, PersistentVolumeClaim, Pod, PodAffinityTerm, PodSpec, Service, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as RawQuantity;

use crate::{meta, pods};

/// Amounts by resource name.
pub(super) type Amounts = BTreeMap<String, Quantity>;

pub(super) fn one() -> Quantity {
    Quantity::new(1, Format::DecimalSI)
}

/// Adds `other` to `sum`.
pub(super) fn add(sum: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        match sum.get_mut(&name) {
            Some(present) => present.add(&amount),
            None => drop(sum.insert(name, amount)),
        }
    }
}

fn raise(sum: &mut Amounts, other: Amounts) {
    for (name, amount) in other {
        match sum.get_mut(&name) {
            Some(present) if *present >= amount => {}
            _ => drop(sum.insert(name, amount)),
        }
    }
}

/// Amounts as the API writes them; what cannot be read counts as nothing.
pub(super) fn parse(raw: Option<&BTreeMap<String, RawQuantity>>) -> Amounts {
    raw.into_iter()
        .flatten()
        .filter_map(|(name, amount)| Some((name.clone(), Quantity::parse(&amount.0).ok()?)))
        .collect()
}

fn of_container(container: &Container, limits: bool) -> Amounts {
    let resources = container.resources.as_ref();
    parse(resources.and_then(|resources| if limits { resources.limits.as_ref() } else { resources.requests.as_ref() }))
}

/// Requests or limits of a whole pod: what runs together is added, what runs before is a lower bound.
fn of_pod(spec: &PodSpec, limits: bool) -> Amounts {
    let mut running = Amounts::new();
    for container in &spec.containers {
        add(&mut running, of_container(container, limits));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in spec.init_containers.iter().flatten() {
        let mut amounts = of_container(container, limits);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut running, amounts.clone());
            add(&mut sidecars, amounts.clone());
            raise(&mut starting, sidecars.clone());
        } else {
            add(&mut amounts, sidecars.clone());
            raise(&mut starting, amounts);
        }
    }
    raise(&mut running, starting);
    if let Some(resources) = &spec.resources {
        let whole = parse(if limits { resources.limits.as_ref() } else { resources.requests.as_ref() });
        running.extend(whole);
    }
    let overhead = parse(spec.overhead.as_ref());
    if limits {
        // Overhead comes on top of limits that exist; it makes none.
        add(&mut running, Amounts::new());
        for (name, amount) in overhead {
            if let Some(present) = running.get_mut(&name) {
                present.add(&amount);
            }
        }
    } else {
        add(&mut running, overhead);
    }
    running
}

/// Upstream: PodUsageFunc.
pub(super) fn pod(pod: &Pod, now: Timestamp) -> Amounts {
    let mut usage = Amounts::from([("count/pods".to_owned(), one())]);
    let gone = match (&pod.metadata.deletion_timestamp, pod.metadata.deletion_grace_period_seconds) {
        (Some(deleted), Some(grace)) => meta::after(deleted.0, grace) < now,
        _ => false,
    };
    let Some(spec) = pod.spec.as_ref().filter(|_| !pods::is_terminal(pod) && !gone) else { return usage };
    usage.insert("pods".to_owned(), one());
    for (name, amount) in of_pod(spec, false) {
        let plain = matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
        let extended = name.contains('/') && !name.contains("kubernetes.io/");
        if plain || extended {
            usage.insert(format!("requests.{name}"), amount.clone());
        }
        if plain {
            usage.insert(name, amount);
        }
    }
    for (name, amount) in of_pod(spec, true) {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            usage.insert(format!("limits.{name}"), amount);
        }
    }
    usage
}

pub(super) fn service(service: &Service) -> Amounts {
    let spec = service.spec.clone().unwrap_or_default();
    let ports = spec.ports.unwrap_or_default();
    let with_node_port = ports.iter().filter(|port| port.node_port.unwrap_or(0) != 0).count();
    let (balancers, node_ports) = match spec.type_.as_deref() {
        Some("NodePort") => (0, ports.len()),
        Some("LoadBalancer") if spec.allocate_load_balancer_node_ports == Some(false) => (1, with_node_port),
        Some("LoadBalancer") => (1, ports.len()),
        _ => (0, 0),
    };
    let number = |count: usize| Quantity::new(i64::try_from(count).unwrap_or(i64::MAX), Format::DecimalSI);
    Amounts::from([
        ("count/services".to_owned(), one()),
        ("services".to_owned(), one()),
        ("services.loadbalancers".to_owned(), number(balancers)),
        ("services.nodeports".to_owned(), number(node_ports)),
    ])
}

pub(super) fn claim(claim: &PersistentVolumeClaim) -> Amounts {
    let spec = claim.spec.clone().unwrap_or_default();
    let mut usage = Amounts::from([
        ("count/persistentvolumeclaims".to_owned(), one()),
        ("persistentvolumeclaims".to_owned(), one()),
    ]);
    let annotated = meta::annotation(&claim.metadata, "volume.beta.kubernetes.io/storage-class").map(str::to_owned);
    let class = annotated.or(spec.storage_class_name).filter(|class| !class.is_empty());
    if let Some(class) = &class {
        usage.insert(format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), one());
    }
    let requested = parse(spec.resources.as_ref().and_then(|resources| resources.requests.as_ref())).remove("storage");
    let allocated =
        parse(claim.status.as_ref().and_then(|status| status.allocated_resources.as_ref())).remove("storage");
    if let Some(mut amount) = requested.max(allocated) {
        amount.round_up(0);
        if let Some(class) = class {
            usage.insert(format!("{class}.storageclass.storage.k8s.io/requests.storage"), amount.clone());
        }
        usage.insert("requests.storage".to_owned(), amount);
    }
    usage
}

/// Bounded in time by its own spec.
pub(super) fn is_terminating(pod: &Pod) -> bool {
    pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds).is_some_and(|seconds| seconds >= 0)
}

/// Asks for no CPU and no memory.
pub(super) fn is_best_effort(pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let all = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let amounts = all.flat_map(|container| [of_container(container, false), of_container(container, true)]);
    let whole =
        spec.resources.as_ref().map(|resources| [parse(resources.requests.as_ref()), parse(resources.limits.as_ref())]);
    !amounts
        .chain(whole.into_iter().flatten())
        .any(|amounts| ["cpu", "memory"].iter().any(|name| amounts.get(*name).is_some_and(|amount| !amount.is_zero())))
}

/// Some affinity term looks into other namespaces.
pub(super) fn crosses_namespaces(pod: &Pod) -> bool {
    let Some(affinity) = pod.spec.as_ref().and_then(|spec| spec.affinity.as_ref()) else { return false };
    let crosses = |term: &PodAffinityTerm| {
        term.namespaces.as_ref().is_some_and(|names| !names.is_empty()) || term.namespace_selector.is_some()
    };
    let near = affinity.pod_affinity.iter().flat_map(|near| {
        terms(
            &near.required_during_scheduling_ignored_during_execution,
            &near.preferred_during_scheduling_ignored_during_execution,
        )
    });
    let far = affinity.pod_anti_affinity.iter().flat_map(|far| {
        terms(
            &far.required_during_scheduling_ignored_during_execution,
            &far.preferred_during_scheduling_ignored_during_execution,
        )
    });
    near.chain(far).any(crosses)
}

/// The terms of an affinity to pods, whether they must hold or had better.
fn terms<'a>(
    required: &'a Option<Vec<PodAffinityTerm>>,
    preferred: &'a Option<Vec<WeightedPodAffinityTerm>>,
) -> impl Iterator<Item = &'a PodAffinityTerm> {
    let preferred = preferred.iter().flatten().map(|weighted| &weighted.pod_affinity_term);
    required.iter().flatten().chain(preferred)
}
