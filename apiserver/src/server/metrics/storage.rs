//! How much is stored of what, and whether that is what is served.

mod sizes;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use component::metrics::{Error, IntCounterVec, IntGaugeVec, Registrar};
use store::Check;

use self::sizes::Sizes;
use crate::registry::store::Engine;

const LABELS: [&str; 2] = ["group", "resource"];
/// How long somebody who asks waits for the size of the database. Upstream's.
const PATIENCE: Duration = Duration::from_secs(1);

/// Counted when somebody asks: no request pays for it.
#[derive(Debug)]
pub(crate) struct StorageMetrics {
    objects: IntGaugeVec,
    bytes: IntGaugeVec,
    /// What `bytes` is of, brought up to date by who asks.
    sizes: Mutex<Sizes>,
    database: IntGaugeVec,
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
            sizes: Mutex::default(),
            database: make.gauges(
                "apiserver_storage_size_bytes",
                "[STABLE] Size of the storage database file physically allocated in bytes.",
                &["storage_cluster_id"],
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

    /// Shows how much there is now. The first look walks over the store; later ones read what has changed since.
    pub(crate) fn show(&self, engine: &Engine) {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = engine.store.snapshot();
        let resources = engine.resources.current();
        let stored = || resources.all_stored().map(|resource| (resource.list_prefix(""), resource));
        sizes.follow(&engine.store, &snapshot, stored().map(|(prefix, _)| prefix));
        for (prefix, resource) in stored() {
            let labels = [resource.info.group.as_ref(), resource.info.plural.as_ref()];
            let gauge = |amount: usize| i64::try_from(amount).unwrap_or(i64::MAX);
            self.objects.with_label_values(&labels).set(gauge(snapshot.count(&prefix)));
            self.bytes.with_label_values(&labels).set(gauge(sizes.of(&prefix)));
        }
    }

    /// Asks how large the database is. Where that is not known in time there is no number.
    pub(crate) async fn measure(&self, engine: &Engine) {
        const ONLY: [&str; 1] = ["etcd-0"];
        match tokio::time::timeout(PATIENCE, engine.store.size()).await {
            Ok(Ok(size)) => self.database.with_label_values(&ONLY).set(i64::try_from(size).unwrap_or(i64::MAX)),
            // It is not there the first time.
            _ => drop(self.database.remove_label_values(&ONLY)),
        }
    }
}
