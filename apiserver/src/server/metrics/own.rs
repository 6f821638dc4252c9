//! What clients in this process ask: of the server itself and of the components beside it.
//! Upstream: k8s.io/component-base/metrics/prometheus/restclient.

use std::time::Duration;

use component::metrics::{Error, HistogramVec, IntCounterVec, Registrar};
use http::Method;

use super::digits;

/// In seconds.
const DURATIONS: [f64; 12] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0];

/// See the module header. These are requests like others, and counted as such, too.
#[derive(Debug)]
pub(crate) struct OwnMetrics {
    requests: IntCounterVec,
    durations: HistogramVec,
}

impl OwnMetrics {
    pub(super) fn new(make: &Registrar<'_>) -> Result<OwnMetrics, Error> {
        let make = make.under("rest_client_");
        Ok(OwnMetrics {
            requests: make.counters(
                "requests_total",
                "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host.",
                &["code", "host", "method"],
            )?,
            durations: make.histograms(
                "request_duration_seconds",
                "[ALPHA] Request latency in seconds. Broken down by verb, and host.",
                &["host", "verb"],
                &DURATIONS,
            )?,
        })
    }

    /// A request to the server at `host` was answered after so long.
    pub(crate) fn answered(&self, method: &Method, host: &str, code: u16, took: Duration) {
        let mut buffer = [0u8; 3];
        self.requests.with_label_values(&[digits(code, &mut buffer), host, method.as_str()]).inc();
        self.durations.with_label_values(&[host, method.as_str()]).observe(took.as_secs_f64());
    }
}
