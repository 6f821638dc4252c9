//! `--authentication-token-webhook-config-file`: a server that is asked who a token stands for, by a TokenReview.
//! Upstream: apiserver/plugin/pkg/authenticator/token/webhook.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use json::json;
use serde::{Deserialize, Deserializer};

use super::metrics::TokenCache;
use super::tokens::{RemoteTokens, TokenUser};
use super::{Error, Remembered, UserInfo};
use crate::context::Objects;
use crate::webhook::{Backoff, Webhook, review};

const GROUP: &str = "authentication.k8s.io";
const KIND: &str = "TokenReview";
/// Upstream: webhook.defaultRequestTimeout.
const LIMIT: Duration = Duration::from_secs(30);

/// `--authentication-token-webhook-*`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A kubeconfig that says where the server is, and as whom it is asked.
    pub kubeconfig: PathBuf,
    /// Of TokenReview: `v1` or `v1beta1`.
    pub version: String,
    /// How long an answer holds.
    pub cache_ttl: Duration,
}

/// See the module header.
struct TokenWebhook {
    webhook: Webhook,
    version: String,
    /// What a token is for whose review does not say so.
    audiences: Vec<String>,
    objects: Arc<dyn Objects>,
    backoff: Backoff,
}

impl fmt::Debug for TokenWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenWebhook").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

/// The server these settings name, whose answers are remembered; `audiences` are this server's.
pub(crate) fn open(
    settings: &Settings,
    audiences: &[String],
    objects: Arc<dyn Objects>,
    counts: TokenCache,
) -> Result<Remembered, Error> {
    let ttl = settings.cache_ttl;
    let webhook = TokenWebhook::open(&settings.kubeconfig, &settings.version, audiences, objects)?;
    Ok(Remembered::new(Arc::new(webhook), ttl, ttl, counts))
}

impl TokenWebhook {
    fn open(file: &Path, version: &str, audiences: &[String], objects: Arc<dyn Objects>) -> Result<Self, Error> {
        if !matches!(version, "v1" | "v1beta1") {
            return Err(Error::Webhook(format!(
                "unsupported authentication webhook version {version:?}, supported versions are \"v1\", \"v1beta1\""
            )));
        }
        let webhook = Webhook::of_kubeconfig(file).map_err(|error| Error::Webhook(error.to_string()))?;
        let (version, audiences) = (version.to_owned(), audiences.to_vec());
        Ok(TokenWebhook { webhook, version, audiences, objects, backoff: Backoff::default() })
    }

    async fn ask(&self, token: &str, audiences: &[String]) -> Result<Option<TokenUser>, Error> {
        let mut review = json!({
            "kind": KIND,
            "apiVersion": format!("{GROUP}/{}", self.version),
            "metadata": {},
            "spec": {"token": token},
            "status": {"user": {}},
        });
        if !audiences.is_empty() {
            review["spec"]["audiences"] = audiences.to_vec().into();
        }
        let answer = self.post(review.to_string().into()).await?;
        self.read(&answer, audiences)
    }

    /// Asks, again where that may help.
    async fn post(&self, review: Bytes) -> Result<Bytes, Error> {
        let mut backoff = self.backoff.clone();
        loop {
            match self.webhook.post(self.objects.as_ref(), review.clone(), LIMIT).await {
                Ok(answer) => return Ok(answer),
                Err(error) => match backoff.next().filter(|_| error.may_pass()) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => {
                        tracing::error!(%error, "the authentication token webhook cannot be asked");
                        return Err(Error::Token(error.to_string()));
                    }
                },
            }
        }
    }

    fn read(&self, answer: &[u8], asked: &[String]) -> Result<Option<TokenUser>, Error> {
        let unreadable = |why: &dyn fmt::Display| Error::Token(why.to_string());
        let review = review::read(answer, GROUP, &self.version, KIND).map_err(|why| unreadable(&why))?;
        let status: Option<Status> = json::from_value(review["status"].clone()).map_err(|why| unreadable(&why))?;
        let status = status.unwrap_or_default();
        let own = if status.audiences.is_empty() { &self.audiences } else { &status.audiences };
        let audiences: Vec<String> = asked.iter().filter(|audience| own.contains(audience)).cloned().collect();
        if !asked.is_empty() && audiences.is_empty() {
            return Ok(None);
        }
        let User { username, uid, groups, extra } = status.user;
        match (status.authenticated, status.error) {
            (true, _) => Ok(Some(TokenUser { user: UserInfo { name: username, uid, groups, extra }, audiences })),
            (false, why) if why.is_empty() => Ok(None),
            (false, why) => Err(Error::Token(why)),
        }
    }
}

/// Upstream: authentication.TokenReviewStatus.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    #[serde(deserialize_with = "or_default")]
    authenticated: bool,
    #[serde(deserialize_with = "or_default")]
    user: User,
    #[serde(deserialize_with = "or_default")]
    audiences: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    error: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    #[serde(deserialize_with = "or_default")]
    username: String,
    #[serde(deserialize_with = "or_default")]
    uid: String,
    #[serde(deserialize_with = "or_default")]
    groups: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    extra: BTreeMap<String, Vec<String>>,
}

/// Null is nothing, as Go reads it.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

impl RemoteTokens for TokenWebhook {
    fn authenticate_token<'a>(
        &'a self,
        token: &'a str,
        audiences: &'a [String],
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<TokenUser>, Error>> {
        Box::pin(self.ask(token, audiences))
    }
}

#[cfg(test)]
mod tests;
