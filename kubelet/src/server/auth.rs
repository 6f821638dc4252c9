//! Who may do what with this node's API: client certificates and bearer tokens name the user, SubjectAccessReviews of the
//! API server decide about `nodes/SUBRESOURCE`. Answers are kept for a while, as upstream's webhook authorizer does.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use x509_parser::prelude::FromDer;

use super::Refusal;

/// How long a yes, a no and a token's user are believed (KubeletConfiguration's defaults).
const KEEP_YES: Duration = Duration::from_secs(300);
const KEEP_NO: Duration = Duration::from_secs(30);
const KEEP_TOKEN: Duration = Duration::from_secs(120);
/// Remembered answers of each kind.
const REMEMBERED: usize = 1000;

/// A user as the API server knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct User {
    name: String,
    uid: String,
    groups: Vec<String>,
}

/// A token by its hash (the token itself is not kept), and a user's wish.
type TokenHash = [u8; 32];
type Wish = (User, &'static str, &'static str);

pub(crate) struct Gate {
    client: kube::Client,
    node_name: String,
    token_review: bool,
    tokens: Mutex<HashMap<TokenHash, (Option<User>, Instant)>>,
    decisions: Mutex<HashMap<Wish, (bool, Instant)>>,
}

impl Gate {
    pub(crate) fn new(client: kube::Client, node_name: String, token_review: bool) -> Self {
        Self { client, node_name, token_review, tokens: Mutex::default(), decisions: Mutex::default() }
    }

    /// Lets a request pass, or says why not.
    pub(super) async fn admit(
        &self,
        peer: Option<User>,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let user = match peer {
            Some(user) => user,
            None => self.user_of_token(headers).await?,
        };
        let (verb, subresource) = (verb(method), subresource(path));
        let wish = (user, verb, subresource);
        let known = recall(&self.decisions, &wish);
        let allowed = match known {
            Some(allowed) => allowed,
            None => {
                let allowed = self.review(&wish).await?;
                remember(&self.decisions, wish.clone(), allowed, if allowed { KEEP_YES } else { KEEP_NO });
                allowed
            }
        };
        if allowed {
            return Ok(());
        }
        let message =
            format!("Forbidden (user={}, verb={verb}, resource=nodes, subresource(s)=[{subresource}])", wish.0.name);
        Err(Refusal::new(StatusCode::FORBIDDEN, message))
    }

    async fn user_of_token(&self, headers: &HeaderMap) -> Result<User, Refusal> {
        let unauthorized = || Refusal::new(StatusCode::UNAUTHORIZED, "Unauthorized");
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .filter(|token| !token.is_empty() && self.token_review)
            .ok_or_else(unauthorized)?;
        let hash: TokenHash = Sha256::digest(token.as_bytes()).into();
        if let Some(user) = recall(&self.tokens, &hash) {
            return user.ok_or_else(unauthorized);
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let answer = Api::<TokenReview>::all(self.client.clone())
            .create(&PostParams::default(), &review)
            .await
            .map_err(|error| Refusal::new(StatusCode::UNAUTHORIZED, format!("token review failed: {error}")))?;
        let status = answer.status.unwrap_or_default();
        let user = status.user.filter(|_| status.authenticated == Some(true)).map(|user| User {
            name: user.username.unwrap_or_default(),
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
        });
        remember(&self.tokens, hash, user.clone(), KEEP_TOKEN);
        user.ok_or_else(unauthorized)
    }

    async fn review(&self, (user, verb, subresource): &Wish) -> Result<bool, Refusal> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
                groups: Some(user.groups.clone()),
                resource_attributes: Some(ResourceAttributes {
                    verb: Some((*verb).to_owned()),
                    version: Some("v1".to_owned()),
                    resource: Some("nodes".to_owned()),
                    subresource: Some((*subresource).to_owned()),
                    name: Some(self.node_name.clone()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = Api::<SubjectAccessReview>::all(self.client.clone()).create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| {
            Refusal::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("Authorization error (user={}): {error}", user.name),
            )
        })?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

/// The user a verified client certificate names: its common name, and its organizations as groups.
pub(super) fn user_of_certificate(certificate: &CertificateDer<'_>) -> Option<User> {
    let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let mut groups: Vec<String> =
        subject.iter_organization().filter_map(|organization| organization.as_str().ok()).map(str::to_owned).collect();
    groups.push("system:authenticated".to_owned());
    Some(User { name, uid: String::new(), groups })
}

/// Upstream: `NodeRequestAttributesGetter.GetRequestAttributes`.
fn verb(method: &Method) -> &'static str {
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "get",
    }
}

fn subresource(path: &str) -> &'static str {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first {
        "stats" => "stats",
        "metrics" => "metrics",
        "logs" => "log",
        "pods" | "runningpods" => "pods",
        "healthz" => "healthz",
        "configz" => "configz",
        "checkpoint" => "checkpoint",
        "spec" => "spec",
        _ => "proxy",
    }
}

fn recall<K: Eq + std::hash::Hash, V: Clone>(memory: &Mutex<HashMap<K, (V, Instant)>>, key: &K) -> Option<V> {
    let memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    memory.get(key).filter(|(_, until)| *until > Instant::now()).map(|(value, _)| value.clone())
}

fn remember<K: Eq + std::hash::Hash, V>(memory: &Mutex<HashMap<K, (V, Instant)>>, key: K, value: V, keep: Duration) {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    if memory.len() >= REMEMBERED {
        memory.retain(|_, (_, until)| *until > now);
    }
    if memory.len() < REMEMBERED {
        memory.insert(key, (value, now + keep));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_become_what_upstream_asks_about() {
        assert_eq!(subresource("/pods"), "pods");
        assert_eq!(subresource("/metrics/cadvisor"), "metrics");
        assert_eq!(subresource("/stats/summary"), "stats");
        assert_eq!(subresource("/logs/"), "log");
        assert_eq!(subresource("/exec/ns/pod/container"), "proxy");
        assert_eq!(subresource("/containerLogs/ns/pod/container"), "proxy");
        assert_eq!((verb(&Method::POST), verb(&Method::GET), verb(&Method::HEAD)), ("create", "get", "get"));
    }
}
