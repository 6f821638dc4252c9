//! What the scheduler counts, under upstream's names (`pkg/scheduler/metrics`).

use component::metrics::{
    Error, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry,
    exponential_buckets,
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
        let histogram = |name: &str, help: &str, buckets: Vec<f64>| HistogramOpts::new(name, help).buckets(buckets);
        let metrics = Self {
            attempts: IntCounterVec::new(
                Opts::new("scheduler_schedule_attempts_total", "Attempts to schedule pods, by result."),
                &["profile", "result"],
            )?,
            attempt_duration: HistogramVec::new(
                histogram(
                    "scheduler_scheduling_attempt_duration_seconds",
                    "Time of one attempt, binding included.",
                    exponential_buckets(0.001, 2.0, 15)?,
                ),
                &["profile", "result"],
            )?,
            pending: IntGaugeVec::new(Opts::new("scheduler_pending_pods", "Pods that wait, by queue."), &["queue"])?,
            sli_duration: HistogramVec::new(
                histogram(
                    "scheduler_pod_scheduling_sli_duration_seconds",
                    "Time from a pod's first attempt until it is bound, by number of attempts.",
                    exponential_buckets(0.01, 2.0, 20)?,
                ),
                &["attempts"],
            )?,
            attempts_of_pod: Histogram::with_opts(histogram(
                "scheduler_pod_scheduling_attempts",
                "Attempts it took to schedule a pod.",
                exponential_buckets(1.0, 2.0, 5)?,
            ))?,
            preemption_attempts: IntCounter::new("scheduler_preemption_attempts_total", "Attempts to preempt.")?,
            preemption_victims: Histogram::with_opts(histogram(
                "scheduler_preemption_victims",
                "Pods preempted at a time.",
                exponential_buckets(1.0, 2.0, 7)?,
            ))?,
        };
        registry.register(Box::new(metrics.attempts.clone()))?;
        registry.register(Box::new(metrics.attempt_duration.clone()))?;
        registry.register(Box::new(metrics.pending.clone()))?;
        registry.register(Box::new(metrics.sli_duration.clone()))?;
        registry.register(Box::new(metrics.attempts_of_pod.clone()))?;
        registry.register(Box::new(metrics.preemption_attempts.clone()))?;
        registry.register(Box::new(metrics.preemption_victims.clone()))?;
        Ok(metrics)
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
