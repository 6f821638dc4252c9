//! What authorizers count, under upstream's names.
//!
//! A decision costs one addition: its series are looked up once.
//! Upstream: k8s.io/apiserver/pkg/authorization/metrics, plugin/pkg/authorizer/webhook/metrics.

use std::sync::OnceLock;
use std::time::Duration;

use component::metrics::{Error, HistogramVec, IntCounter, IntCounterVec, Registrar, Registry};

use super::Verdict;
use super::webhook::conditions::Matching;
use crate::configuration_file::Reloads;

/// In seconds. Upstream: prometheus.DefBuckets.
const DURATIONS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const CONDITION_DURATIONS: [f64; 7] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];

/// See the module header.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    decisions: IntCounterVec,
    webhook_evaluations: IntCounterVec,
    webhook_durations: HistogramVec,
    webhook_fail_open: IntCounterVec,
    condition_errors: IntCounterVec,
    condition_exclusions: IntCounterVec,
    condition_durations: HistogramVec,
    reloads: Reloads,
}

/// What became of a call of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    Success,
    Timeout,
    Error,
}

impl Called {
    fn as_str(self) -> &'static str {
        match self {
            Called::Success => "success",
            Called::Timeout => "timeout",
            Called::Error => "error",
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("apiserver_authorization_");
        Ok(Metrics {
            decisions: make.counters(
                "decisions_total",
                "[ALPHA] Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.",
                &["type", "name", "decision"],
            )?,
            webhook_evaluations: make.counters(
                "webhook_evaluations_total",
                "[ALPHA] Round-trips to authorization webhooks.",
                &["name", "result"],
            )?,
            webhook_durations: make.histograms(
                "webhook_duration_seconds",
                "[ALPHA] Request latency in seconds.",
                &["name", "result"],
                &DURATIONS,
            )?,
            webhook_fail_open: make.counters(
                "webhook_evaluations_fail_open_total",
                "[ALPHA] NoOpinion results due to webhook timeout or error.",
                &["name", "result"],
            )?,
            condition_errors: make.counters(
                "match_condition_evaluation_errors_total",
                "[ALPHA] Total number of errors when an authorization webhook encounters a match condition error split by authorizer type and name.",
                &["type", "name"],
            )?,
            condition_exclusions: make.counters(
                "match_condition_exclusions_total",
                "[ALPHA] Total number of exclusions when an authorization webhook is skipped because match conditions exclude it.",
                &["type", "name"],
            )?,
            condition_durations: make.histograms(
                "match_condition_evaluation_seconds",
                "[ALPHA] Authorization match condition evaluation time in seconds, split by authorizer type and name.",
                &["type", "name"],
                &CONDITION_DURATIONS,
            )?,
            reloads: Reloads::of(&registry, "authorization")?,
            registry,
        })
    }

    /// To be shown with others.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The decisions of one authorizer.
    pub(super) fn decisions(&self, kind: &'static str, name: &str) -> Decisions {
        let (all, name) = (self.decisions.clone(), name.to_owned());
        Decisions { all, kind, name, allowed: OnceLock::new(), denied: OnceLock::new() }
    }

    /// A webhook was asked.
    pub(super) fn called(&self, webhook: &str, outcome: Called, took: Duration) {
        let labels = [webhook, outcome.as_str()];
        self.webhook_evaluations.with_label_values(&labels).inc();
        self.webhook_durations.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// Its conditions were looked at.
    pub(super) fn matched(&self, webhook: &str, matching: &Matching, took: Duration) {
        let labels = ["Webhook", webhook];
        self.condition_durations.with_label_values(&labels).observe(took.as_secs_f64());
        match matching {
            Matching::Holds => {}
            Matching::Fails => self.condition_exclusions.with_label_values(&labels).inc(),
            Matching::Errs(_) => self.condition_errors.with_label_values(&labels).inc(),
        }
    }

    /// What is counted of the configuration file.
    pub(super) fn reloads(&self) -> &Reloads {
        &self.reloads
    }

    /// It could not be asked, and others are.
    pub(super) fn failed_open(&self, webhook: &str, outcome: Called) {
        self.webhook_fail_open.with_label_values(&[webhook, outcome.as_str()]).inc();
    }
}

/// Counts what one authorizer decides.
#[derive(Debug)]
pub(super) struct Decisions {
    all: IntCounterVec,
    kind: &'static str,
    name: String,
    allowed: OnceLock<IntCounter>,
    denied: OnceLock<IntCounter>,
}

impl Decisions {
    /// What is left to others does not count.
    pub(super) fn count(&self, verdict: Verdict) {
        let (counter, decision) = match verdict {
            Verdict::Allow => (&self.allowed, "allowed"),
            Verdict::Deny => (&self.denied, "denied"),
            Verdict::NoOpinion => return,
        };
        counter.get_or_init(|| self.all.with_label_values(&[self.kind, &self.name, decision])).inc();
    }
}
