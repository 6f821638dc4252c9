//! What the API server counts, under upstream's names.
//! Upstream: k8s.io/apiserver/pkg/endpoints/metrics.

use std::time::Duration;

use component::metrics::{Error, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::endpoints::query::Query;
use crate::filters::request_info::RequestInfo;

const LABELS: [&str; 9] =
    ["verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"];
/// Upstream's buckets, in seconds.
const BUCKETS: [f64; 19] =
    [0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0];

/// See the module header.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    inflight: IntGaugeVec,
}

/// A request as its labels say it.
#[derive(Debug)]
pub(crate) struct Counted {
    verb: &'static str,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    long_running: bool,
}

impl Metrics {
    pub(crate) fn new() -> Result<Metrics, Error> {
        let registry = Registry::new();
        let requests =
            IntCounterVec::new(Opts::new("apiserver_request_total", "Requests, by what they asked for."), &LABELS)?;
        let durations =
            HistogramOpts::new("apiserver_request_duration_seconds", "Time to the answer, streams left out.");
        let durations = HistogramVec::new(durations.buckets(BUCKETS.to_vec()), &LABELS[..8])?;
        let inflight = Opts::new("apiserver_current_inflight_requests", "Requests being served, streams left out.");
        let inflight = IntGaugeVec::new(inflight, &["request_kind"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(inflight.clone()))?;
        Ok(Metrics { registry, requests, durations, inflight })
    }

    /// Counts one answered request.
    pub(crate) fn record(&self, request: &Counted, code: u16, time: Duration) {
        let mut buffer = [0u8; 3];
        let code = digits(code, &mut buffer);
        let labels = request.labels(code);
        self.requests.with_label_values(&labels).inc();
        if !request.long_running {
            self.durations.with_label_values(&labels[..8]).observe(time.as_secs_f64());
        }
    }

    /// Counts a request as being served for as long as the guard lives.
    pub(crate) fn serving(&self, request: &Counted) -> Option<Serving> {
        let kind = if matches!(request.verb, "GET" | "LIST") { "readOnly" } else { "mutating" };
        (!request.long_running).then(|| {
            let gauge = self.inflight.with_label_values(&[kind]);
            gauge.inc();
            Serving(gauge)
        })
    }

    /// For the process to serve.
    pub(crate) fn registry(&self) -> Registry {
        self.registry.clone()
    }
}

/// See [`Metrics::serving`].
pub(crate) struct Serving(component::metrics::IntGauge);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Counted {
    pub(crate) fn of(info: &RequestInfo, query: &Query) -> Counted {
        let scope = match (info.is_resource_request, info.name.is_empty(), info.namespace.is_empty()) {
            (false, ..) => "",
            (_, false, _) => "resource",
            (_, true, false) => "namespace",
            _ => "cluster",
        };
        let verb = match info.verb.as_str() {
            "get" => "GET",
            "list" => "LIST",
            "watch" => "WATCH",
            "create" | "post" => "POST",
            "update" | "put" => "PUT",
            "patch" => "PATCH",
            "delete" => "DELETE",
            "deletecollection" => "DELETECOLLECTION",
            "proxy" => "CONNECT",
            _ => "other",
        };
        let long_running = info.is_long_running();
        let connect = long_running && !matches!(info.subresource.as_str(), "log" | "");
        // A path that leads nowhere must not make a series of its own.
        let known = |text: &str| if info.is_resource_request { text.to_string() } else { String::new() };
        Counted {
            verb: if connect { "CONNECT" } else { verb },
            dry_run: if query.has("dryRun") { "All" } else { "" },
            group: known(&info.api_group),
            version: known(&info.api_version),
            resource: known(&info.resource),
            subresource: known(&info.subresource),
            scope,
            long_running,
        }
    }

    /// Forgets what was asked for: no such resource exists.
    pub(crate) fn unknown(&mut self) {
        for label in [&mut self.group, &mut self.version, &mut self.resource, &mut self.subresource] {
            label.clear();
        }
    }

    fn labels<'a>(&'a self, code: &'a str) -> [&'a str; 9] {
        let Counted { verb, dry_run, group, version, resource, subresource, scope, .. } = self;
        [verb, dry_run, group, version, resource, subresource, scope, "apiserver", code]
    }
}

/// A status code as text, without an allocation.
fn digits(code: u16, buffer: &mut [u8; 3]) -> &str {
    for (place, divisor) in buffer.iter_mut().zip([100, 10, 1]) {
        *place = b'0' + (code / divisor % 10) as u8;
    }
    std::str::from_utf8(buffer).unwrap_or_default()
}
