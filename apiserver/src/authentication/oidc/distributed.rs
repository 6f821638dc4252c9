//! Groups that are too many for a token: it says where they are, and another token there has them.
//!
//! Upstream: oidc.claimResolver; OpenID Connect Core 1.0, section 5.6.2. Aggregated claims are passed over, as there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use json::Value;

use super::configuration::Issuer;
use super::keys::LIMIT;
use super::provider::Provider;
use super::token::IdToken;
use super::{Authenticator, Issuers};

/// How many issuers of such tokens one issuer of ID tokens may have.
const MAX_OTHERS: usize = 16;
/// How long one who is met for the first time has to present itself.
const INTRODUCTION: Duration = Duration::from_secs(5);

/// Resolves one claim.
#[derive(Debug)]
pub(super) struct Resolver {
    claim: String,
    /// Those who issue what is resolved, by their URL.
    others: Mutex<HashMap<String, Arc<Provider>>>,
}

impl Resolver {
    pub(super) fn new(claim: &str) -> Resolver {
        Resolver { claim: claim.to_owned(), others: Mutex::default() }
    }

    /// Puts the claim among `claims`, where it is not there and they say where it is.
    pub(super) async fn expand(
        &self,
        issuers: &Issuers,
        own: &Authenticator,
        claims: &mut Value,
        now: Timestamp,
    ) -> Result<(), String> {
        let Some((url, access_token)) = self.endpoint(claims)? else { return Ok(()) };
        let claim = &self.claim;
        let document = fetch(&own.provider, &url, access_token.as_deref()).await;
        let document = document.map_err(|why| format!("while getting distributed claim {claim:?}: {why}"))?;
        let token = IdToken::parse(&document).ok_or_else(|| {
            format!("getting untrusted issuer from endpoint {url} failed for claim {claim:?}: malformed token")
        })?;
        let provider = self.issuer_of(issuers, own, token.issuer())?;
        // One that does not come in time is refused below.
        let _ = tokio::time::timeout(INTRODUCTION, provider.present()).await;
        let verified = issuers.verify(&token, &provider, &own.settings.issuer.audiences, now).await;
        verified.map_err(|why| format!("verify distributed claim token: {why}"))?;
        let value = token.claims.get(claim).ok_or_else(|| {
            format!("jwt returned by distributed claim endpoint {url:?} did not contain claim: {claim}")
        })?;
        claims[claim.as_str()] = value.clone();
        Ok(())
    }

    /// URL and access token of where the claim is; None where nobody says so.
    fn endpoint(&self, claims: &Value) -> Result<Option<(String, Option<String>)>, String> {
        if claims.get(&self.claim).is_some() {
            return Ok(None);
        }
        let Some(names) = claims.get("_claim_names") else { return Ok(None) };
        let names = names.as_object().ok_or("oidc: error parsing distributed claim names: not an object")?;
        let sources = claims.get("_claim_sources").ok_or("oidc: no claim sources")?;
        let sources = sources.as_object().ok_or("oidc: could not parse claim sources: not an object")?;
        let Some(name) = names.get(self.claim.as_str()).and_then(Value::as_str) else { return Ok(None) };
        let source = sources
            .get(name)
            .ok_or_else(|| format!("id token _claim_names contained a source {name} missing in _claims_sources"))?;
        let text = |field: &str| source.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        Ok(text("endpoint").map(|url| (url.to_owned(), text("access_token").map(str::to_owned))))
    }

    /// The other issuer, who has the same authorities.
    fn issuer_of(&self, issuers: &Issuers, own: &Authenticator, url: &str) -> Result<Arc<Provider>, String> {
        let failed = |why: &str| format!("verifying untrusted issuer {url} failed: {why}");
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = others.get(url) {
            return Ok(Arc::clone(known));
        }
        if others.len() >= MAX_OTHERS {
            return Err(failed("there are too many"));
        }
        let certificate_authority = own.settings.issuer.certificate_authority.clone();
        let issuer = Issuer { url: url.to_owned(), certificate_authority, ..Issuer::default() };
        let provider = Arc::new(issuers.provider(&issuer).map_err(|error| failed(&error.to_string()))?);
        others.insert(url.to_owned(), Arc::clone(&provider));
        Ok(provider)
    }
}

async fn fetch(provider: &Provider, url: &str, access_token: Option<&str>) -> Result<String, String> {
    let fetched = provider.fetcher().get(url, access_token, LIMIT).await;
    let (head, body) = fetched.map_err(|error| error.to_string())?;
    if !(200..=226).contains(&head.status.as_u16()) {
        return Err(format!("error while getting distributed claim JWT: {}", head.status));
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}
