//! RollingUpdate of daemon sets: replace old pods within `maxUnavailable`, or beside them within `maxSurge`.
//!
//! Upstream: daemon.rollingUpdate.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{DaemonSet, RollingUpdateDaemonSet};
use k8s_openapi::api::core::v1::Pod;

use super::plan::{Changes, Snapshot, should_run};
use crate::meta;

fn rolling(set: &DaemonSet) -> Option<RollingUpdateDaemonSet> {
    let strategy = set.spec.update_strategy.clone().unwrap_or_default();
    (strategy.type_.as_deref() != Some("OnDelete")).then(|| strategy.rolling_update.unwrap_or_default())
}

/// True if a node may have an old and a new pod for a while.
pub(super) fn allows_surge(set: &DaemonSet) -> bool {
    rolling(set).and_then(|rolling| meta::scaled(rolling.max_surge.as_ref()?, 1, true)).is_some_and(|surge| surge > 0)
}

/// The new and the old pod of a node.
type Pair<'a> = (Option<&'a Arc<Pod>>, Option<&'a Arc<Pod>>);

/// The pair of a node; `None` if there are more pods, which the main loop reduces first.
fn pair<'a>(snapshot: &Snapshot, pods: &'a [Arc<Pod>]) -> Option<Pair<'a>> {
    let (mut new, mut old) = (None, None);
    for pod in pods.iter().filter(|pod| !meta::is_deleting(&pod.metadata)) {
        let slot = if snapshot.is_updated(pod) { &mut new } else { &mut old };
        if slot.replace(pod).is_some() {
            return None;
        }
    }
    Some((new, old))
}

pub(super) fn plan(snapshot: &Snapshot) -> Changes {
    let Some(rolling) = rolling(&snapshot.set) else { return Changes::default() };
    let wanted: Vec<&str> = snapshot
        .nodes
        .iter()
        .filter(|node| should_run(&snapshot.set, node).0)
        .map(|node| meta::name(&node.metadata))
        .collect();
    let desired = i32::try_from(wanted.len()).unwrap_or(i32::MAX);
    let one = k8s_openapi::apimachinery::pkg::util::intstr::IntOrString::Int(1);
    let surge = rolling.max_surge.as_ref().and_then(|surge| meta::scaled(surge, desired, true)).unwrap_or(0);
    let mut unavailable = meta::scaled(rolling.max_unavailable.as_ref().unwrap_or(&one), desired, true).unwrap_or(1);
    if desired > 0 && unavailable == 0 && surge == 0 {
        unavailable = 1;
    }
    let empty = wanted.iter().filter(|node| !snapshot.by_node.contains_key(**node)).count();
    if surge == 0 { replace(snapshot, unavailable, empty) } else { add(snapshot, surge, desired) }
}

fn limit(count: i32) -> usize {
    usize::try_from(count).unwrap_or(0)
}

/// Old pods go first; the main loop makes new ones in their place. `empty` nodes have no pod yet.
fn replace(snapshot: &Snapshot, max_unavailable: i32, empty: usize) -> Changes {
    let mut unavailable = i32::try_from(empty).unwrap_or(i32::MAX);
    let (mut allowed, mut candidates) = (Vec::new(), Vec::new());
    for pods in snapshot.by_node.values() {
        match pair(snapshot, pods) {
            None | Some((None, None) | (Some(_), Some(_))) => unavailable += 1,
            Some((Some(new), None)) => unavailable += i32::from(!snapshot.is_available(new)),
            Some((None, Some(old))) if !snapshot.is_available(old) => {
                allowed.push(old.clone());
                unavailable += 1;
            }
            Some((None, Some(old))) => candidates.push(old.clone()),
        }
    }
    candidates.truncate(limit(max_unavailable - unavailable));
    allowed.append(&mut candidates);
    Changes { delete: allowed, ..Changes::default() }
}

/// New pods come beside the old ones; an old one goes when the new one is available.
fn add(snapshot: &Snapshot, max_surge: i32, desired: i32) -> Changes {
    let mut changes = Changes::default();
    let (mut candidates, mut not_wanted) = (Vec::new(), Vec::new());
    let (mut surging, mut available) = (0, 0);
    for (name, pods) in &snapshot.by_node {
        let Some((new, old)) = pair(snapshot, pods) else {
            surging += 1;
            continue;
        };
        available += i32::from(old.or(new).is_some_and(|pod| snapshot.is_available(pod)));
        let Some(old) = old else { continue };
        let runs = snapshot.nodes.iter().find(|node| meta::name(&node.metadata) == name.as_str());
        let wanted = runs.is_some_and(|node| should_run(&snapshot.set, node).0);
        match (new, snapshot.is_available(old), wanted) {
            (Some(new), _, _) if snapshot.is_available(new) => changes.delete.push(old.clone()),
            (Some(_), _, _) => surging += 1,
            (None, false, false) => changes.delete.push(old.clone()),
            (None, false, true) => changes.create.push(name.clone()),
            (None, true, false) => not_wanted.push(old.clone()),
            (None, true, true) => candidates.push(name.clone()),
        }
    }
    not_wanted.truncate(limit(available - desired));
    changes.delete.append(&mut not_wanted);
    candidates.truncate(limit(max_surge - surging));
    changes.create.append(&mut candidates);
    changes
}
