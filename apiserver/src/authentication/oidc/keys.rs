//! The keys an issuer signs with, fetched from where its configuration says they are.
//!
//! They are fetched when a token is not signed by one that is known, unless the issuer said that those known are all for a while
//! yet; who needs them meanwhile waits for the same fetch. Keys that cannot be fetched anew stay.
//! Upstream: github.com/coreos/go-oidc remoteKeySet.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use jiff::{SignedDuration, Timestamp};
use json::Value;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use p521::ecdsa::signature::Verifier as _;
use p521::ecdsa::{Signature, VerifyingKey};

use super::metrics::Metrics;
use super::token::IdToken;
use crate::authentication::flights::Flights;
use crate::webhook::fetch::Fetcher;

/// Upstream: the client of oidc.New.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Keys are taken to expire so much earlier. Upstream: keysExpiryDelta.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_secs(30);
const NOT_SIGNED: &str = "failed to verify id token signature";

/// See the module header.
#[derive(Debug)]
pub(super) struct KeySet {
    url: String,
    issuer: String,
    fetcher: Arc<Fetcher>,
    metrics: Arc<Metrics>,
    known: ArcSwap<Known>,
    flights: Flights<(), Result<Arc<Known>, String>>,
}

#[derive(Debug)]
struct Known {
    keys: Vec<Key>,
    expiry: Timestamp,
}

struct Key {
    id: String,
    half: PublicHalf,
}

/// What verifies a signature.
enum PublicHalf {
    /// Of any algorithm but ES512.
    Jose(DecodingKey),
    /// Of ES512, which `jsonwebtoken` does not know.
    P521(Box<VerifyingKey>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Known {
    /// Did one of the keys sign it?
    fn signed(&self, token: &IdToken<'_>) -> bool {
        let wanted = token.key_id.as_deref().unwrap_or_default();
        let mut fitting = self.keys.iter().filter(|key| wanted.is_empty() || key.id == wanted);
        fitting.any(|key| key.half.signed(token).unwrap_or_default())
    }
}

impl PublicHalf {
    /// None for a signature or a key that is not of the token's algorithm.
    fn signed(&self, token: &IdToken<'_>) -> Option<bool> {
        let message = token.message.as_bytes();
        match self {
            PublicHalf::Jose(key) => {
                let algorithm: Algorithm = token.algorithm.parse().ok()?;
                jsonwebtoken::crypto::verify(token.signature, message, key, algorithm).ok()
            }
            PublicHalf::P521(key) => {
                let signature = URL_SAFE_NO_PAD.decode(token.signature).ok().filter(|_| token.algorithm == "ES512")?;
                Some(key.verify(message, &Signature::from_slice(&signature).ok()?).is_ok())
            }
        }
    }
}

impl KeySet {
    /// Those at a URL, of an issuer; none are known yet.
    pub(super) fn new(url: String, issuer: &str, fetcher: Arc<Fetcher>, metrics: Arc<Metrics>) -> Arc<KeySet> {
        let known = Known { keys: Vec::new(), expiry: Timestamp::UNIX_EPOCH };
        Arc::new(KeySet {
            url,
            issuer: issuer.to_owned(),
            fetcher,
            metrics,
            known: ArcSwap::from_pointee(known),
            flights: Flights::default(),
        })
    }

    /// Is the token signed by one of the keys?
    pub(super) async fn verify(self: &Arc<Self>, token: &IdToken<'_>, now: Timestamp) -> Result<(), String> {
        let known = self.known.load_full();
        // One that has expired is believed, too: the issuer may be out of reach.
        if known.signed(token) {
            return Ok(());
        }
        if now.saturating_add(EXPIRY_MARGIN).is_ok_and(|soon| soon <= known.expiry) {
            return Err(NOT_SIGNED.to_owned());
        }
        let fetch = || {
            let keys = Arc::clone(self);
            async move { keys.fetch(now).await }
        };
        let fetched = self.flights.join((), "keys of an issuer", fetch).await;
        let fetched = fetched.unwrap_or_else(|| Err("failed unexpectedly".to_owned()));
        match fetched.map_err(|why| format!("fetching keys {why}"))?.signed(token) {
            true => Ok(()),
            false => Err(NOT_SIGNED.to_owned()),
        }
    }

    async fn fetch(&self, now: Timestamp) -> Result<Arc<Known>, String> {
        let fetched = self.fetch_document(now).await;
        match &fetched {
            Ok((known, document)) => {
                self.known.store(Arc::clone(known));
                self.metrics.fetched_keys(&self.issuer, document, now);
            }
            Err(error) => {
                tracing::warn!(issuer = self.issuer, error, "the keys of an issuer of tokens cannot be fetched");
                self.metrics.failed_to_fetch_keys(&self.issuer, now);
            }
        }
        fetched.map(|(known, _)| known)
    }

    async fn fetch_document(&self, now: Timestamp) -> Result<(Arc<Known>, bytes::Bytes), String> {
        let fetched = self.fetcher.get(&self.url, None, LIMIT).await;
        let (head, document) = fetched.map_err(|why| format!("oidc: get keys failed {why}"))?;
        let shown = || String::from_utf8_lossy(&document).into_owned();
        if head.status != http::StatusCode::OK {
            return Err(format!("oidc: get keys failed: {} {}", head.status, shown()));
        }
        let parsed: Value =
            json::from_slice(&document).map_err(|error| format!("oidc: failed to decode keys: {error} {}", shown()))?;
        let keys = parsed["keys"].as_array().into_iter().flatten().filter_map(key).collect();
        Ok((Arc::new(Known { keys, expiry: expiry(&head.headers, now) }), document))
    }
}

/// Keys for other uses and of kinds nobody signs with here are passed over.
fn key(jwk: &Value) -> Option<Key> {
    let parsed: Jwk = json::from_value(jwk.clone()).ok()?;
    let half = match &parsed.algorithm {
        AlgorithmParameters::EllipticCurve(point) if point.curve == EllipticCurve::P521 => {
            let coordinate = |text: &String| URL_SAFE_NO_PAD.decode(text).ok();
            // An uncompressed point: 4, then both coordinates.
            let point = [vec![4], coordinate(&point.x)?, coordinate(&point.y)?].concat();
            PublicHalf::P521(Box::new(VerifyingKey::from_sec1_bytes(&point).ok()?))
        }
        _ => PublicHalf::Jose(DecodingKey::from_jwk(&parsed).ok()?),
    };
    Some(Key { id: parsed.common.key_id.unwrap_or_default(), half })
}

/// How long an answer may be kept by who shares it with others; at once over where it does not say.
/// Upstream: github.com/pquerna/cachecontrol.CachableResponse.
fn expiry(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    let said = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> =
        said.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|own| matches!(own.as_str(), "no-store" | "no-cache" | "private")) {
        return now;
    }
    let seconds = |name: &str| {
        let value = directives.iter().find_map(|own| own.strip_prefix(name)?.strip_prefix('='))?;
        value.trim_matches('"').parse::<i64>().ok()
    };
    let age = seconds("s-maxage").or_else(|| seconds("max-age")).unwrap_or_default();
    now.saturating_add(SignedDuration::from_secs(age.max(0))).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key set, and a token of each algorithm signed by one of its keys.
    const SIGNATURES: &str = include_str!("../../../testdata/authentication/signatures.json");

    #[test]
    fn signatures_of_each_algorithm_are_verified() {
        let recorded: Value = json::from_str(SIGNATURES).unwrap();
        let keys = recorded["keys"].as_array().unwrap().iter().filter_map(key).collect();
        let known = Known { keys, expiry: Timestamp::UNIX_EPOCH };
        let tokens = recorded["tokens"].as_object().unwrap();
        assert_eq!(tokens.len(), 9);
        for (algorithm, token) in tokens {
            let token = token.as_str().unwrap();
            assert!(known.signed(&IdToken::parse(token).unwrap()), "{algorithm}");
            let mut parsed = IdToken::parse(token).unwrap();
            parsed.key_id = None;
            assert!(known.signed(&parsed), "{algorithm} by one of all keys");
            parsed.key_id = Some("another".to_owned());
            assert!(!known.signed(&parsed), "{algorithm} by a key that is not there");
            let other = if algorithm.as_str() == "RS256" { "PS256" } else { "RS256" };
            let confused = IdToken { algorithm: other.to_owned(), ..IdToken::parse(token).unwrap() };
            assert!(!known.signed(&confused), "{algorithm} taken for {other}");
            let changed = token.replacen('.', ".e30", 1);
            assert!(IdToken::parse(&changed).is_none_or(|changed| !known.signed(&changed)), "{algorithm}, changed");
        }
    }

    #[test]
    fn keys_are_kept_as_long_as_the_issuer_says() {
        let seconds = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, header::HeaderValue::from_static(value))]);
            expiry(&headers, Timestamp::UNIX_EPOCH).as_second()
        };
        assert_eq!(seconds("public, max-age=60"), 60);
        assert_eq!(seconds("max-age=60, s-maxage=5"), 5);
        assert_eq!(seconds("no-cache, max-age=60"), 0);
        assert_eq!(seconds("max-age=soon"), 0);
        assert_eq!(expiry(&HeaderMap::new(), Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    }
}
