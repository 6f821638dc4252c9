//! What the API server counts, under upstream's names and with upstream's buckets.
//!
//! Every number is counted where it happens; nothing is guessed and nothing is there only to be there. What a family costs a
//! request is one look-up of its label set ([`Metrics::request`]) and some additions.
//! Upstream: k8s.io/apiserver/pkg/endpoints/metrics, k8s.io/component-base/metrics/prometheus/slis.

mod flow;
mod health;
mod impersonation;
mod own;
mod request;
mod storage;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use component::metrics::{
    Error, Gauge, Histogram, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec, Opts, ProcessMetrics, Registrar,
    Registry, exponential_buckets,
};

pub(crate) use self::flow::{Executing, FlowMetrics};
pub(crate) use self::health::HealthMetrics;
pub(crate) use self::impersonation::ImpersonationMetrics;
pub(crate) use self::own::OwnMetrics;
pub(crate) use self::request::{Counted, Ongoing};
use self::storage::StorageMetrics;
pub(crate) use self::watch::{EventCounter, WatchMetrics};

use super::version;
use crate::authorization::{Decision, Verdict};

/// What a request's series are told apart by. `apiserver_request_total` has its code besides.
const LABELS: [&str; 9] =
    ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"];
/// [`LABELS`] without `dry_run` and `code`.
const SHORT_LABELS: [&str; 7] = ["verb", "group", "version", "resource", "subresource", "scope", "component"];
/// [`LABELS`] without `dry_run`.
const TERMINATION_LABELS: [&str; 8] =
    ["verb", "group", "version", "resource", "subresource", "scope", "component", "code"];
/// In seconds.
const DURATIONS: [f64; 24] = [
    0.005,
    0.025,
    0.05,
    0.1,
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.25,
    1.5,
    2.0,
    3.0,
    4.0,
    5.0,
    6.0,
    8.0,
    10.0,
    15.0,
    20.0,
    30.0,
    45.0,
    60.0,
    f64::INFINITY,
];

/// In seconds.
const FILTER_DURATIONS: [f64; 13] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 5.0, 10.0, 15.0, 30.0];

/// See the module header.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    terminations: IntCounterVec,
    durations: HistogramVec,
    sli_durations: HistogramVec,
    response_sizes: HistogramVec,
    inflight: IntGaugeVec,
    long_running: IntGaugeVec,
    authentications: IntCounterVec,
    authentication_times: HistogramVec,
    authorization_times: HistogramVec,
    filters: HistogramVec,
    users: IntCounterVec,
    authorizations: IntCounterVec,
    deprecated: IntGaugeVec,
    handshake_errors: IntCounter,
    series: RwLock<HashMap<Counted, Arc<Series>>>,
    watches: WatchMetrics,
    flow: FlowMetrics,
    storage: StorageMetrics,
    health: HealthMetrics,
    impersonation: ImpersonationMetrics,
    own: OwnMetrics,
}

/// The series of requests that ask for the same.
#[derive(Debug)]
struct Series {
    durations: Histogram,
    sli_durations: Histogram,
    /// Of reads only.
    sizes: Option<Histogram>,
}

impl Metrics {
    pub(crate) fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry);
        let sizes = exponential_buckets(1000.0, 10.0, 7)?;
        let asked = exponential_buckets(0.001, 2.0, 15)?;
        registry.register(Box::new(ProcessMetrics::new()?))?;
        registry.register(Box::new(build_info()?))?;
        Ok(Metrics {
            requests: make.counters("apiserver_request_total", "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code.", &LABELS)?,
            terminations: make.counters(
                "apiserver_request_terminations_total",
                "[ALPHA] Number of requests which apiserver terminated in self-defense.",
                &TERMINATION_LABELS,
            )?,
            durations: make.histograms(
                "apiserver_request_duration_seconds",
                "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component.",
                &LABELS[..8],
                &DURATIONS,
            )?,
            sli_durations: make.histograms(
                "apiserver_request_sli_duration_seconds",
                "[ALPHA] Response latency distribution (not counting webhook duration and priority & fairness queue wait times) in seconds for each verb, group, version, resource, subresource, scope and component.",
                &SHORT_LABELS,
                &DURATIONS[2..],
            )?,
            response_sizes: make.histograms(
                "apiserver_response_sizes",
                "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope and component.",
                &SHORT_LABELS,
                &sizes,
            )?,
            inflight: make.gauges(
                "apiserver_current_inflight_requests",
                "[STABLE] Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
                &["request_kind"],
            )?,
            long_running: make.gauges("apiserver_longrunning_requests", "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and component. Not all requests are tracked this way.", &SHORT_LABELS)?,
            authentications: make.counters(
                "authentication_attempts",
                "[ALPHA] Counter of authenticated attempts.",
                &["result"],
            )?,
            authentication_times: make.histograms(
                "authentication_duration_seconds",
                "[ALPHA] Authentication duration in seconds broken out by result.",
                &["result"],
                &asked,
            )?,
            authorization_times: make.histograms(
                "authorization_duration_seconds",
                "[ALPHA] Authorization duration in seconds broken out by result.",
                &["result"],
                &asked,
            )?,
            filters: make.histograms(
                "apiserver_request_filter_duration_seconds",
                "[ALPHA] Request filter latency distribution in seconds, for each filter type",
                &["filter"],
                &FILTER_DURATIONS,
            )?,
            users: make.counters("authenticated_user_requests", "[ALPHA] Counter of authenticated requests broken out by username.", &["username"])?,
            authorizations: make.counters(
                "authorization_attempts_total",
                "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.",
                &["result"],
            )?,
            deprecated: make.gauges(
                "apiserver_requested_deprecated_apis",
                "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and removed_release.",
                &["group", "version", "resource", "subresource", "removed_release"],
            )?,
            watches: WatchMetrics::new(&make)?,
            flow: FlowMetrics::new(&make)?,
            storage: StorageMetrics::new(&make)?,
            health: HealthMetrics::new()?,
            impersonation: ImpersonationMetrics::new(&make)?,
            handshake_errors: make.counter(
                "apiserver_tls_handshake_errors_total",
                "[ALPHA] Number of requests dropped with 'TLS handshake error from' error",
            )?,
            own: OwnMetrics::new(&make)?,
            series: RwLock::default(),
            registry,
        })
    }

    /// For the process to serve at `/metrics`.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Counts one answered request. `size` is what is known of the answer's.
    pub(crate) fn record(&self, request: &Counted, code: u16, time: Duration, size: Option<u64>) {
        let mut buffer = [0u8; 3];
        self.requests.with_label_values(&request.labels(digits(code, &mut buffer))).inc();
        if request.long_running() {
            return;
        }
        let series = self.request(request);
        series.durations.observe(time.as_secs_f64());
        series.sli_durations.observe(time.as_secs_f64());
        if let (Some(sizes), Some(size)) = (&series.sizes, size) {
            sizes.observe(size as f64);
        }
    }

    /// Counts one that was sent away unanswered, to protect the server. It is one of the answered ones, too.
    pub(crate) fn terminated(&self, request: &Counted, code: u16) {
        let mut buffer = [0u8; 3];
        let [verb, group, version, resource, subresource, scope, component] = request.short_labels();
        let labels = [verb, group, version, resource, subresource, scope, component, digits(code, &mut buffer)];
        self.terminations.with_label_values(&labels).inc();
    }

    fn request(&self, request: &Counted) -> Arc<Series> {
        if let Some(known) = self.series.read().unwrap_or_else(PoisonError::into_inner).get(request) {
            return Arc::clone(known);
        }
        let short = request.short_labels();
        let series = Arc::new(Series {
            durations: self.durations.with_label_values(&request.labels("")[..8]),
            sli_durations: self.sli_durations.with_label_values(&short),
            sizes: request.reads().then(|| self.response_sizes.with_label_values(&short)),
        });
        self.series.write().unwrap_or_else(PoisonError::into_inner).insert(request.clone(), Arc::clone(&series));
        series
    }

    /// Counts a request as being served for as long as the guard lives.
    pub(crate) fn serving(&self, request: &Counted) -> Ongoing {
        Ongoing::of(match request.long_running() {
            true => self.long_running.with_label_values(&request.short_labels()),
            false => self.inflight.with_label_values(&[if request.reads() { "readOnly" } else { "mutating" }]),
        })
    }

    /// Counts who was found to ask: a user, nobody, or an error; and how long it took.
    pub(crate) fn authenticated<E>(&self, found: Result<Option<&str>, E>, time: Duration) {
        let result = match found {
            Ok(Some(name)) => {
                self.users.with_label_values(&[compressed(name)]).inc();
                "success"
            }
            Ok(None) => "failure",
            Err(_) => "error",
        };
        self.authentications.with_label_values(&[result]).inc();
        self.authentication_times.with_label_values(&[result]).observe(time.as_secs_f64());
        self.filters.with_label_values(&["authentication"]).observe(time.as_secs_f64());
    }

    /// Counts what the authorizer said, and how long it took.
    pub(crate) fn authorized(&self, decision: &Decision, time: Duration) {
        let result = match (decision.verdict, &decision.error) {
            (Verdict::Allow, _) => "allowed",
            (_, Some(_)) => "error",
            (Verdict::Deny, None) => "denied",
            (Verdict::NoOpinion, None) => "no-opinion",
        };
        self.authorizations.with_label_values(&[result]).inc();
        self.authorization_times.with_label_values(&[result]).observe(time.as_secs_f64());
        self.filters.with_label_values(&["authorization"]).observe(time.as_secs_f64());
    }

    /// Forgets what was counted of requests. Upstream: `DELETE /metrics`.
    pub(crate) fn reset(&self) {
        for counters in [&self.requests, &self.authentications, &self.users, &self.authorizations] {
            counters.reset();
        }
        for times in [&self.durations, &self.sli_durations, &self.response_sizes, &self.filters] {
            times.reset();
        }
        for times in [&self.authentication_times, &self.authorization_times] {
            times.reset();
        }
        self.deprecated.reset();
        // They lead to series that are shown no more.
        self.series.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes that a deprecated API was asked for.
    pub(crate) fn deprecated(&self, group: &str, version: &str, resource: &str) {
        self.deprecated.with_label_values(&[group, version, resource, "", ""]).set(1);
    }

    /// Counts a connection that did not come about.
    pub(crate) fn handshake_failed(&self) {
        self.handshake_errors.inc();
    }

    pub(crate) fn watches(&self) -> &WatchMetrics {
        &self.watches
    }

    pub(crate) fn flow(&self) -> &FlowMetrics {
        &self.flow
    }

    pub(crate) fn storage(&self) -> &StorageMetrics {
        &self.storage
    }

    pub(crate) fn own(&self) -> &OwnMetrics {
        &self.own
    }

    pub(crate) fn impersonation(&self) -> &ImpersonationMetrics {
        &self.impersonation
    }

    pub(crate) fn health(&self) -> &HealthMetrics {
        &self.health
    }
}

/// Upstream's few kinds of user names: one series a user would be too many. Upstream: compressUsername.
fn compressed(name: &str) -> &str {
    match name {
        "admin" | "client" | "kube_proxy" | "kubelet" | "system:serviceaccount:kube-system:default" => name,
        _ if name.contains('@') => "email_id",
        _ => "other",
    }
}

/// `kubernetes_build_info`, which is always 1.
fn build_info() -> Result<Gauge, Error> {
    let info = version::info();
    let labels = [
        ("major", "major"),
        ("minor", "minor"),
        ("git_version", "gitVersion"),
        ("git_commit", "gitCommit"),
        ("git_tree_state", "gitTreeState"),
        ("build_date", "buildDate"),
        ("go_version", "goVersion"),
        ("compiler", "compiler"),
        ("platform", "platform"),
    ];
    let value = |field: &str| info[field].as_str().unwrap_or_default();
    let opts = labels
        .iter()
        .fold(Opts::new("kubernetes_build_info", "[BETA] A metric with a constant '1' value labeled by major, minor, git version, git commit, git tree state, build date, Go version, and compiler from which Kubernetes was built, and platform on which it is running."), |opts, (label, field)| {
            opts.const_label(*label, value(field))
        });
    let gauge = Gauge::with_opts(opts)?;
    gauge.set(1.0);
    Ok(gauge)
}

/// A status code as text, without an allocation.
fn digits(code: u16, buffer: &mut [u8; 3]) -> &str {
    for (place, divisor) in buffer.iter_mut().zip([100, 10, 1]) {
        *place = b'0' + (code / divisor % 10) as u8;
    }
    std::str::from_utf8(buffer).unwrap_or_default()
}
