//! What the scheduler counts, under upstream's names (`pkg/scheduler/metrics`).

use component::metrics::{
    Error, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Registrar, Registry, exponential_buckets,
};
use tokio::time::Instant;

use crate::queue::{Pending, QueuedPod};

/// How an attempt to schedule ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attempt {
    Scheduled,
    Unschedulable,
    Error,
}

impl Attempt {
    fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Unschedulable => "unschedulable",
            Self::Error => "error",
        }
    }
}

/// The scheduler's metrics. Cloning shares them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    attempts: IntCounterVec,
    attempt_duration: HistogramVec,
    pending: IntGaugeVec,
    sli_duration: HistogramVec,
    attempts_of_pod: Histogram,
    preemption_attempts: IntCounter,
    preemption_victims: Histogram,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn register(registry: &Registry) -> Result<Self, Error> {
        let make = Registrar::of(registry).under("scheduler_");
        Ok(Self {
            attempts: make.counters(
                "schedule_attempts_total",
                "Attempts to schedule pods, by result.",
                &["profile", "result"],
            )?,
            attempt_duration: make.histograms(
                "scheduling_attempt_duration_seconds",
                "Time of one attempt, binding included.",
                &["profile", "result"],
                &exponential_buckets(0.001, 2.0, 15)?,
            )?,
            pending: make.gauges("pending_pods", "Pods that wait, by queue.", &["queue"])?,
            sli_duration: make.histograms(
                "pod_scheduling_sli_duration_seconds",
                "Time from a pod's first attempt until it is bound, by number of attempts.",
                &["attempts"],
                &exponential_buckets(0.01, 2.0, 20)?,
            )?,
            attempts_of_pod: make.histogram(
                "pod_scheduling_attempts",
                "Attempts it took to schedule a pod.",
                &exponential_buckets(1.0, 2.0, 5)?,
            )?,
            preemption_attempts: make.counter("preemption_attempts_total", "Attempts to preempt.")?,
            preemption_victims: make.histogram(
                "preemption_victims",
                "Pods preempted at a time.",
                &exponential_buckets(1.0, 2.0, 7)?,
            )?,
        })
    }

    /// An attempt that began at `start` ended.
    pub(crate) fn attempt(&self, profile: &str, result: Attempt, start: Instant) {
        let labels = [profile, result.as_str()];
        self.attempts.with_label_values(&labels).inc();
        self.attempt_duration.with_label_values(&labels).observe(start.elapsed().as_secs_f64());
    }

    /// A pod is bound.
    pub(crate) fn bound(&self, queued: &QueuedPod) {
        self.attempts_of_pod.observe(f64::from(queued.attempts));
        let attempts = if queued.attempts >= 15 { "15+".to_owned() } else { queued.attempts.to_string() };
        if let Some(first) = queued.initial_attempt {
            self.sli_duration.with_label_values(&[&attempts]).observe(first.elapsed().as_secs_f64());
        }
    }

    /// Preemption was tried, and would remove so many pods.
    pub(crate) fn preemption(&self, victims: usize) {
        self.preemption_attempts.inc();
        if victims > 0 {
            self.preemption_victims.observe(victims as f64);
        }
    }

    /// Where pods wait now.
    pub(crate) fn pending(&self, pending: Pending) {
        let counts = [
            ("active", pending.active),
            ("backoff", pending.backoff),
            ("unschedulable", pending.unschedulable),
            ("gated", pending.gated),
        ];
        for (queue, count) in counts {
            self.pending.with_label_values(&[queue]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_upstreams_names_and_labels() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.attempt("default-scheduler", Attempt::Scheduled, Instant::now());
        metrics.pending(Pending { unschedulable: 2, ..Pending::default() });
        let text = component::metrics::encode([&registry]).unwrap();
        let line = "scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"scheduled\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("scheduler_pending_pods{queue=\"unschedulable\"} 2"), "{text}");
    }
}
