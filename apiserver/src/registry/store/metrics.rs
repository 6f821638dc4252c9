//! How long the store takes, under the names upstream has for etcd: dashboards ask for these, whatever the log behind the view is.
//!
//! A request is what goes to the log: each write, and on etcd the question how far it is before a consistent read. All other reads
//! are answered by the view and are no request. That a condition did not hold is an answer, not an error.
//! Upstream: k8s.io/apiserver/pkg/storage/etcd3/metrics.

use std::time::Duration;

use component::metrics::{HistogramVec, IntCounterVec, Registrar, Registry};

use crate::registry::resource::Resource;

const LABELS: [&str; 3] = ["operation", "group", "resource"];
/// In seconds.
const DURATIONS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0,
    45.0, 60.0,
];

/// What the log of a store is asked for, by upstream's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Create,
    Update,
    Delete,
    CurrentRevision,
}

impl Asked {
    fn as_str(self) -> &'static str {
        match self {
            Asked::Create => "create",
            Asked::Update => "update",
            Asked::Delete => "delete",
            Asked::CurrentRevision => "getCurrentResourceVersion",
        }
    }
}

/// See the module header.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    durations: HistogramVec,
    requests: IntCounterVec,
    errors: IntCounterVec,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, component::metrics::Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("etcd_");
        Ok(Metrics {
            durations: make.histograms(
                "request_duration_seconds",
                "[ALPHA] Etcd request latency in seconds for each operation and object type.",
                &LABELS,
                &DURATIONS,
            )?,
            requests: make.counters(
                "requests_total",
                "[ALPHA] Etcd request counts for each operation and object type.",
                &LABELS,
            )?,
            errors: make.counters(
                "request_errors_total",
                "[ALPHA] Etcd failed request counts for each operation and object type.",
                &LABELS,
            )?,
            registry,
        })
    }

    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Counts a request that took so long.
    pub(super) fn asked<T>(&self, asked: Asked, of: &Resource, took: Duration, answer: &Result<T, store::Error>) {
        let labels = [asked.as_str(), of.info.group.as_ref(), of.info.plural.as_ref()];
        self.durations.with_label_values(&labels).observe(took.as_secs_f64());
        self.requests.with_label_values(&labels).inc();
        if answer.as_ref().is_err_and(|error| !error.is_compare_failed()) {
            self.errors.with_label_values(&labels).inc();
        }
    }
}
