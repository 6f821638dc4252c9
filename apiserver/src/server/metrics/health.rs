//! What health checks said, for `/metrics/slis`.

use component::metrics::{Error, IntCounterVec, IntGaugeVec, Registry};

use super::Registrar;

/// See the module header.
#[derive(Debug)]
pub(crate) struct HealthMetrics {
    registry: Registry,
    last: IntGaugeVec,
    results: IntCounterVec,
}

impl HealthMetrics {
    pub(super) fn new() -> Result<HealthMetrics, Error> {
        let registry = Registry::new();
        let make = Registrar(&registry);
        Ok(HealthMetrics {
            last: make.gauges("kubernetes_healthcheck", "1 where the check passed last.", &["name", "type"])?,
            results: make.counters("kubernetes_healthchecks_total", "Checks made.", &["name", "type", "status"])?,
            registry,
        })
    }

    /// Notes what a check of an endpoint (`readyz`) said.
    pub(crate) fn checked(&self, endpoint: &str, name: &str, passed: bool) {
        self.last.with_label_values(&[name, endpoint]).set(passed.into());
        self.results.with_label_values(&[name, endpoint, if passed { "success" } else { "error" }]).inc();
    }

    /// The text of `/metrics/slis`.
    pub(crate) fn text(&self) -> Result<String, Error> {
        component::metrics::encode([&self.registry])
    }
}
