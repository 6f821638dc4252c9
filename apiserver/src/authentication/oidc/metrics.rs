//! How issuers of tokens, and the file that names them, are doing; under upstream's names.
//! Upstream: apiserver/plugin/pkg/authenticator/token/oidc/metrics.go, apiserver/pkg/server/options/authenticationconfig/metrics.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use component::metrics::{Error, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::authentication::hex;

const LATENCIES: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// See the module header.
#[derive(Debug)]
pub(super) struct Metrics {
    pub(super) registry: Registry,
    /// The hash this server is known by.
    server: String,
    reloads: IntCounterVec,
    reload_times: GaugeVec,
    file: IntGaugeVec,
    latencies: HistogramVec,
    key_fetch_times: GaugeVec,
    key_sets: IntGaugeVec,
    /// The hash of the keys of each issuer, by the issuer's.
    keys: Mutex<HashMap<String, String>>,
}

impl Metrics {
    /// Of the server of this name.
    pub(super) fn new(server: &str) -> Result<Metrics, Error> {
        let registry = Registry::new();
        let register = |name: &str, help: &str, labels: &[&str]| {
            let gauges = GaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let info = |name: &str, help: &str, labels: &[&str]| {
            let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauges.clone())).map(|()| gauges)
        };
        let reloads = IntCounterVec::new(
            Opts::new(
                "apiserver_authentication_config_controller_automatic_reloads_total",
                "[BETA] Total number of automatic reloads of authentication configuration split by status and apiserver identity.",
            ),
            &["status", "apiserver_id_hash"],
        )?;
        registry.register(Box::new(reloads.clone()))?;
        let latencies = HistogramVec::new(
            HistogramOpts::new(
                "apiserver_authentication_jwt_authenticator_latency_seconds",
                "[ALPHA] Latency of jwt authentication operations in seconds. This is the time spent authenticating a token for cache miss only (i.e. when the token is not found in the cache).",
            )
            .buckets(LATENCIES.to_vec()),
            &["result", "jwt_issuer_hash"],
        )?;
        registry.register(Box::new(latencies.clone()))?;
        Ok(Metrics {
            server: hash(server.as_bytes()),
            reloads,
            reload_times: register(
                "apiserver_authentication_config_controller_automatic_reload_last_timestamp_seconds",
                "[BETA] Timestamp of the last automatic reload of authentication configuration split by status and apiserver identity.",
                &["status", "apiserver_id_hash"],
            )?,
            file: info(
                "apiserver_authentication_config_controller_last_config_info",
                "[ALPHA] Information about the last applied authentication configuration with hash as label, split by apiserver identity.",
                &["apiserver_id_hash", "hash"],
            )?,
            latencies,
            key_fetch_times: register(
                "apiserver_authentication_jwt_authenticator_jwks_fetch_last_timestamp_seconds",
                "[ALPHA] Timestamp of the last successful or failed JWKS fetch split by result, api server identity and jwt issuer for the JWT authenticator.",
                &["result", "jwt_issuer_hash", "apiserver_id_hash"],
            )?,
            key_sets: info(
                "apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info",
                "[ALPHA] Information about the last JWKS fetched by the JWT authenticator with hash as label, split by api server identity and jwt issuer.",
                &["jwt_issuer_hash", "apiserver_id_hash", "hash"],
            )?,
            keys: Mutex::default(),
            registry,
        })
    }

    /// A configuration is in use.
    pub(super) fn uses(&self, configuration: &str) {
        self.file.reset();
        self.file.with_label_values(&[&self.server, &hash(configuration.as_bytes())]).set(1);
    }

    /// The file changed, and this became of it.
    pub(super) fn reloaded(&self, succeeded: bool, now: Timestamp) {
        let labels = [if succeeded { "success" } else { "failure" }, self.server.as_str()];
        self.reloads.with_label_values(&labels).inc();
        self.reload_times.with_label_values(&labels).set(seconds(now));
    }

    /// A token of an issuer was looked at.
    pub(super) fn authenticated(&self, issuer: &str, succeeded: bool, took: Duration) {
        let result = if succeeded { "success" } else { "failure" };
        self.latencies.with_label_values(&[result, &hash(issuer.as_bytes())]).observe(took.as_secs_f64());
    }

    pub(super) fn fetched_keys(&self, issuer: &str, document: &[u8], now: Timestamp) {
        let (issuer, keys) = (hash(issuer.as_bytes()), hash(document));
        self.key_fetch_times.with_label_values(&["success", &issuer, &self.server]).set(seconds(now));
        let before = self.keys.lock().unwrap_or_else(PoisonError::into_inner).insert(issuer.clone(), keys.clone());
        if let Some(before) = before.filter(|before| *before != keys) {
            self.forget_keys(&issuer, &before);
        }
        self.key_sets.with_label_values(&[&issuer, &self.server, &keys]).set(1);
    }

    pub(super) fn failed_to_fetch_keys(&self, issuer: &str, now: Timestamp) {
        self.key_fetch_times.with_label_values(&["failure", &hash(issuer.as_bytes()), &self.server]).set(seconds(now));
    }

    /// An issuer is not believed any more.
    pub(super) fn forget(&self, issuer: &str) {
        let issuer = hash(issuer.as_bytes());
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

fn hash(data: &[u8]) -> String {
    if data.is_empty() { String::new() } else { format!("sha256:{}", hex(&Sha256::digest(data))) }
}
