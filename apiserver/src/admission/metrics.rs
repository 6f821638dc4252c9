//! What admission counts, under upstream's names and with upstream's buckets.
//!
//! A plugin costs a request one clock reading and one addition: its series are looked up once. What is configured by users
//! (webhooks, policies) is looked up by name each time.
//! Upstream: k8s.io/apiserver/pkg/admission/metrics, plugin/policy/{validating,mutating}/metrics.

use std::sync::OnceLock;
use std::time::Duration;

use component::metrics::{Error, Histogram, HistogramVec, IntCounterVec, Registrar, Registry};

use super::Operation;

/// In seconds.
const DURATIONS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];
const WEBHOOK_DURATIONS: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
const CONDITION_DURATIONS: [f64; 7] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];
const CHECK_DURATIONS: [f64; 5] = [0.000_000_5, 0.001, 0.01, 0.1, 1.0];
/// Codes above it are counted as this one.
const GREATEST_CODE: u16 = 600;

/// The two halves of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Admit,
    Validate,
}

impl Step {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Step::Admit => "admit",
            Step::Validate => "validate",
        }
    }

    /// What families of webhooks call it.
    fn of_webhook(self) -> &'static str {
        match self {
            Step::Admit => "admit",
            Step::Validate => "validating",
        }
    }
}

/// What became of a webhook's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    Allowed,
    /// It said no, with this code.
    Refused(u16),
    /// It could not be asked, which counts (or does not, by its failurePolicy).
    Failed {
        code: u16,
        ignored: bool,
    },
    /// The server itself could not do what it said.
    Internal,
}

/// What became of an expression of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evaluated {
    Value,
    CompileError,
    InvalidError,
    OutOfBudget,
}

impl Evaluated {
    /// As upstream tells what is wrong: by how it is said. Upstream: validating.ErrorType, mutating.ErrorType.
    pub(crate) fn failed(message: &str) -> Evaluated {
        if message.starts_with("compilation") {
            Evaluated::CompileError
        } else if message.starts_with("validation failed due to running out of cost budget") {
            Evaluated::OutOfBudget
        } else {
            Evaluated::InvalidError
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Evaluated::Value => "no_error",
            Evaluated::CompileError => "compile_error",
            Evaluated::InvalidError => "invalid_error",
            Evaluated::OutOfBudget => "out_of_budget",
        }
    }
}

/// See the module header.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    steps: HistogramVec,
    controllers: HistogramVec,
    webhooks: HistogramVec,
    webhook_rejections: IntCounterVec,
    webhook_fail_open: IntCounterVec,
    webhook_requests: IntCounterVec,
    condition_errors: IntCounterVec,
    condition_exclusions: IntCounterVec,
    condition_durations: HistogramVec,
    validating_checks: IntCounterVec,
    validating_durations: HistogramVec,
    mutating_checks: IntCounterVec,
    mutating_durations: HistogramVec,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new().expect("the names are constants, and each is there once")
    }
}

impl Metrics {
    fn new() -> Result<Metrics, Error> {
        const OF_PLUGIN: [&str; 4] = ["name", "type", "operation", "rejected"];
        const OF_CONDITION: [&str; 4] = ["name", "kind", "type", "operation"];
        const OF_MUTATION: [&str; 3] = ["policy", "policy_binding", "error_type"];
        const OF_VALIDATION: [&str; 4] = ["policy", "policy_binding", "error_type", "enforcement_action"];
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("apiserver_admission_");
        let validating = make.under("apiserver_validating_admission_policy_");
        let mutating = make.under("apiserver_mutating_admission_policy_");
        Ok(Metrics {
            steps: make.histograms(
                "step_admission_duration_seconds",
                "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).",
                &OF_PLUGIN[1..],
                &DURATIONS,
            )?,
            controllers: make.histograms(
                "controller_admission_duration_seconds",
                "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
                &OF_PLUGIN,
                &DURATIONS,
            )?,
            webhooks: make.histograms(
                "webhook_admission_duration_seconds",
                "[STABLE] Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).",
                &OF_PLUGIN,
                &WEBHOOK_DURATIONS,
            )?,
            webhook_rejections: make.counters(
                "webhook_rejection_count",
                "[ALPHA] Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify an error type (calling_webhook_error or apiserver_internal_error if an error occurred; no_error otherwise) and optionally a non-zero rejection code if the webhook rejects the request with an HTTP status code (honored by the apiserver when the code is greater or equal to 400). Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded.",
                &["name", "type", "operation", "error_type", "rejection_code"],
            )?,
            webhook_fail_open: make.counters(
                "webhook_fail_open_count",
                "[ALPHA] Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).",
                &["name", "type"],
            )?,
            webhook_requests: make.counters(
                "webhook_request_total",
                "[ALPHA] Admission webhook request total, identified by name and broken out for each admission type (validating or admit) and operation. Additional labels specify whether the request was rejected or not and an HTTP status code. Codes greater than 600 are truncated to 600, to keep the metrics cardinality bounded.",
                &["name", "type", "operation", "code", "rejected"],
            )?,
            condition_errors: make.counters(
                "match_condition_evaluation_errors_total",
                "[ALPHA] Admission match condition evaluation errors count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).",
                &OF_CONDITION,
            )?,
            condition_exclusions: make.counters(
                "match_condition_exclusions_total",
                "[ALPHA] Admission match condition evaluation exclusions count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).",
                &OF_CONDITION,
            )?,
            condition_durations: make.histograms(
                "match_condition_evaluation_seconds",
                "[ALPHA] Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing matchConditions (webhook or policy), operation and type (validate or admit).",
                &OF_CONDITION,
                &CONDITION_DURATIONS,
            )?,
            validating_checks: validating.counters(
                "check_total",
                "[BETA] Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken.",
                &OF_VALIDATION,
            )?,
            validating_durations: validating.histograms(
                "check_duration_seconds",
                "[BETA] Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.",
                &OF_VALIDATION,
                &CHECK_DURATIONS,
            )?,
            mutating_checks: mutating.counters(
                "check_total",
                "[ALPHA] Mutation admission policy check total, labeled by policy and further identified by binding.",
                &OF_MUTATION,
            )?,
            mutating_durations: mutating.histograms(
                "check_duration_seconds",
                "[ALPHA] Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.",
                &OF_MUTATION,
                &CHECK_DURATIONS,
            )?,
            registry,
        })
    }

    /// What `/metrics` joins.
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// The series of a step as a whole.
    pub(crate) fn step(&self, step: Step) -> Durations {
        Durations { family: self.steps.clone(), labels: vec![step.as_str()], series: Default::default() }
    }

    /// The series of a plugin in a step.
    pub(crate) fn plugin(&self, name: &'static str, step: Step) -> Durations {
        Durations { family: self.controllers.clone(), labels: vec![name, step.as_str()], series: Default::default() }
    }

    /// A webhook was called.
    pub(crate) fn called(&self, name: &str, step: Step, operation: Operation, took: Duration, what: Called) {
        let (step, operation) = (step.of_webhook(), operation.as_str());
        let (code, error) = match what {
            Called::Allowed => (200, None),
            Called::Refused(code) => (code, Some("no_error")),
            Called::Failed { code, ignored } => (code, (!ignored).then_some("calling_webhook_error")),
            Called::Internal => (0, Some("apiserver_internal_error")),
        };
        let code = code.min(GREATEST_CODE).to_string();
        let rejected = if error.is_some() { "true" } else { "false" };
        if let Some(error) = error {
            self.webhook_rejections.with_label_values(&[name, step, operation, error, &code]).inc();
        }
        if matches!(what, Called::Failed { ignored: true, .. }) {
            self.webhook_fail_open.with_label_values(&[name, step]).inc();
        }
        self.webhook_requests.with_label_values(&[name, step, operation, &code, rejected]).inc();
        self.webhooks.with_label_values(&[name, step, operation, rejected]).observe(took.as_secs_f64());
    }

    /// Match conditions of a webhook or policy (`kind`) were evaluated.
    pub(crate) fn matched(&self, conditions: &Conditions<'_>, took: Duration, is_error: bool, excludes: bool) {
        let Conditions { name, kind, step, operation } = conditions;
        let step = if *kind == "webhook" { step.of_webhook() } else { step.as_str() };
        let labels = [*name, *kind, step, operation.as_str()];
        self.condition_durations.with_label_values(&labels).observe(took.as_secs_f64());
        if is_error {
            self.condition_errors.with_label_values(&labels).inc();
        }
        if excludes {
            self.condition_exclusions.with_label_values(&labels).inc();
        }
    }

    /// A validation of a policy was evaluated; `action` is what was done: `allow`, `deny`, `audit`, `warn`.
    pub(crate) fn validated(&self, policy: &str, binding: &str, what: Evaluated, action: &str, took: Duration) {
        let labels = [policy, binding, what.as_str(), action];
        self.validating_checks.with_label_values(&labels).inc();
        self.validating_durations.with_label_values(&labels).observe(took.as_secs_f64());
    }

    /// A policy's mutations were made, or came to nothing.
    pub(crate) fn mutated(&self, policy: &str, binding: &str, what: Evaluated, took: Duration) {
        let labels = [policy, binding, what.as_str()];
        self.mutating_checks.with_label_values(&labels).inc();
        self.mutating_durations.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

/// Whose match conditions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conditions<'a> {
    pub(crate) name: &'a str,
    /// `webhook` or `policy`.
    pub(crate) kind: &'a str,
    pub(crate) step: Step,
    pub(crate) operation: Operation,
}

/// Series told apart by operation and outcome, each made when it is first needed.
#[derive(Debug, Clone)]
pub(crate) struct Durations {
    family: HistogramVec,
    /// What comes before `operation` and `rejected`.
    labels: Vec<&'static str>,
    series: [[OnceLock<Histogram>; 2]; 4],
}

impl Durations {
    pub(crate) fn observe(&self, operation: Operation, rejected: bool, took: Duration) {
        let series = self.series[operation as usize][usize::from(rejected)].get_or_init(|| {
            let mut labels = self.labels.clone();
            labels.extend([operation.as_str(), if rejected { "true" } else { "false" }]);
            self.family.with_label_values(&labels)
        });
        series.observe(took.as_secs_f64());
    }
}
