//! How issuers of tokens, and the file that names them, are doing; under upstream's names.
//! Upstream: apiserver/plugin/pkg/authenticator/token/oidc/metrics.go.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use component::metrics::{Error, GaugeVec, HistogramVec, Registrar, Registry};
use jiff::Timestamp;

use crate::configuration_file::{Reloads, hash};

const LATENCIES: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// See the module header.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) registry: Registry,
    /// The hash this server is known by.
    server: String,
    reloads: Reloads,
    latencies: HistogramVec,
    key_fetch_times: GaugeVec,
    key_sets: GaugeVec,
    /// The hash of the keys of each issuer, by the issuer's.
    keys: Mutex<HashMap<String, String>>,
}

impl Metrics {
    /// Of the server of this name.
    pub(super) fn new(server: &str) -> Result<Metrics, Error> {
        let registry = Registry::new();
        let make = Registrar::of(&registry).under("apiserver_authentication_jwt_authenticator_");
        Ok(Metrics {
            server: hash(server),
            reloads: Reloads::of(&registry, "authentication")?,
            latencies: make.histograms(
                "latency_seconds",
                "[ALPHA] Latency of jwt authentication operations in seconds. This is the time spent authenticating a token for cache miss only (i.e. when the token is not found in the cache).",
                &["result", "jwt_issuer_hash"],
                &LATENCIES,
            )?,
            key_fetch_times: make.times(
                "jwks_fetch_last_timestamp_seconds",
                "[ALPHA] Timestamp of the last successful or failed JWKS fetch split by result, api server identity and jwt issuer for the JWT authenticator.",
                &["result", "jwt_issuer_hash", "apiserver_id_hash"],
            )?,
            key_sets: make.times(
                "jwks_fetch_last_key_set_info",
                "[ALPHA] Information about the last JWKS fetched by the JWT authenticator with hash as label, split by api server identity and jwt issuer.",
                &["jwt_issuer_hash", "apiserver_id_hash", "hash"],
            )?,
            keys: Mutex::default(),
            registry,
        })
    }

    /// A configuration is in use.
    pub(super) fn uses(&self, configuration: &str) {
        self.reloads.applied(&self.server, configuration);
    }

    /// The file changed, and that has come of it.
    pub(super) fn reloaded(&self, succeeded: bool) {
        self.reloads.count(succeeded, &self.server);
    }

    /// A token of an issuer was looked at.
    pub(super) fn authenticated(&self, issuer: &str, succeeded: bool, took: Duration) {
        let result = if succeeded { "success" } else { "failure" };
        self.latencies.with_label_values(&[result, &hash(issuer)]).observe(took.as_secs_f64());
    }

    pub(super) fn fetched_keys(&self, issuer: &str, document: &[u8], now: Timestamp) {
        let (issuer, keys) = (hash(issuer), hash(document));
        self.key_fetch_times.with_label_values(&["success", &issuer, &self.server]).set(seconds(now));
        let before = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.clone(), keys.clone());
        if let Some(before) = before.filter(|before| *before != keys) {
            self.forget_keys(&issuer, &before);
        }
        self.key_sets.with_label_values(&[&issuer, &self.server, &keys]).set(1.0);
    }

    pub(super) fn failed_to_fetch_keys(&self, issuer: &str, now: Timestamp) {
        self.key_fetch_times.with_label_values(&["failure", &hash(issuer), &self.server]).set(seconds(now));
    }

    /// An issuer is not believed any more.
    pub(super) fn forget(&self, issuer: &str) {
        let issuer = hash(issuer);
        for result in ["success", "failure"] {
            // It is not there where nothing was fetched.
            let _ = self.key_fetch_times.remove_label_values(&[result, &issuer, &self.server]);
        }
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&issuer);
        if let Some(keys) = keys {
            self.forget_keys(&issuer, &keys);
        }
    }

    fn forget_keys(&self, issuer: &str, keys: &str) {
        let _ = self.key_sets.remove_label_values(&[issuer, &self.server, keys]);
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_duration().as_secs_f64()
}
