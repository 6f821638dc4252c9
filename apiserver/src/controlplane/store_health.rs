//! Tells the store the time, and remembers what it answered: that is the store's health.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use store::{Store, Timestamp};

use crate::server::health::Check;

/// How often the store is told the time: events expire and history grows old by it.
const TICK: Duration = Duration::from_secs(1);

/// Why the store did not take the time when last told; None while all is well. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreHealth(Arc<Mutex<Option<String>>>);

impl StoreHealth {
    /// For `/readyz/etcd` and the component status `etcd-0`.
    pub(super) fn check(&self) -> Check {
        let health = self.clone();
        Arc::new(move || health.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Never ends: stop polling it.
    pub(super) async fn tell_time(self, store: Arc<Store>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
            let failed = store.tick(Timestamp(now)).await.err();
            if let Some(error) = &failed {
                tracing::error!(%error, "the store does not take the time: events will not expire");
            }
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failed.map(|error| error.to_string());
        }
    }
}
