//! An issuer as it presents itself: its configuration says where its keys are.
//!
//! It is asked as soon as it is known, and again every ten seconds until it answers: it may run in the cluster this server serves.
//! Until then its tokens are refused.
//! Upstream: github.com/coreos/go-oidc NewProvider, oidc.New.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use component::Shutdown;
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::configuration::Issuer;
use super::keys::{KeySet, LIMIT};
use super::metrics::Metrics;
use crate::webhook::Trust;
use crate::webhook::fetch::Fetcher;

/// After how long one that did not answer is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// See the module header. Dropped, it is not asked any more.
#[derive(Debug)]
pub(super) struct Provider {
    presence: Arc<Presence>,
    _asking: DropGuard,
}

#[derive(Debug)]
struct Presence {
    /// Where its configuration is.
    discovery_url: String,
    url: String,
    fetcher: Arc<Fetcher>,
    metrics: Arc<Metrics>,
    keys: OnceLock<Arc<KeySet>>,
    /// Why there are no keys yet.
    trouble: watch::Sender<Option<String>>,
}

/// What is read of an issuer's configuration.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    issuer: String,
    #[serde(default)]
    jwks_uri: String,
}

impl Provider {
    /// Begins to ask.
    pub(super) fn start(
        issuer: &Issuer,
        metrics: &Arc<Metrics>,
        patience: Duration,
        shutdown: &Shutdown,
    ) -> Result<Provider, crate::webhook::Error> {
        let trust = match issuer.certificate_authority.as_str() {
            "" => Trust::System,
            pem => Trust::Bundle(pem.as_bytes()),
        };
        let fetcher = Arc::new(Fetcher::new(trust)?);
        let discovery_url = match issuer.discovery_url.as_str() {
            "" => format!("{}{WELL_KNOWN}", issuer.url.strip_suffix('/').unwrap_or(&issuer.url)),
            url => url.to_owned(),
        };
        let trouble = format!("oidc: authenticator for issuer {:?} is not initialized", issuer.url);
        let presence = Arc::new(Presence {
            discovery_url,
            url: issuer.url.clone(),
            fetcher,
            metrics: Arc::clone(metrics),
            keys: OnceLock::new(),
            trouble: watch::Sender::new(Some(trouble)),
        });
        let (asked, end) = (Arc::clone(&presence), shutdown.child_token());
        component::spawn_until("issuer of tokens", &end, async move { asked.find_keys(patience).await });
        Ok(Provider { presence, _asking: end.drop_guard() })
    }

    /// Its keys, once it has answered.
    pub(super) fn keys(&self) -> Option<&Arc<KeySet>> {
        self.presence.keys.get()
    }

    /// What documents of this issuer are fetched with.
    pub(super) fn fetcher(&self) -> &Fetcher {
        &self.presence.fetcher
    }

    /// Waits until it has answered.
    pub(super) async fn present(&self) {
        let mut trouble = self.presence.trouble.subscribe();
        // The sender lives as long as `self`.
        let _ = trouble.wait_for(Option::is_none).await;
    }

    /// Why it is not used yet.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.presence.trouble.borrow().clone();
        trouble.map(|why| format!("oidc: authenticator for issuer {:?} is not healthy: {why}", self.presence.url))
    }
}

impl Presence {
    async fn find_keys(&self, patience: Duration) {
        loop {
            match self.discover().await {
                Ok(url) => {
                    let (fetcher, metrics) = (Arc::clone(&self.fetcher), Arc::clone(&self.metrics));
                    self.keys.get_or_init(|| KeySet::new(url, &self.url, fetcher, metrics));
                    self.trouble.send_replace(None);
                    return;
                }
                Err(error) => {
                    tracing::error!(
                        issuer = self.url,
                        error,
                        "an issuer of tokens cannot be asked for its configuration"
                    );
                    self.trouble.send_replace(Some(error));
                }
            }
            tokio::time::sleep(patience).await;
        }
    }

    /// Where its keys are.
    async fn discover(&self) -> Result<String, String> {
        let fetched = self.fetcher.get(&self.discovery_url, None, LIMIT).await;
        let (head, body) = fetched.map_err(|error| error.to_string())?;
        if head.status != StatusCode::OK {
            return Err(format!("{}: {}", head.status, String::from_utf8_lossy(&body)));
        }
        let document: Document = serde_json::from_slice(&body)
            .map_err(|error| format!("oidc: failed to decode provider discovery object: {error}"))?;
        if document.issuer != self.url {
            let (own, got) = (&self.url, &document.issuer);
            return Err(format!(
                "oidc: issuer did not match the issuer returned by provider, expected {own:?} got {got:?}"
            ));
        }
        if document.jwks_uri.is_empty() {
            return Err("provider did not return JWKS URL".to_owned());
        }
        Ok(document.jwks_uri)
    }
}
