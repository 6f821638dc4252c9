//! Which APIServices cannot be asked, and how often one went away.
//! Upstream: kube-aggregator/pkg/controllers/status/metrics.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use component::metrics::{Error, IntCounterVec, IntGaugeVec, Registrar, Registry};

use super::ApiService;

/// See the module header.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    unavailable: IntGaugeVec,
    /// The names that `unavailable` has.
    shown: Mutex<BTreeSet<String>>,
    losses: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("aggregator_unavailable_");
        Ok(Metrics {
            unavailable: make.gauges(
                "apiservice",
                "[ALPHA] Gauge of APIServices which are marked as unavailable broken down by APIService name.",
                &["name"],
            )?,
            losses: make.counters(
                "apiservice_total",
                "[ALPHA] Counter of APIServices which are marked as unavailable broken down by APIService name and reason.",
                &["name", "reason"],
            )?,
            shown: Mutex::default(),
            registry,
        })
    }

    pub(super) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Shows these, which are all there are.
    pub(super) fn show(&self, services: &[Arc<ApiService>]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        for service in services {
            self.unavailable.with_label_values(&[&service.name]).set((!service.is_available).into());
        }
        let names: BTreeSet<String> = services.iter().map(|service| service.name.clone()).collect();
        for gone in shown.difference(&names) {
            drop(self.unavailable.remove_label_values(&[gone]));
        }
        *shown = names;
    }

    /// One that could be asked cannot be any more.
    pub(super) fn lost(&self, name: &str, reason: &str) {
        self.losses.with_label_values(&[name, reason]).inc();
    }
}

#[cfg(test)]
mod tests {
    use json::json;

    use super::*;

    fn service(name: &str, available: &str) -> Arc<ApiService> {
        let conditions = json!([{"type": "Available", "status": available}]);
        let stored = json!({"metadata": {"name": name}, "spec": {}, "status": {"conditions": conditions}});
        Arc::new(ApiService::compile(&stored, None))
    }

    #[test]
    fn an_apiservice_is_shown_for_as_long_as_it_is_there() {
        let metrics = Metrics::default();
        metrics.show(&[service("a", "True"), service("b", "False")]);
        let text = || component::metrics::encode([&metrics.registry()]).unwrap();
        assert!(text().contains("aggregator_unavailable_apiservice{name=\"a\"} 0\n"));
        assert!(text().contains("aggregator_unavailable_apiservice{name=\"b\"} 1\n"));
        metrics.show(&[service("b", "True")]);
        assert!(!text().contains("name=\"a\""));
        assert!(text().contains("aggregator_unavailable_apiservice{name=\"b\"} 0\n"));
    }
}
