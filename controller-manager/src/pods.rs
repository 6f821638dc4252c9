//! What controllers ask of pods: active, ready, available, which to delete first, and how to make one from a template.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::meta;

/// Name of the shared pod index by managing controller.
pub(crate) const BY_CONTROLLER: &str = "controller-uid";
/// Name of the shared pod index by node.
pub(crate) const BY_NODE: &str = "node";

/// Index function of [`BY_CONTROLLER`]: the controller's uid, or `orphan/NAMESPACE` for pods without one.
pub(crate) fn controller_index(pod: &Pod) -> Vec<String> {
    vec![match meta::controller_of(&pod.metadata) {
        Some(owner) => owner.uid.clone(),
        None => orphan_key(meta::namespace(&pod.metadata)),
    }]
}

/// Key under which [`BY_CONTROLLER`] keeps the pods of `namespace` that nobody manages.
pub(crate) fn orphan_key(namespace: &str) -> String {
    format!("orphan/{namespace}")
}

/// Index function of [`BY_NODE`].
pub(crate) fn node_index(pod: &Pod) -> Vec<String> {
    node_name(pod).map(|node| vec![node.to_owned()]).unwrap_or_default()
}

/// The node the pod is bound to.
pub(crate) fn node_name(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref().filter(|name| !name.is_empty())
}

/// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`; empty if not set.
pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// True once no container will run again.
pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Neither finished nor being deleted. Upstream: controller.IsPodActive.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !meta::is_deleting(&pod.metadata)
}

/// Being deleted but not finished. Upstream: controller.IsPodTerminating.
pub(crate) fn is_terminating(pod: &Pod) -> bool {
    !is_terminal(pod) && meta::is_deleting(&pod.metadata)
}

/// The condition of this type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn ready_condition(pod: &Pod) -> Option<&PodCondition> {
    condition(pod, "Ready").filter(|condition| condition.status == "True")
}

/// True if the Ready condition is true.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_condition(pod).is_some()
}

fn ready_since(pod: &Pod) -> Option<Timestamp> {
    ready_condition(pod)?.last_transition_time.as_ref().map(|time| time.0)
}

/// Ready for at least `min_ready_seconds`. Upstream: podutil.IsPodAvailable.
pub(crate) fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    if min_ready_seconds <= 0 {
        return is_ready(pod);
    }
    ready_since(pod).is_some_and(|since| meta::after(since, i64::from(min_ready_seconds)) <= now)
}

/// When the first of these pods that is ready but not yet available becomes so.
pub(crate) fn next_availability_check<'a>(
    pods: impl Iterator<Item = &'a Pod>,
    min_ready_seconds: i32,
    now: Timestamp,
) -> Option<Duration> {
    pods.filter_map(ready_since)
        .filter_map(|since| meta::until(meta::after(since, i64::from(min_ready_seconds)), now))
        .min()
}

/// A pod of `template`, managed by `owner`. Upstream: controller.GetPodFromTemplate.
pub(crate) fn from_template(template: &PodTemplateSpec, namespace: &str, owner: OwnerReference) -> Pod {
    let metadata = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            generate_name: Some(meta::generate_name(&owner.name)),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

fn restarts(pod: &Pod) -> (i32, i32) {
    let Some(status) = &pod.status else { return (0, 0) };
    let regular = status.container_statuses.iter().flatten().map(|container| container.restart_count).max();
    let sidecars: Vec<&str> = pod
        .spec
        .iter()
        .flat_map(|spec| spec.init_containers.iter().flatten())
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
        .map(|container| container.name.as_str())
        .collect();
    let sidecar = status
        .init_container_statuses
        .iter()
        .flatten()
        .filter(|container| sidecars.contains(&container.name.as_str()))
        .map(|container| container.restart_count)
        .max();
    (regular.unwrap_or(0), sidecar.unwrap_or(0))
}

fn phase_rank(pod: &Pod) -> u8 {
    match phase(pod) {
        "Pending" => 0,
        "Unknown" => 1,
        "Running" => 2,
        _ => 0,
    }
}

fn deletion_cost(pod: &Pod) -> i32 {
    meta::annotation(&pod.metadata, "controller.kubernetes.io/pod-deletion-cost")
        .and_then(|cost| cost.parse().ok())
        .unwrap_or(0)
}

/// Compares ages on a logarithmic scale, so that among pods of similar age the choice does not always hit the youngest.
fn by_age(a: Option<Timestamp>, b: Option<Timestamp>, a_uid: &str, b_uid: &str, now: Timestamp) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else {
        // A missing time counts as younger than any other, and the youngest goes first.
        return b.is_none().cmp(&a.is_none());
    };
    if a == b {
        return Ordering::Equal;
    }
    let rank = |time: Timestamp| {
        let age = now.duration_since(time).as_nanos();
        if age > 0 { i64::from(127 - age.leading_zeros()) } else { -1 }
    };
    rank(a).cmp(&rank(b)).then_with(|| a_uid.cmp(b_uid))
}

/// Order of deletion: `Less` goes first. `rank` counts the related active pods on the pod's node.
///
/// Upstream: controller.ActivePodsWithRanks.Less.
pub(crate) fn deletion_order(a: &Pod, b: &Pod, rank: impl Fn(&Pod) -> usize, now: Timestamp) -> Ordering {
    let assigned = node_name(a).is_some().cmp(&node_name(b).is_some());
    let (regular_a, sidecar_a) = restarts(a);
    let (regular_b, sidecar_b) = restarts(b);
    let (uid_a, uid_b) = (meta::uid(&a.metadata), meta::uid(&b.metadata));
    assigned
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| rank(b).cmp(&rank(a)))
        .then_with(|| {
            if is_ready(a) { by_age(ready_since(a), ready_since(b), uid_a, uid_b, now) } else { Ordering::Equal }
        })
        .then_with(|| regular_b.cmp(&regular_a))
        .then_with(|| sidecar_b.cmp(&sidecar_a))
        .then_with(|| {
            let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
            by_age(created(a), created(b), uid_a, uid_b, now)
        })
}

/// The `count` pods to delete first. `related` are the pods of all controllers with the same owner.
pub(crate) fn choose_for_deletion(
    mut pods: Vec<Arc<Pod>>,
    related: &[Arc<Pod>],
    count: usize,
    now: Timestamp,
) -> Vec<Arc<Pod>> {
    if count < pods.len() {
        let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in related.iter().filter(|pod| is_active(pod)) {
            *on_node.entry(node_name(pod).unwrap_or_default()).or_default() += 1;
        }
        let rank = |pod: &Pod| on_node.get(node_name(pod).unwrap_or_default()).copied().unwrap_or(0);
        pods.sort_by(|a, b| deletion_order(a, b, rank, now));
        pods.truncate(count);
    }
    pods
}
