//! All ways to know a user, in upstream's order: front proxy, client certificate, bearer token, and at last anonymous.
//!
//! The first that knows the user decides. Credentials that nobody accepts are a 401, whatever else was offered; no credentials
//! at all are `system:anonymous`. The reason of a refusal is logged here and never sent: upstream says just `Unauthorized`.
//! Upstream: kubeapiserver/authenticator.Config.New, authentication/request/{union,bearertoken,websocket,anonymous}.

use std::sync::Arc;

use api::status::Status;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use http::request::Parts;
use jiff::Timestamp;

use super::front_proxy::FrontProxy;
use super::tokens::{TokenAuthenticator, TokenUser};
use super::x509::ClientCertificates;
use super::{ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, Authenticator, Error, PeerCertificates, UserInfo};

const WEBSOCKET_BEARER: &str = "base64url.bearer.authorization.k8s.io.";

/// The authenticator of the filter chain.
#[derive(Debug, Default)]
pub struct Union {
    pub front_proxy: Option<FrontProxy>,
    pub certificates: Option<ClientCertificates>,
    /// Asked in order for a bearer token.
    pub tokens: Vec<Arc<dyn TokenAuthenticator>>,
    /// `--api-audiences`
    pub audiences: Vec<String>,
    /// `--anonymous-auth`
    pub anonymous: bool,
}

impl Union {
    fn identify(&self, parts: &Parts, chain: &PeerCertificates, now: Timestamp) -> Result<Option<UserInfo>, Error> {
        let mut refusal = None;
        let attempts: [&dyn Fn() -> Result<Option<UserInfo>, Error>; 3] = [
            &|| self.front_proxy.as_ref().map_or(Ok(None), |front| front.authenticate(&parts.headers, chain, now)),
            &|| self.certificates.as_ref().map_or(Ok(None), |certificates| certificates.authenticate(chain, now)),
            &|| match bearer_token(&parts.headers) {
                Some(token) => self.by_token(&token, &self.audiences, now).map(|found| found.map(|found| found.user)),
                None => Ok(None),
            },
        ];
        for attempt in attempts {
            match attempt() {
                Ok(Some(user)) => return Ok(Some(with_authenticated_group(user))),
                Ok(None) => {}
                Err(error) => refusal = Some(error),
            }
        }
        match refusal {
            Some(error) => Err(error),
            None => Ok(self.anonymous.then(UserInfo::anonymous)),
        }
    }

    /// The user of a token for one of `audiences`, as TokenReview asks too. `Err` when nobody accepts it.
    pub fn by_token(&self, token: &str, audiences: &[String], now: Timestamp) -> Result<Option<TokenUser>, Error> {
        let mut refusal = Error::Token("invalid bearer token".to_owned());
        for authenticator in &self.tokens {
            match authenticator.authenticate_token(token, audiences, now) {
                Ok(Some(found)) => {
                    if let Some(found) = self.for_audiences(found, audiences) {
                        return Ok(Some(found));
                    }
                }
                Ok(None) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
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
        let result = self.identify(parts, chain, Timestamp::now()).map_err(|error| {
            tracing::info!(path = parts.uri.path(), %error, "cannot authenticate the request");
            Status::unauthorized("Unauthorized")
        });
        Box::pin(std::future::ready(result))
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
