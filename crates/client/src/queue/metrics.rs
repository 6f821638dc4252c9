//! What work queues count, under upstream's names: `workqueue_*`, one series a queue.
//!
//! Upstream: component-base/metrics/prometheus/workqueue.

use std::time::Duration;

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registrar, Registry,
    exponential_buckets,
};

/// The families, for all queues of one registry.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    depth: IntGaugeVec,
    adds: IntCounterVec,
    retries: IntCounterVec,
    waiting: HistogramVec,
    working: HistogramVec,
}

impl QueueMetrics {
    /// Registers the families.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn register(registry: &Registry) -> Result<Self, Error> {
        let buckets = exponential_buckets(1e-8, 10.0, 10)?;
        let make = Registrar::of(registry).under("workqueue_");
        Ok(Self {
            depth: make.gauges("depth", "Current depth of workqueue", &["name"])?,
            adds: make.counters("adds_total", "Total number of adds handled by workqueue", &["name"])?,
            retries: make.counters("retries_total", "Total number of retries handled by workqueue", &["name"])?,
            waiting: make.histograms(
                "queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested.",
                &["name"],
                &buckets,
            )?,
            working: make.histograms(
                "work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                &["name"],
                &buckets,
            )?,
        })
    }

    /// The series of the queue `name`.
    pub(super) fn of(&self, name: &str) -> Counted {
        Counted {
            depth: self.depth.with_label_values(&[name]),
            adds: self.adds.with_label_values(&[name]),
            retries: self.retries.with_label_values(&[name]),
            waiting: self.waiting.with_label_values(&[name]),
            working: self.working.with_label_values(&[name]),
        }
    }
}

/// One queue's series.
#[derive(Debug)]
pub(super) struct Counted {
    depth: IntGauge,
    adds: IntCounter,
    retries: IntCounter,
    waiting: Histogram,
    working: Histogram,
}

impl Counted {
    pub(super) fn added(&self) {
        self.adds.inc();
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    pub(super) fn depth(&self, ready: usize) {
        self.depth.set(i64::try_from(ready).unwrap_or(i64::MAX));
    }

    pub(super) fn waited(&self, time: Duration) {
        self.waiting.observe(time.as_secs_f64());
    }

    pub(super) fn worked(&self, time: Duration) {
        self.working.observe(time.as_secs_f64());
    }
}
