//! What is done once after the start, under the names upstream's hooks have in `/livez` and `/readyz`.
//!
//! Where upstream starts a controller krab often takes one step before it serves, so that many names stand for one stage. Work
//! that krab has no need of has no name here. A stage that is behind us stays so: whether a part goes on well is not asked.
//! Upstream: k8s.io/apiserver/pkg/server.AddPostStartHook and its callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::server::health::{Check, Health, Scope};

/// How far a start has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The view holds what is stored, definitions of custom resources are served, admission knows its configuration.
    Serving,
    /// The objects every cluster has are there.
    Objects,
    /// APIServices are followed.
    Aggregation,
}

/// In upstream's order.
const HOOKS: [(&str, Stage); 29] = [
    ("start-apiserver-admission-initializer", Stage::Serving),
    ("generic-apiserver-start-informers", Stage::Serving),
    ("priority-and-fairness-config-consumer", Stage::Aggregation),
    ("priority-and-fairness-filter", Stage::Serving),
    ("storage-object-count-tracker-hook", Stage::Serving),
    ("start-apiextensions-informers", Stage::Serving),
    ("start-apiextensions-controllers", Stage::Serving),
    ("crd-informer-synced", Stage::Serving),
    ("start-system-namespaces-controller", Stage::Objects),
    ("start-cluster-authentication-info-controller", Stage::Objects),
    ("start-kube-apiserver-identity-lease-controller", Stage::Aggregation),
    ("start-kube-apiserver-identity-lease-garbage-collector", Stage::Aggregation),
    ("storage-readiness", Stage::Serving),
    ("start-legacy-token-tracking-controller", Stage::Objects),
    ("start-service-ip-repair-controllers", Stage::Serving),
    ("rbac/bootstrap-roles", Stage::Objects),
    ("scheduling/bootstrap-system-priority-classes", Stage::Objects),
    ("priority-and-fairness-config-producer", Stage::Objects),
    ("bootstrap-controller", Stage::Objects),
    ("start-kubernetes-service-cidr-controller", Stage::Objects),
    ("start-kube-aggregator-informers", Stage::Serving),
    ("apiservice-status-local-available-controller", Stage::Aggregation),
    ("apiservice-status-remote-available-controller", Stage::Aggregation),
    ("apiservice-registration-controller", Stage::Aggregation),
    ("apiservice-discovery-controller", Stage::Aggregation),
    ("kube-apiserver-autoregistration", Stage::Aggregation),
    (AUTOREGISTER, Stage::Aggregation),
    ("apiservice-openapi-controller", Stage::Aggregation),
    ("apiservice-openapiv3-controller", Stage::Aggregation),
];
/// The one that is a check of its own.
const AUTOREGISTER: &str = "autoregister-completion";

/// How far this start has come. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Hooks(Arc<AtomicU8>);

impl Hooks {
    /// Everything up to and with this stage is done.
    pub(super) fn reached(&self, stage: Stage) {
        self.0.fetch_max(stage as u8 + 1, Ordering::AcqRel);
    }

    /// Adds a check for each hook.
    pub(super) fn join(&self, health: &mut Health) {
        for (name, stage) in HOOKS {
            let name = if name == AUTOREGISTER { name.to_owned() } else { format!("poststarthook/{name}") };
            health.add(name, Scope::Boot, self.check(stage));
        }
    }

    fn check(&self, stage: Stage) -> Check {
        let reached = Arc::clone(&self.0);
        Arc::new(move || (reached.load(Ordering::Acquire) <= stage as u8).then(|| "not finished".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_well_once_its_stage_is_reached() {
        let hooks = Hooks::default();
        let (objects, aggregation) = (hooks.check(Stage::Objects), hooks.check(Stage::Aggregation));
        assert_eq!(objects().as_deref(), Some("not finished"));
        hooks.reached(Stage::Serving);
        assert!(objects().is_some());
        hooks.reached(Stage::Objects);
        assert_eq!((objects(), aggregation().is_some()), (None, true));
        hooks.reached(Stage::Aggregation);
        hooks.reached(Stage::Serving);
        assert_eq!((objects(), aggregation()), (None, None));
    }

    #[test]
    fn no_hook_has_two_names() {
        let mut names: Vec<&str> = HOOKS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), HOOKS.len());
    }
}
