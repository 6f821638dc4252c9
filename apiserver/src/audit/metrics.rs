//! What the audit log counts. Upstream: k8s.io/apiserver/pkg/audit/metrics.go.

use component::metrics::{Error, IntCounter, IntCounterVec, Registrar, Registry};

use super::policy::Level;

/// See the module header. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    registry: Registry,
    events: IntCounter,
    errors: IntCounterVec,
    levels: IntCounterVec,
    rejected: IntCounter,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("apiserver_audit_");
        Ok(Metrics {
            events: make.counter(
                "event_total",
                "[ALPHA] Counter of audit events generated and sent to the audit backend.",
            )?,
            errors: make.counters(
                "error_total",
                "[ALPHA] Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.",
                &["plugin"],
            )?,
            levels: make.counters(
                "level_total",
                "[ALPHA] Counter of policy levels for audit events (1 per request).",
                &["level"],
            )?,
            rejected: make.counter(
                "requests_rejected_total",
                "[ALPHA] Counter of apiserver requests rejected due to an error in audit logging backend.",
            )?,
            registry,
        })
    }

    /// To be shown with others.
    pub(super) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// An event was made.
    pub(super) fn event(&self) {
        self.events.inc();
    }

    /// The policy wants this much of a request.
    pub(super) fn level(&self, level: Level) {
        self.levels.with_label_values(&[level.as_str()]).inc();
    }

    /// A request was refused since its event could not be delivered.
    pub(super) fn rejected(&self) {
        self.rejected.inc();
    }

    /// So many events came to nothing. Upstream: audit.HandlePluginError.
    pub(super) fn failed(&self, plugin: &str, events: usize, why: &str) {
        tracing::error!(plugin, events, why, "audit events were lost");
        self.errors.with_label_values(&[plugin]).inc_by(events as u64);
    }

    #[cfg(test)]
    pub(super) fn failures(&self, plugin: &str) -> u64 {
        self.errors.with_label_values(&[plugin]).get()
    }
}
