//! Tokens of service accounts, bound to a pod and renewed in time. Upstream: `kubelet/token.Manager`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount};
use kube::Api;
use kube::api::PostParams;

use super::Error;
use crate::pod::PodExt;

/// However long a token lives, it is renewed after a day.
const LONGEST_USE: SignedDuration = SignedDuration::from_hours(24);

#[derive(Debug, Clone)]
struct Kept {
    token: String,
    refresh_at: Timestamp,
}

/// Pod uid, audience, lifetime.
type TokenKey = (String, Option<String>, i64);

/// The tokens in use.
pub(super) struct Tokens {
    client: kube::Client,
    kept: Mutex<HashMap<TokenKey, Kept>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    pub(super) fn new(client: kube::Client) -> Self {
        Self { client, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<TokenKey, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that is good for a while; the one in use unless its time to be renewed has come.
    pub(super) async fn get(&self, pod: &Pod, audience: Option<&str>, seconds: i64) -> Result<String, Error> {
        let key = (pod.uid().to_owned(), audience.map(str::to_owned), seconds);
        let now = Timestamp::now();
        let present = self.kept().get(&key).cloned();
        if let Some(present) = &present
            && now < present.refresh_at
        {
            return Ok(present.token.clone());
        }
        match self.request(pod, audience, seconds).await {
            Ok((token, expires)) => {
                let lifetime = expires.duration_since(now);
                // At four fifths of its life.
                let use_for = (lifetime / 5 * 4).min(LONGEST_USE);
                let refresh_at = now.checked_add(use_for).unwrap_or(expires);
                self.kept().insert(key, Kept { token: token.clone(), refresh_at });
                Ok(token)
            }
            Err(error) => match present {
                // Renewal is early, so the old one serves until the API server is back.
                Some(present) => {
                    tracing::warn!(%error, pod = pod.name(), "token is not renewed yet");
                    Ok(present.token)
                }
                None => Err(error),
            },
        }
    }

    async fn request(&self, pod: &Pod, audience: Option<&str>, seconds: i64) -> Result<(String, Timestamp), Error> {
        let account = pod.spec().service_account_name.clone().unwrap_or_else(|| "default".into());
        let request = TokenRequest {
            spec: Some(TokenRequestSpec {
                audiences: audience.map(|audience| vec![audience.to_owned()]),
                expiration_seconds: Some(seconds),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".into()),
                    kind: Some("Pod".into()),
                    name: Some(pod.name().into()),
                    uid: Some(pod.uid().into()),
                }),
                ..TokenRequestSpec::default()
            }),
            ..TokenRequest::default()
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), pod.namespace());
        let answer: TokenRequest = accounts
            .create_subresource("token", &account, &PostParams::default(), &request)
            .await
            .map_err(|error| Error::Token(error.to_string()))?;
        let status = answer.status.unwrap_or_default();
        let (Some(token), Some(expires)) = (status.token, status.expiration_timestamp) else {
            return Err(Error::Token("the API server sent no token".into()));
        };
        Ok((token, expires.0))
    }

    pub(super) fn next_refresh(&self, uid: &str) -> Option<Timestamp> {
        self.kept().iter().filter(|((pod, ..), _)| pod == uid).map(|(_, kept)| kept.refresh_at).min()
    }

    pub(super) fn forget(&self, uid: &str) {
        self.kept().retain(|(pod, ..), _| pod != uid);
    }
}
