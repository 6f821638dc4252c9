//! What a pod requests, summed over its containers. Upstream: `component-helpers/resource.PodRequests`.

use std::collections::BTreeMap;

use super::wire::{Container, ContainerStatus, Spec, Status};
use crate::objects::resources::{DEFAULT_MEMORY, DEFAULT_MILLI_CPU};
use crate::objects::{Amount, Resources};

type List = BTreeMap<String, Amount>;

/// The requests of a pod, and CPU and memory with a minimum for containers that name none.
pub(super) fn of(spec: &Spec, status: &Status) -> (Resources, (i64, i64)) {
    let requests = total(spec, status, false);
    let non_zero = total(spec, status, true);
    (requests, (non_zero.milli_cpu, non_zero.memory))
}

fn total(spec: &Spec, status: &Status, non_zero: bool) -> Resources {
    let from_spec = aggregate(spec, |container| fill(container.requests.requests.as_ref(), non_zero));
    // While a pod is resized in place the node must hold the larger of what is wanted, allocated and in use.
    let allocated = aggregate(spec, |container| {
        let list = find(status, container).and_then(|found| found.allocated_resources.as_ref());
        list.map(Resources::from_list).unwrap_or_default()
    });
    let actual = aggregate(spec, |container| {
        let list = find(status, container).and_then(|found| found.resources.requests.as_ref());
        list.map(Resources::from_list).unwrap_or_default()
    });
    let mut sum = if status.resize_infeasible() { Resources::default() } else { from_spec };
    sum.raise_to(&allocated);
    sum.raise_to(&actual);
    if let Some(list) = &spec.resources.requests {
        apply_pod_level(&mut sum, list);
    }
    if let Some(overhead) = &spec.overhead {
        sum.add(&Resources::from_list(overhead));
    }
    sum.pods = 0;
    sum
}

/// Containers run together, init containers one after the other beside the sidecars started before them.
fn aggregate(spec: &Spec, of: impl Fn(&Container) -> Resources) -> Resources {
    let mut sum = Resources::default();
    for container in &spec.containers {
        sum.add(&of(container));
    }
    let mut sidecars = Resources::default();
    let mut initial = Resources::default();
    for container in &spec.init_containers {
        let requests = of(container);
        if container.is_sidecar() {
            sum.add(&requests);
            sidecars.add(&requests);
            initial.raise_to(&sidecars);
        } else {
            let mut together = sidecars.clone();
            together.add(&requests);
            initial.raise_to(&together);
        }
    }
    sum.raise_to(&initial);
    sum
}

fn fill(list: Option<&List>, non_zero: bool) -> Resources {
    let mut requests = list.map(Resources::from_list).unwrap_or_default();
    let names = |name| list.is_some_and(|list| list.contains_key(name));
    if non_zero && !names("cpu") {
        requests.milli_cpu = DEFAULT_MILLI_CPU;
    }
    if non_zero && !names("memory") {
        requests.memory = DEFAULT_MEMORY;
    }
    requests
}

fn find<'a>(status: &'a Status, container: &Container) -> Option<&'a ContainerStatus> {
    status.container_statuses.iter().chain(&status.init_container_statuses).find(|found| found.name == container.name)
}

/// Resources the pod as a whole may name; they replace the sum of its containers.
fn apply_pod_level(sum: &mut Resources, list: &List) {
    let requests = Resources::from_list(list);
    if list.contains_key("cpu") {
        sum.milli_cpu = requests.milli_cpu;
    }
    if list.contains_key("memory") {
        sum.memory = requests.memory;
    }
    for (name, amount) in requests.scalar.iter().filter(|(name, _)| name.starts_with("hugepages-")) {
        *sum.scalar_mut(name) = *amount;
    }
}
