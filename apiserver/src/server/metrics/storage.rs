//! How much is stored of what, and whether that is what is served.

use component::metrics::{Error, IntCounterVec, IntGaugeVec, Registrar};
use store::Check;

use crate::registry::store::Engine;

const LABELS: [&str; 2] = ["group", "resource"];

/// Counted when somebody asks, from the view: no request pays for it.
#[derive(Debug)]
pub(crate) struct StorageMetrics {
    objects: IntGaugeVec,
    bytes: IntGaugeVec,
    checks: IntCounterVec,
}

impl StorageMetrics {
    pub(super) fn new(make: &Registrar<'_>) -> Result<StorageMetrics, Error> {
        Ok(StorageMetrics {
            objects: make.gauges(
                "apiserver_resource_objects",
                "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the value will be -1.",
                &LABELS,
            )?,
            bytes: make.gauges(
                "apiserver_resource_size_estimate_bytes",
                "[ALPHA] Estimated size of stored objects in database. Estimate is based on sum of last observed sizes of serialized objects. In case of a fetching error, the value will be -1.",
                &LABELS,
            )?,
            checks: make.counters(
                "apiserver_storage_consistency_checks_total",
                "[ALPHA] Counter for status of consistency checks between etcd and watch cache",
                &["group", "resource", "status"],
            )?,
        })
    }

    /// Counts what a comparison says of each resource.
    pub(crate) fn checked(&self, check: &Check, engine: &Engine) {
        for resource in engine.resources.current().all_stored() {
            let prefix = resource.list_prefix("");
            let status = match &check.found {
                Err(_) => "error",
                Ok(differences) if differences.iter().any(|difference| difference.key.starts_with(&prefix)) => {
                    "failure"
                }
                Ok(_) => "success",
            };
            let labels = [resource.info.group.as_ref(), resource.info.plural.as_ref(), status];
            self.checks.with_label_values(&labels).inc();
        }
    }

    /// Counts all objects. Walks over the whole store: some milliseconds for 100,000.
    pub(crate) fn count(&self, engine: &Engine) {
        let snapshot = engine.store.snapshot();
        for resource in engine.resources.current().all_stored() {
            let (mut objects, mut bytes) = (0, 0);
            for entry in snapshot.range(&resource.list_prefix(""), None) {
                objects += 1;
                bytes += entry.value.len();
            }
            let labels = [resource.info.group.as_ref(), resource.info.plural.as_ref()];
            self.objects.with_label_values(&labels).set(objects);
            self.bytes.with_label_values(&labels).set(i64::try_from(bytes).unwrap_or(i64::MAX));
        }
    }
}
