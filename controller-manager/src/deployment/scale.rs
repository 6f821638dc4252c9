//! Sizes: proportional scaling outside a rollout, and the bounds a rollout stays within.
//!
//! Upstream: deployment.scale, util.ResolveFenceposts, util.NewRSNewReplicas.

use std::cmp::Reverse;

use k8s_openapi::api::apps::v1::{DeploymentSpec, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::history::{self, DESIRED_REPLICAS, MAX_REPLICAS};
use super::plan::{Planner, Set, total};
use crate::meta;

fn rolling(spec: &DeploymentSpec) -> Option<RollingUpdateDeployment> {
    let strategy = spec.strategy.clone().unwrap_or_default();
    match strategy.type_.as_deref() {
        Some("Recreate") => None,
        _ => Some(strategy.rolling_update.unwrap_or_default()),
    }
}

/// Surge and unavailability in pods; never both zero, or nothing could move.
fn fenceposts(spec: &DeploymentSpec) -> Option<(i32, i32)> {
    let rolling = rolling(spec)?;
    let desired = spec.replicas.unwrap_or(1);
    let zero = IntOrString::Int(0);
    let surge = meta::scaled(rolling.max_surge.as_ref().unwrap_or(&zero), desired, true)?;
    let unavailable = meta::scaled(rolling.max_unavailable.as_ref().unwrap_or(&zero), desired, false)?;
    Some(if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) })
}

/// Pods above the wanted number a rollout may have.
pub(super) fn max_surge(spec: &DeploymentSpec) -> i32 {
    fenceposts(spec).map_or(0, |(surge, _)| surge)
}

/// Pods below the wanted number a rollout may have.
pub(super) fn max_unavailable(spec: &DeploymentSpec) -> i32 {
    let desired = spec.replicas.unwrap_or(1);
    if desired == 0 { 0 } else { fenceposts(spec).map_or(0, |(_, unavailable)| unavailable.min(desired)) }
}

/// Records the deployment's size in the set; says whether that changed anything.
pub(super) fn annotate(set: &mut Set, spec: &DeploymentSpec) -> bool {
    let desired = spec.replicas.unwrap_or(1);
    let changed = set.annotate(DESIRED_REPLICAS, &desired.to_string());
    set.annotate(MAX_REPLICAS, &(desired + max_surge(spec)).to_string()) || changed
}

/// Gives the set a new size (and the annotations that go with it); says whether the size changed.
pub(super) fn resize(set: &mut Set, replicas: i32, spec: &DeploymentSpec) -> bool {
    if set.replicas() == replicas {
        return false;
    }
    set.set.spec.replicas = Some(replicas);
    set.changed = true;
    annotate(set, spec);
    true
}

fn number(set: &Set, annotation: &str) -> Option<i32> {
    set.annotation(annotation)?.parse().ok().filter(|number| *number >= 0)
}

impl Planner {
    /// True if the deployment was resized since its active sets were last looked at.
    pub(super) fn is_scaling_event(&self) -> bool {
        self.all()
            .filter(|set| set.replicas() > 0)
            .any(|set| number(set, DESIRED_REPLICAS).is_some_and(|desired| desired != self.replicas()))
    }

    /// How many replicas the new set may have now.
    pub(super) fn new_set_replicas(&self, new: &Set) -> i32 {
        let desired = self.replicas();
        let Some(rolling) = rolling(&self.spec) else { return desired };
        let zero = IntOrString::Int(0);
        let surge = meta::scaled(rolling.max_surge.as_ref().unwrap_or(&zero), desired, true).unwrap_or(0);
        let room = desired + surge - total(&self.old) - new.replicas();
        if room <= 0 { new.replicas() } else { new.replicas() + room.min(desired - new.replicas()) }
    }

    fn is_saturated(&self, set: &Set) -> bool {
        let desired = self.replicas();
        set.replicas() == desired && number(set, DESIRED_REPLICAS) == Some(desired) && set.available() == desired
    }

    /// Spreads a change of size over the sets in proportion to their sizes.
    pub(super) fn scale(&mut self) {
        let desired = self.replicas();
        let spec = self.spec.clone();
        let active = self.all().filter(|set| set.replicas() > 0).count();
        if active <= 1 {
            // One set takes it all: the active one, else the new one, else the newest.
            let single = if active == 1 {
                self.new.iter_mut().chain(&mut self.old).find(|set| set.replicas() > 0)
            } else {
                self.new.as_mut().or(self.old.last_mut())
            };
            if let Some(set) = single {
                resize(set, desired, &spec);
            }
            return;
        }
        if self.new.as_ref().is_some_and(|new| self.is_saturated(new)) {
            for set in self.old.iter_mut().filter(|set| set.replicas() > 0) {
                resize(set, 0, &spec);
            }
            return;
        }
        if rolling(&spec).is_some() {
            self.scale_proportionally(&spec);
        }
    }

    fn scale_proportionally(&mut self, spec: &DeploymentSpec) {
        let desired = self.replicas();
        let allowed = if desired > 0 { desired + max_surge(spec) } else { 0 };
        let reported = self.status.replicas.unwrap_or(0);
        let mut sets: Vec<&mut Set> =
            self.new.iter_mut().chain(&mut self.old).filter(|set| set.replicas() > 0).collect();
        let to_add = allowed - sets.iter().map(|set| set.replicas()).sum::<i32>();
        // The larger sets take their share first; among equals, growth favours the newer and shrinking hits the older.
        sets.sort_by(|a, b| history::by_age(&a.set, &b.set));
        if to_add > 0 {
            sets.reverse();
        }
        sets.sort_by_key(|set| Reverse(set.replicas()));
        let mut added = 0;
        let mut sizes = Vec::new();
        for set in &sets {
            let share = if to_add == 0 || to_add == added {
                0
            } else {
                share(set, desired, max_surge(spec), reported, to_add, added)
            };
            added += share;
            sizes.push(set.replicas() + share);
        }
        if let Some(first) = sizes.first_mut().filter(|_| to_add != 0) {
            *first = (*first + to_add - added).max(0);
        }
        for (set, size) in sets.into_iter().zip(sizes) {
            if !resize(set, size, spec) {
                annotate(set, spec);
            }
        }
    }
}

/// The part of `to_add` that falls to one set. Upstream: util.GetReplicaSetProportion.
fn share(set: &Set, desired: i32, surge: i32, reported: i32, to_add: i32, added: i32) -> i32 {
    let size = set.replicas();
    let fraction = if desired == 0 {
        -size
    } else {
        let before = number(set, MAX_REPLICAS).filter(|max| *max != 0).unwrap_or(reported);
        if before == 0 {
            0
        } else {
            // Half away from zero; all operands are positive here.
            let exact = f64::from(size) * f64::from(desired + surge) / f64::from(before);
            #[allow(clippy::cast_possible_truncation)]
            let rounded = exact.round() as i32;
            rounded - size
        }
    };
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}
