//! Metrics under upstream's names, in Prometheus' text format.
//!
//! A component keeps its own [`Registry`] (tests run several in one process); the process joins them in [`Registries`] when
//! it serves `/metrics`. Upstream counterpart: `k8s.io/component-base/metrics`.

mod process;
mod registrar;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::proto::MetricFamily;
pub use prometheus::{
    Counter, CounterVec, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, exponential_buckets, linear_buckets,
};

pub use process::{ProcessMetrics, process_started};
pub use registrar::Registrar;

/// What registering a metric can fail with: a name used twice or with characters Prometheus refuses.
pub type Error = prometheus::Error;

/// The content type of [`encode`]'s output.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// The registries of one process. Parts join it as they start; clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Registries(Arc<RwLock<Vec<Registry>>>);

impl Registries {
    /// From now on [`Registries::text`] shows what is registered here, too.
    pub fn join(&self, registry: Registry) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(registry);
    }

    /// See [`encode`].
    ///
    /// # Errors
    /// See [`encode`].
    pub fn text(&self) -> Result<String, Error> {
        let registries = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        encode(&registries)
    }
}

/// Renders every metric of the registries, by name. Parts that count the same thing (`workqueue_depth`) share one family; a
/// series that two of them have (`process_open_fds`) is shown as the first one says it.
///
/// # Errors
/// When two registries hold families of one name with different types.
pub fn encode<'a>(registries: impl IntoIterator<Item = &'a Registry>) -> Result<String, Error> {
    let mut families: BTreeMap<String, MetricFamily> = BTreeMap::new();
    for family in registries.into_iter().flat_map(Registry::gather) {
        match families.entry(family.name().to_owned()) {
            Entry::Vacant(place) => {
                place.insert(family);
            }
            Entry::Occupied(mut known) => merge(known.get_mut(), family)?,
        }
    }
    let families: Vec<MetricFamily> = families.into_values().collect();
    prometheus::TextEncoder::new().encode_to_string(&families)
}

fn merge(known: &mut MetricFamily, mut more: MetricFamily) -> Result<(), Error> {
    if known.get_field_type() != more.get_field_type() {
        return Err(Error::Msg(format!("two parts count {} as different types", known.name())));
    }
    let mut metrics = known.take_metric();
    let present = metrics.len();
    for metric in more.take_metric() {
        if metrics[..present].iter().all(|own| own.get_label() != metric.get_label()) {
            metrics.push(metric);
        }
    }
    known.set_metric(metrics);
    Ok(())
}

#[cfg(test)]
mod tests;
