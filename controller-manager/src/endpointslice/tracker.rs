//! Which generation of each slice was last written, to recognise a cache that has not caught up.
//!
//! Upstream: util.EndpointSliceTracker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use serde_json::Value;

use crate::engine::Key;
use crate::meta;

/// Per slice uid the generation the cache must have reached, or `None` if the slice must be gone.
type Expected = HashMap<String, Option<i64>>;

#[derive(Debug, Default)]
pub(crate) struct Tracker {
    services: Mutex<HashMap<Key, Expected>>,
}

impl Tracker {
    fn services(&self) -> MutexGuard<'_, HashMap<Key, Expected>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the cached slices of a service do not show what was written.
    pub(crate) fn is_stale(&self, key: &Key, cached: &[Arc<EndpointSlice>]) -> bool {
        let services = self.services();
        let Some(expected) = services.get(key) else { return false };
        expected.iter().any(|(uid, generation)| {
            let found = cached.iter().find(|slice| meta::uid(&slice.metadata) == uid);
            match (found, generation) {
                (Some(slice), Some(generation)) => slice.metadata.generation.unwrap_or(0) < *generation,
                (Some(_), None) | (None, Some(_)) => true,
                (None, None) => false,
            }
        })
    }

    /// The server's answer to a create or update.
    pub(crate) fn written(&self, key: &Key, slice: &Value) {
        let metadata = &slice["metadata"];
        if let Some(uid) = metadata["uid"].as_str() {
            let generation = metadata["generation"].as_i64().unwrap_or(0);
            self.services().entry(key.clone()).or_default().insert(uid.to_owned(), Some(generation));
        }
    }

    pub(crate) fn expect_deletion(&self, key: &Key, uid: &str) {
        self.services().entry(key.clone()).or_default().insert(uid.to_owned(), None);
    }

    /// The cache saw the slice go.
    pub(crate) fn deleted(&self, key: &Key, uid: &str) {
        if let Some(expected) = self.services().get_mut(key) {
            expected.remove(uid);
        }
    }

    pub(crate) fn forget(&self, key: &Key) {
        self.services().remove(key);
    }
}
