//! Makes what is counted, and registers it in the same step.

use prometheus::core::Collector;

use super::{
    Error, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

/// Makes families in a registry. Each method fails when a name is taken or is none.
#[derive(Clone, Copy, Debug)]
pub struct Registrar<'a> {
    registry: &'a Registry,
    prefix: &'a str,
}

impl<'a> Registrar<'a> {
    /// In this registry.
    pub fn of(registry: &'a Registry) -> Registrar<'a> {
        Registrar { registry, prefix: "" }
    }

    /// The same, with this before each name.
    #[must_use]
    pub fn under(self, prefix: &'a str) -> Registrar<'a> {
        Registrar { prefix, ..self }
    }

    /// Registers something made elsewhere.
    pub fn add<T: Collector + Clone + 'static>(&self, made: T) -> Result<T, Error> {
        self.registry.register(Box::new(made.clone()))?;
        Ok(made)
    }

    fn options(&self, name: &str, help: &str) -> Opts {
        Opts::new(format!("{}{name}", self.prefix), help)
    }

    fn buckets(&self, name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
        HistogramOpts::from(self.options(name, help)).buckets(buckets.to_vec())
    }

    /// One counter.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, Error> {
        self.add(IntCounter::with_opts(self.options(name, help))?)
    }

    /// Counters told apart by labels.
    pub fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, Error> {
        self.add(IntCounterVec::new(self.options(name, help), labels)?)
    }

    /// One gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, Error> {
        self.add(IntGauge::with_opts(self.options(name, help))?)
    }

    /// Gauges told apart by labels.
    pub fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, Error> {
        self.add(IntGaugeVec::new(self.options(name, help), labels)?)
    }

    /// Gauges of what is not counted in whole numbers: times.
    pub fn times(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, Error> {
        self.add(GaugeVec::new(self.options(name, help), labels)?)
    }

    /// One histogram.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, Error> {
        self.add(Histogram::with_opts(self.buckets(name, help, buckets))?)
    }

    /// Histograms told apart by labels.
    pub fn histograms(&self, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> Result<HistogramVec, Error> {
        self.add(HistogramVec::new(self.buckets(name, help, buckets), labels)?)
    }
}
