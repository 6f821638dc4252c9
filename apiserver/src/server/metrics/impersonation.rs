//! Who wanted to go on as somebody else, and what that took.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters/impersonation/metrics.

use std::time::Duration;

use component::metrics::{Error, HistogramVec, IntCounterVec, Registrar, exponential_buckets};

const LABELS: [&str; 2] = ["mode", "decision"];

/// See the module header.
#[derive(Debug)]
pub(crate) struct ImpersonationMetrics {
    attempts: Family,
    checks: Family,
}

/// How many of something, and how long each took.
#[derive(Debug)]
struct Family {
    count: IntCounterVec,
    durations: HistogramVec,
}

impl Family {
    fn observe(&self, mode: &str, allowed: bool, took: Duration) {
        let labels = [mode, if allowed { "allowed" } else { "denied" }];
        self.count.with_label_values(&labels).inc();
        self.durations.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

impl ImpersonationMetrics {
    pub(crate) fn new(make: &Registrar<'_>) -> Result<ImpersonationMetrics, Error> {
        let make = make.under("apiserver_impersonation_");
        let buckets = exponential_buckets(0.001, 2.0, 15)?;
        Ok(ImpersonationMetrics {
            attempts: Family {
                count: make.counters(
                    "attempts_total",
                    "[ALPHA] Total number of impersonation attempts split by mode and decision.",
                    &LABELS,
                )?,
                durations: make.histograms(
                    "attempts_duration_seconds",
                    "[ALPHA] Latency of impersonation attempts in seconds split by mode and decision.",
                    &LABELS,
                    &buckets,
                )?,
            },
            checks: Family {
                count: make.counters(
                    "authorization_attempts_total",
                    "[ALPHA] Total number of authorization checks made by the impersonation handler split by mode and decision.",
                    &LABELS,
                )?,
                durations: make.histograms(
                    "authorization_attempts_duration_seconds",
                    "[ALPHA] Latency of authorization checks made by the impersonation handler in seconds split by mode and decision.",
                    &LABELS,
                    &buckets,
                )?,
            },
        })
    }

    /// A request goes on as somebody else by a mode, or by none.
    pub(crate) fn attempted(&self, mode: Option<&str>, took: Duration) {
        self.attempts.observe(mode.unwrap_or_default(), mode.is_some(), took);
    }

    /// The authorizer was asked for a mode.
    pub(crate) fn checked(&self, mode: &str, allowed: bool, took: Duration) {
        self.checks.observe(mode, allowed, took);
    }
}
