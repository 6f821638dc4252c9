//! Verifying service-account tokens.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use api::meta;
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use json::Value;
use sha2::{Digest, Sha256};

use super::{BoundObject, Claims, KubernetesClaims, VerifyingKeys, user_info, user_name};
use crate::authentication::tokens::{TokenAuthenticator, TokenUser};
use crate::authentication::{CREDENTIAL_ID, Error};
use crate::context::Objects;

/// Clocks may differ by this much, and a deleted object counts as there for as long. Upstream: jwt.DefaultLeeway.
const LEEWAY_SECONDS: i64 = 60;
/// Issuer of tokens kept in Secrets.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";
/// Verified signatures kept; when full, all are forgotten.
const REMEMBERED: usize = 4096;

/// Knows the tokens of our issuer.
pub struct ServiceAccountTokens {
    issuers: Vec<String>,
    audiences: Vec<String>,
    keys: ArcSwap<Keys>,
    objects: Arc<dyn Objects>,
}

/// Keys, and what they verified so far.
#[derive(Debug)]
struct Keys {
    keys: VerifyingKeys,
    verified: Mutex<HashMap<[u8; 32], Arc<Claims>>>,
}

impl fmt::Debug for ServiceAccountTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountTokens")
            .field("issuers", &self.issuers)
            .field("keys", &self.keys.load().keys)
            .finish_non_exhaustive()
    }
}

impl Keys {
    fn new(keys: VerifyingKeys) -> Keys {
        Keys { keys, verified: Mutex::default() }
    }

    fn claims(&self, token: &str) -> Result<Arc<Claims>, Error> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(claims) = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&hash) {
            return Ok(claims.clone());
        }
        let claims = Arc::new(self.keys.verify(token)?);
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(hash, claims.clone());
        Ok(claims)
    }
}

impl ServiceAccountTokens {
    /// Accepts tokens of `issuers` signed by `keys`; a token without audiences is for `audiences` (the API server's).
    pub fn new(
        issuers: Vec<String>,
        audiences: Vec<String>,
        keys: VerifyingKeys,
        objects: Arc<dyn Objects>,
    ) -> ServiceAccountTokens {
        ServiceAccountTokens { issuers, audiences, keys: ArcSwap::from_pointee(Keys::new(keys)), objects }
    }

    /// Accepts tokens signed by these keys from now on, and by no others.
    pub fn verify_with(&self, keys: VerifyingKeys) {
        self.keys.store(Arc::new(Keys::new(keys)));
    }

    /// The user of verified claims, if all they are bound to is still there.
    fn user(&self, claims: &Claims, now: Timestamp) -> Result<crate::authentication::UserInfo, Error> {
        let refuse = |reason: &str| Err(Error::Token(format!("service account token {reason}")));
        let seconds = now.as_second();
        if claims.not_before.is_some_and(|begin| seconds + LEEWAY_SECONDS < begin) {
            return refuse("is not valid yet");
        }
        if claims.expiry.is_some_and(|end| seconds - LEEWAY_SECONDS > end) {
            return refuse("has expired");
        }
        if claims.issued_at.is_some_and(|at| seconds + LEEWAY_SECONDS < at) {
            return refuse("is issued in the future");
        }
        let legacy = legacy_claims(claims);
        let Some(bound) = claims.kubernetes.as_ref().or(legacy.as_ref()) else {
            return refuse("has no kubernetes.io claim");
        };
        let (namespace, account) = (&bound.namespace, &bound.serviceaccount);
        if claims.subject != user_name(namespace, &account.name) {
            return refuse("subject does not match its service account");
        }
        self.still_there("serviceaccounts", namespace, account, seconds)?;
        let mut user = user_info(namespace, &account.name, &account.uid);
        let mut extra = |key: &str, value: &str| user.extra.insert(key.to_owned(), vec![value.to_owned()]);
        if !claims.id.is_empty() {
            extra(CREDENTIAL_ID, &format!("JTI={}", claims.id));
        }
        if let Some(secret) = &bound.secret {
            let stored = self.still_there("secrets", namespace, secret, seconds)?;
            if legacy.is_some() && !holds_a_token(&stored) {
                return refuse("has been invalidated");
            }
        }
        if let Some(pod) = &bound.pod {
            self.still_there("pods", namespace, pod, seconds)?;
            extra("authentication.kubernetes.io/pod-name", &pod.name);
            extra("authentication.kubernetes.io/pod-uid", &pod.uid);
        }
        if let Some(node) = &bound.node {
            if bound.pod.is_none() {
                self.still_there("nodes", "", node, seconds)?;
            }
            extra("authentication.kubernetes.io/node-name", &node.name);
            if !node.uid.is_empty() {
                extra("authentication.kubernetes.io/node-uid", &node.uid);
            }
        }
        Ok(user)
    }

    fn still_there(&self, resource: &str, namespace: &str, bound: &BoundObject, now: i64) -> Result<Arc<Value>, Error> {
        let invalidated =
            || Error::Token(format!("service account token has been invalidated: {resource} {:?}", bound.name));
        let stored = self.objects.get("", resource, namespace, &bound.name).ok_or_else(invalidated)?;
        // Secrets of old tokens are bound by name alone.
        let same = bound.uid.is_empty() && resource == "secrets" || meta::uid(&stored) == bound.uid;
        let deleted = meta::deletion_timestamp(&stored).and_then(meta::time::parse);
        if same && deleted.is_none_or(|at| at.as_second() >= now - LEEWAY_SECONDS) {
            Ok(stored)
        } else {
            Err(invalidated())
        }
    }
}

impl TokenAuthenticator for ServiceAccountTokens {
    fn authenticate_token(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Option<TokenUser>, Error> {
        // Whose token it is is read before anything is verified: another issuer's is another authenticator's.
        let issuer = unverified_issuer(token);
        if !issuer.is_some_and(|issuer| issuer == LEGACY_ISSUER || self.issuers.contains(&issuer)) {
            return Ok(None);
        }
        let claims = self.keys.load().claims(token)?;
        let own = if claims.audience.is_empty() { &self.audiences } else { &claims.audience };
        let asked = if audiences.is_empty() { &self.audiences[..] } else { audiences };
        let audiences: Vec<String> = own.iter().filter(|audience| asked.contains(audience)).cloned().collect();
        if audiences.is_empty() && !self.audiences.is_empty() {
            return Err(Error::Token(format!("token audiences {own:?} is invalid for the target audiences {asked:?}")));
        }
        Ok(Some(TokenUser { user: self.user(&claims, now)?, audiences }))
    }
}

fn unverified_issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims: Value = json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.get("iss")?.as_str().map(str::to_owned)
}

fn legacy_claims(claims: &Claims) -> Option<KubernetesClaims> {
    (claims.issuer == LEGACY_ISSUER && !claims.legacy_secret.is_empty()).then(|| KubernetesClaims {
        namespace: claims.legacy_namespace.clone(),
        serviceaccount: BoundObject { name: claims.legacy_name.clone(), uid: claims.legacy_uid.clone() },
        secret: Some(BoundObject { name: claims.legacy_secret.clone(), uid: String::new() }),
        ..KubernetesClaims::default()
    })
}

fn holds_a_token(secret: &Value) -> bool {
    secret["data"].get("token").and_then(Value::as_str).is_some_and(|token| !token.is_empty())
}
