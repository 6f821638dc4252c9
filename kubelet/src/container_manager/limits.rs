//! Resources as cgroups take them: shares, quotas, bytes, OOM scores. Upstream: `cm.ResourceConfigForPod`, `qos.GetContainerOOMScoreAdjust`.

use cri::api;
use k8s_openapi::api::core::v1::{Container, Pod};

use crate::pod::qos::{QosClass, qos_class};
use crate::pod::{PodExt, is_sidecar};
use crate::resources::{Side, of_container, of_pod};

/// The kernel's least.
pub(crate) const MIN_SHARES: i64 = 2;
const MAX_SHARES: i64 = 262_144;
/// Microseconds.
pub(crate) const CFS_PERIOD: i64 = 100_000;
const MIN_QUOTA: i64 = 1000;

/// What is written into one cgroup; `None` leaves a file as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) cpu_shares: Option<i64>,
    /// Microseconds in each period; -1 for no limit.
    pub(crate) cpu_quota: Option<i64>,
    pub(crate) memory: Option<i64>,
    pub(crate) pids: Option<i64>,
}

/// CPU shares of so many milli-CPUs.
pub(crate) fn shares(milli: i64) -> i64 {
    (milli.max(0) * 1024 / 1000).clamp(MIN_SHARES, MAX_SHARES)
}

/// The quota of so many milli-CPUs; none for none.
pub(crate) fn quota(milli: i64) -> Option<i64> {
    (milli > 0).then(|| (milli * CFS_PERIOD / 1000).max(MIN_QUOTA))
}

/// What a pod's own cgroup gets. Limits hold for the whole pod only where each container has one.
pub(crate) fn of_pod_cgroup(pod: &Pod, cpu_quota: bool, pids: Option<i64>) -> Limits {
    let requests = of_pod(pod, Side::Requests);
    let limits = of_pod(pod, Side::Limits);
    let at_pod_level = |resource: &str| {
        pod.spec()
            .resources
            .as_ref()
            .and_then(|resources| resources.limits.as_ref())
            .is_some_and(|l| l.contains_key(resource))
    };
    let all_limited =
        |resource: &str| {
            at_pod_level(resource)
                || pod.containers().iter().chain(pod.init_containers()).all(|container| {
                    of_container(container, Side::Limits).get(resource).is_some_and(|amount| *amount > 0)
                })
        };
    let cpu = requests.get("cpu").copied().unwrap_or(0);
    let (cpu, quota_of_pod) = match qos_class(pod) {
        QosClass::BestEffort => (0, None),
        _ => (cpu, all_limited("cpu").then(|| limits.get("cpu").copied().and_then(quota)).flatten()),
    };
    Limits {
        cpu_shares: Some(shares(cpu)),
        cpu_quota: Some(quota_of_pod.filter(|_| cpu_quota).unwrap_or(-1)),
        memory: all_limited("memory").then(|| limits.get("memory").copied()).flatten(),
        pids,
    }
}

/// What the runtime is told about a container.
pub(crate) fn of_cri_container(
    pod: &Pod,
    container: &Container,
    cpu_quota: bool,
    memory_capacity: i64,
) -> api::LinuxContainerResources {
    let requests = of_container(container, Side::Requests);
    let limits = of_container(container, Side::Limits);
    let cpu_limit = limits.get("cpu").copied().unwrap_or(0);
    // As the API server defaults it: a limit without a request is also the request.
    let cpu_request = requests.get("cpu").copied().unwrap_or(cpu_limit);
    api::LinuxContainerResources {
        cpu_period: CFS_PERIOD,
        cpu_quota: if cpu_quota { quota(cpu_limit).unwrap_or(0) } else { 0 },
        cpu_shares: shares(cpu_request),
        memory_limit_in_bytes: limits.get("memory").copied().unwrap_or(0),
        oom_score_adj: oom_score_adj(pod, container, memory_capacity),
        ..api::LinuxContainerResources::default()
    }
}

/// The whole pod's resources, for runtimes that size a virtual machine by them.
pub(crate) fn of_cri_sandbox(pod: &Pod) -> api::LinuxContainerResources {
    let requests = of_pod(pod, Side::Requests);
    let limits = of_pod(pod, Side::Limits);
    api::LinuxContainerResources {
        cpu_period: CFS_PERIOD,
        cpu_quota: limits.get("cpu").copied().and_then(quota).unwrap_or(0),
        cpu_shares: shares(requests.get("cpu").copied().unwrap_or(0)),
        memory_limit_in_bytes: limits.get("memory").copied().unwrap_or(0),
        ..api::LinuxContainerResources::default()
    }
}

/// Who the kernel kills first: best-effort before burstable by how much more than its request it can use, guaranteed last.
fn oom_score_adj(pod: &Pod, container: &Container, memory_capacity: i64) -> i64 {
    const GUARANTEED: i64 = -997;
    const BEST_EFFORT: i64 = 1000;
    let critical = pod.spec().priority.is_some_and(|priority| priority >= 2_000_001_000);
    match qos_class(pod) {
        _ if critical => return GUARANTEED,
        QosClass::Guaranteed => return GUARANTEED,
        QosClass::BestEffort => return BEST_EFFORT,
        QosClass::Burstable => {}
    }
    let request = |container: &Container| of_container(container, Side::Requests).get("memory").copied().unwrap_or(0);
    let score = |bytes: i64| 1000 - 1000 * bytes / memory_capacity.max(1);
    let mut adjust = score(request(container));
    if is_sidecar(container) {
        let least = pod.containers().iter().map(request).min().unwrap_or(0);
        adjust = adjust.min(score(least));
    }
    adjust.clamp(1000 + GUARANTEED, BEST_EFFORT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_becomes_shares_and_quota() {
        assert_eq!((shares(0), shares(1), shares(100), shares(2000)), (2, 2, 102, 2048));
        assert_eq!((quota(0), quota(1), quota(500)), (None, Some(1000), Some(50_000)));
    }
}
