//! RollingUpdate: scale the new set up within the surge, then old ones down within the allowed unavailability.
//!
//! Upstream: deployment.rolloutRolling.

use super::plan::{Planner, total};
use super::scale::{max_unavailable, resize};

impl Planner {
    pub(super) fn roll(&mut self) {
        self.sync_revision(true);
        if !self.grow_new() && !self.shrink_old() && self.is_complete(&self.status) {
            self.clean_up();
        }
        self.sync_rollout_status();
    }

    fn grow_new(&mut self) -> bool {
        let desired = self.replicas();
        let Some(new) = &self.new else { return false };
        let size = if new.replicas() > desired { desired } else { self.new_set_replicas(new) };
        let spec = self.spec.clone();
        // A set about to be created has its size already.
        self.new.as_mut().is_some_and(|new| new.before.is_some() && resize(new, size, &spec))
    }

    fn shrink_old(&mut self) -> bool {
        let min_available = self.replicas() - max_unavailable(&self.spec);
        let new_unavailable = self.new.as_ref().map_or(0, |new| new.replicas() - new.available());
        let budget = total(self.all()) - min_available - new_unavailable;
        if total(&self.old) == 0 || budget <= 0 {
            return false;
        }
        let spec = self.spec.clone();
        // Unhealthy pods go first: they cost no availability.
        let mut left = budget;
        for set in self.old.iter_mut().filter(|set| set.replicas() > 0) {
            let unhealthy = left.min(set.replicas() - set.available());
            if unhealthy > 0 {
                resize(set, set.replicas() - unhealthy, &spec);
                left -= unhealthy;
            }
        }
        let cleaned = budget - left;
        let available: i32 = self.all().map(super::plan::Set::available).sum();
        let mut left = available - min_available;
        let spare = left;
        for set in self.old.iter_mut().filter(|set| set.replicas() > 0) {
            let step = set.replicas().min(left);
            if step > 0 {
                resize(set, set.replicas() - step, &spec);
                left -= step;
            }
        }
        cleaned > 0 || left < spare
    }
}
