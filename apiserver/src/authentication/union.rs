//! All ways to know a user, in upstream's order: front proxy, client certificate, bearer token, and at last anonymous.
//!
//! The first that knows the user decides. Credentials that nobody accepts are a 401, whatever else was offered; no credentials
//! at all are `system:anonymous`. The reason of a refusal is logged here and never sent: upstream says just `Unauthorized`.
//! Upstream: kubeapiserver/authenticator.Config.New, authentication/request/{union,bearertoken,websocket,anonymous}.

use std::sync::Arc;

use api::field::aggregate;
use api::status::Status;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use jiff::Timestamp;

use super::front_proxy::FrontProxy;
use super::tokens::{RemoteTokens, TokenAuthenticator, TokenUser};
use super::x509::ClientCertificates;
use super::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, Authenticator, Error, PeerCertificates, UserInfo};

const WEBSOCKET_BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// Who nobody vouches for. Upstream: apiserver.AnonymousAuthConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anonymous {
    /// Are they let in at all?
    pub enabled: bool,
    /// To these paths only, where there are any.
    pub paths: Vec<String>,
}

impl Anonymous {
    /// Everywhere, or nowhere.
    pub fn everywhere(enabled: bool) -> Anonymous {
        Anonymous { enabled, paths: Vec::new() }
    }

    fn may_ask(&self, path: &str) -> bool {
        self.enabled && (self.paths.is_empty() || self.paths.iter().any(|own| own == path))
    }
}

/// The authenticator of the filter chain.
#[derive(Debug, Default)]
pub struct Union {
    pub front_proxy: Option<FrontProxy>,
    pub certificates: Option<ClientCertificates>,
    /// Asked in order for a bearer token.
    pub tokens: Vec<Arc<dyn TokenAuthenticator>>,
    /// Asked in order after those.
    pub remote: Vec<Arc<dyn RemoteTokens>>,
    /// `--api-audiences`
    pub audiences: Vec<String>,
    /// `--anonymous-auth`, or what `--authentication-config` says of it.
    pub anonymous: Anonymous,
}

impl Union {
    async fn identify(
        &self,
        parts: &Parts,
        chain: &PeerCertificates,
        now: Timestamp,
    ) -> Result<Option<UserInfo>, Error> {
        let front = || self.front_proxy.as_ref().map_or(Ok(None), |own| own.authenticate(&parts.headers, chain, now));
        let certificate = || self.certificates.as_ref().map_or(Ok(None), |own| own.authenticate(chain, now));
        let mut refusal = None;
        let mut known = |found: Result<Option<UserInfo>, Error>| {
            found.unwrap_or_else(|error| {
                refusal = Some(error);
                None
            })
        };
        if let Some(user) = known(front()).or_else(|| known(certificate())) {
            return Ok(Some(with_authenticated_group(user)));
        }
        if let Some(token) = bearer_token(&parts.headers) {
            let found = self.by_token(&token, &self.audiences, now).await;
            if let Some(user) = known(found.map(|found| found.map(|found| found.user))) {
                return Ok(Some(with_authenticated_group(user)));
            }
        }
        match refusal {
            Some(error) => Err(error),
            None => Ok(self.anonymous.may_ask(parts.uri.path()).then(UserInfo::anonymous)),
        }
    }

    /// The user of a token for one of `audiences`, as TokenReview asks too. `Err` when nobody accepts it.
    pub async fn by_token(
        &self,
        token: &str,
        audiences: &[String],
        now: Timestamp,
    ) -> Result<Option<TokenUser>, Error> {
        // Upstream's own client has a token too, which this one is not.
        let mut refusals = vec!["invalid bearer token".to_owned()];
        let mut known = |found: Result<Option<TokenUser>, Error>| match found {
            Ok(found) => found.and_then(|found| self.for_audiences(found, audiences)),
            Err(error) => {
                refusals.push(error.to_string());
                None
            }
        };
        for authenticator in &self.tokens {
            if let Some(found) = known(authenticator.authenticate_token(token, audiences, now)) {
                return Ok(Some(found));
            }
        }
        for authenticator in &self.remote {
            if let Some(found) = known(authenticator.authenticate_token(token, audiences, now).await) {
                return Ok(Some(found));
            }
        }
        Err(Error::Token(aggregate(refusals).unwrap_or_default()))
    }

    /// Holds a token that knows no audiences to those of this server. Upstream: authenticator.WrapAudienceAgnosticToken.
    fn for_audiences(&self, mut found: TokenUser, asked: &[String]) -> Option<TokenUser> {
        if found.audiences.is_empty() && !asked.is_empty() {
            found.audiences = self.audiences.iter().filter(|own| asked.contains(own)).cloned().collect();
            if found.audiences.is_empty() {
                return None;
            }
        }
        Some(found)
    }
}

impl Authenticator for Union {
    fn authenticate<'a>(
        &'a self,
        parts: &'a Parts,
        chain: &'a PeerCertificates,
    ) -> BoxFuture<'a, Result<Option<UserInfo>, Status>> {
        Box::pin(async move {
            self.identify(parts, chain, Timestamp::now()).await.map_err(|error| {
                tracing::info!(path = parts.uri.path(), %error, "cannot authenticate the request");
                Status::unauthorized("Unauthorized")
            })
        })
    }
}

/// Adds `system:authenticated`, as upstream's AuthenticatedGroupAdder does for everyone who is not declared unauthenticated.
pub(super) fn with_authenticated_group(mut user: UserInfo) -> UserInfo {
    if !user.in_group(ALL_AUTHENTICATED) && !user.in_group(ALL_UNAUTHENTICATED) {
        user.groups.push(ALL_AUTHENTICATED.to_owned());
    }
    user
}

/// The token of `Authorization: Bearer TOKEN`, or of the WebSocket subprotocol that browsers must use instead.
fn bearer_token(headers: &HeaderMap) -> Option<String> {
    if let Some(header) = headers.get(AUTHORIZATION) {
        let mut parts = header.to_str().ok()?.trim().splitn(3, ' ');
        let (scheme, token) = (parts.next()?, parts.next()?);
        return (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned());
    }
    let protocols = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let encoded = protocols
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(WEBSOCKET_BEARER))?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
}
