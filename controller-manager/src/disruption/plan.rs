//! The status of a budget.
//!
//! Upstream: disruption.trySync.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::engine::Event;
use crate::{meta, pods};

/// How long a granted eviction counts before the pod is gone.
const DELETION_TIMEOUT: i64 = 120;
const ALLOWED: &str = "DisruptionAllowed";

/// Everything one decision is based on.
pub(super) struct Snapshot {
    pub budget: Arc<PodDisruptionBudget>,
    /// Selected pods.
    pub pods: Vec<Arc<Pod>>,
    /// Of each pod its controller's uid and size, if it is known.
    pub sizes: Vec<Option<(String, i32)>>,
    pub now: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub status: Option<PodDisruptionBudgetStatus>,
    pub events: Vec<Event>,
    pub requeue_after: Option<Duration>,
}

/// How long a pod's announcement of its disruption still holds; `None` if it announces none.
pub(super) fn stale_mark(pod: &Pod, now: Timestamp) -> Option<Duration> {
    let condition = pods::condition(pod, "DisruptionTarget")?;
    let by_kubelet = condition.reason.as_deref() == Some("TerminationByKubelet");
    if meta::is_deleting(&pod.metadata) || condition.status != "True" || by_kubelet || pods::is_terminal(pod) {
        return None;
    }
    let since = condition.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
    Some(meta::until(meta::after(since, DELETION_TIMEOUT), now).unwrap_or_default())
}

/// Expected and needed pods, and whether some are without a controller.
fn expectation(snapshot: &Snapshot) -> Result<(i32, i32, bool), String> {
    let spec = snapshot.budget.spec.clone().unwrap_or_default();
    let scale = || -> Result<(i32, bool), String> {
        let mut sizes = BTreeMap::new();
        let mut unmanaged = false;
        for (pod, size) in snapshot.pods.iter().zip(&snapshot.sizes) {
            match size {
                Some((uid, size)) => drop(sizes.insert(uid.clone(), *size)),
                None if meta::controller_of(&pod.metadata).is_none() => unmanaged = true,
                None => return Err(format!("found no controllers for pod \"{}\"", meta::name(&pod.metadata))),
            }
        }
        Ok((sizes.values().sum(), unmanaged))
    };
    let invalid = || "invalid value for IntOrString".to_owned();
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(max), _) => {
            let (expected, unmanaged) = scale()?;
            let unavailable = meta::scaled(max, expected, true).ok_or_else(invalid)?;
            Ok((expected, (expected - unavailable).max(0), unmanaged))
        }
        (None, Some(IntOrString::Int(min))) => {
            Ok((i32::try_from(snapshot.pods.len()).unwrap_or(i32::MAX), *min, false))
        }
        (None, Some(min)) => {
            let (expected, unmanaged) = scale()?;
            Ok((expected, meta::scaled(min, expected, true).ok_or_else(invalid)?, unmanaged))
        }
        (None, None) => Ok((0, 0, false)),
    }
}

pub(super) fn plan(snapshot: &Snapshot) -> Outcome {
    let mut outcome = Outcome::default();
    let (budget, about) = (&snapshot.budget, &snapshot.budget.metadata);
    let old = budget.status.clone().unwrap_or_default();
    if snapshot.pods.is_empty() {
        outcome.events.push(meta::normal::<PodDisruptionBudget>(about, "NoPods", "No matching pods found"));
    }
    let new = match expectation(snapshot) {
        Ok((expected, desired, unmanaged)) => {
            if unmanaged {
                let selector = crate::engine::to_value(&budget.spec.as_ref().and_then(|spec| spec.selector.clone()));
                let message = format!(
                    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set \".spec.minAvailable\" field of the PDB to an integer value."
                );
                outcome.events.push(meta::warning::<PodDisruptionBudget>(about, "UnmanagedPods", message));
            }
            let disrupted = disrupted(snapshot, &old, &mut outcome);
            let healthy = snapshot.pods.iter().filter(|pod| {
                pods::is_ready(pod)
                    && !meta::is_deleting(&pod.metadata)
                    && !disrupted.contains_key(meta::name(&pod.metadata))
            });
            let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
            let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
            let (status, reason) = if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
            PodDisruptionBudgetStatus {
                current_healthy: Some(healthy),
                desired_healthy: Some(desired),
                expected_pods: Some(expected),
                disruptions_allowed: Some(allowed),
                disrupted_pods: Some(disrupted).filter(|pods| !pods.is_empty()),
                observed_generation: about.generation,
                conditions: Some(conditions(snapshot, &old, status, reason, "", about.generation)),
            }
        }
        Err(message) => {
            let text = format!("Failed to calculate the number of expected pods: {message}");
            outcome.events.push(meta::warning::<PodDisruptionBudget>(about, "CalculateExpectedPodCountFailed", text));
            PodDisruptionBudgetStatus {
                disruptions_allowed: Some(0),
                conditions: Some(conditions(snapshot, &old, "False", "SyncFailed", &message, old.observed_generation)),
                ..old.clone()
            }
        }
    };
    let zero = |number: Option<i32>| Some(number.unwrap_or(0));
    let known = PodDisruptionBudgetStatus {
        current_healthy: zero(old.current_healthy),
        desired_healthy: zero(old.desired_healthy),
        expected_pods: zero(old.expected_pods),
        disruptions_allowed: zero(old.disruptions_allowed),
        disrupted_pods: old.disrupted_pods.clone().filter(|pods| !pods.is_empty()),
        ..old
    };
    outcome.status = (new != known).then_some(new);
    outcome
}

/// Granted evictions that are still to happen.
fn disrupted(snapshot: &Snapshot, old: &PodDisruptionBudgetStatus, outcome: &mut Outcome) -> BTreeMap<String, Time> {
    let mut open = BTreeMap::new();
    let Some(granted) = &old.disrupted_pods else { return open };
    for pod in snapshot.pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata)) {
        let name = meta::name(&pod.metadata);
        let Some(since) = granted.get(name) else { continue };
        match meta::until(meta::after(since.0, DELETION_TIMEOUT), snapshot.now) {
            Some(wait) => {
                outcome.requeue_after = Some(outcome.requeue_after.map_or(wait, |earlier| earlier.min(wait)));
                open.insert(name.to_owned(), since.clone());
            }
            None => {
                let budget = meta::namespace(&snapshot.budget.metadata);
                // Upstream names the namespace twice; clients know it so.
                let message = format!("Pod was expected by PDB {budget}/{budget} to be deleted but it wasn't");
                outcome.events.push(meta::warning::<Pod>(&pod.metadata, "NotDeleted", message));
            }
        }
    }
    open
}

fn conditions(
    snapshot: &Snapshot,
    old: &PodDisruptionBudgetStatus,
    status: &str,
    reason: &str,
    message: &str,
    generation: Option<i64>,
) -> Vec<Condition> {
    let mut all = old.conditions.clone().unwrap_or_default();
    let since = all
        .iter()
        .find(|condition| condition.type_ == ALLOWED && condition.status == status)
        .map(|same| same.last_transition_time.clone());
    let new = Condition {
        type_: ALLOWED.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation: generation,
        last_transition_time: since.unwrap_or_else(|| meta::time(snapshot.now)),
    };
    match all.iter_mut().find(|condition| condition.type_ == ALLOWED) {
        Some(present) => *present = new,
        None => all.push(new),
    }
    all
}
