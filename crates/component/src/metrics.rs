//! Metrics under upstream's names, in Prometheus' text format.
//!
//! A component keeps its own [`Registry`] (tests run several in one process); the process joins them when it serves
//! `/metrics`. Upstream counterpart: `k8s.io/component-base/metrics`.

pub use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, exponential_buckets, linear_buckets,
};

/// What registering a metric can fail with: a name used twice or with characters Prometheus refuses.
pub type Error = prometheus::Error;

/// The content type of [`encode`]'s output.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// Renders every metric of the registries, in order.
///
/// # Errors
/// When two registries hold families of one name with different types.
pub fn encode<'a>(registries: impl IntoIterator<Item = &'a Registry>) -> Result<String, Error> {
    let families: Vec<_> = registries.into_iter().flat_map(Registry::gather).collect();
    prometheus::TextEncoder::new().encode_to_string(&families)
}
