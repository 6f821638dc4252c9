//! What is sent to watchers.

use component::metrics::{Error, Histogram, HistogramVec, IntCounter, IntCounterVec, Registrar, exponential_buckets};

use crate::registry::resource::Resource;

const LABELS: [&str; 3] = ["group", "version", "resource"];

/// Events sent, by resource.
#[derive(Debug)]
pub(crate) struct WatchMetrics {
    events: IntCounterVec,
    sizes: HistogramVec,
}

impl WatchMetrics {
    pub(super) fn new(make: &Registrar<'_>) -> Result<WatchMetrics, Error> {
        let sizes = exponential_buckets(1024.0, 2.0, 8)?;
        Ok(WatchMetrics {
            events: make.counters(
                "apiserver_watch_events_total",
                "[BETA] Number of events sent in watch clients",
                &LABELS,
            )?,
            sizes: make.histograms(
                "apiserver_watch_events_sizes",
                "[BETA] Watch event size distribution in bytes",
                &LABELS,
                &sizes,
            )?,
        })
    }

    /// The counters of one watch, looked up once.
    pub(crate) fn of(&self, resource: &Resource) -> EventCounter {
        let info = &resource.info;
        let labels = [info.group.as_ref(), info.version.as_ref(), info.plural.as_ref()];
        EventCounter { events: self.events.with_label_values(&labels), sizes: self.sizes.with_label_values(&labels) }
    }
}

/// See [`WatchMetrics::of`].
#[derive(Debug)]
pub(crate) struct EventCounter {
    events: IntCounter,
    sizes: Histogram,
}

impl EventCounter {
    /// Counts one event of so many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }
}
