//! What health checks said, for `/metrics/slis`.

use component::metrics::{Error, Gauge, IntCounterVec, IntGaugeVec, Registrar, Registry};

/// When this process began, as `/metrics` has it.
fn start_time() -> Result<Gauge, Error> {
    let help = "[ALPHA] Start time of the process since unix epoch in seconds.";
    let gauge = Gauge::new("process_start_time_seconds", help)?;
    gauge.set(component::metrics::process_started().unwrap_or_default());
    Ok(gauge)
}

/// See the module header.
#[derive(Debug)]
pub(crate) struct HealthMetrics {
    registry: Registry,
    last: IntGaugeVec,
    results: IntCounterVec,
}

impl HealthMetrics {
    pub(crate) fn new() -> Result<HealthMetrics, Error> {
        let registry = Registry::new();
        registry.register(Box::new(start_time()?))?;
        let make = Registrar::of(&registry);
        Ok(HealthMetrics {
            last: make.gauges(
                "kubernetes_healthcheck",
                "[STABLE] This metric records the result of a single healthcheck.",
                &["name", "type"],
            )?,
            results: make.counters(
                "kubernetes_healthchecks_total",
                "[STABLE] This metric records the results of all healthcheck.",
                &["name", "type", "status"],
            )?,
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
