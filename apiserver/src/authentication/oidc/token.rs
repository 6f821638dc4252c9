//! An ID token: a JSON Web Token in compact form, its parts, and what must hold of its claims besides the signature.
//! Upstream: github.com/coreos/go-oidc IDTokenVerifier.Verify, oidc.untrustedIssuer.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use json::Value;

use crate::webhook::review::json_kind;

/// Clocks may differ by so much where a token is not valid yet.
const LEEWAY_SECONDS: i64 = 60;
/// Claims that are texts, whether or not they are looked at.
const TEXTS: [&str; 3] = ["sub", "nonce", "at_hash"];

/// See the module header. Nothing of it is true before [`super::keys`] says so.
#[derive(Debug)]
pub(super) struct IdToken<'a> {
    /// As the header names it.
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    /// What is signed.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
    pub(super) claims: Value,
}

impl<'a> IdToken<'a> {
    /// Takes a token apart; None for what is no such token.
    pub(super) fn parse(token: &'a str) -> Option<IdToken<'a>> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let part = |text: &str| -> Option<Value> { json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok() };
        let (header, claims) = (part(header)?, part(claims)?);
        // What is critical would have to be understood.
        if !claims.is_object() || header.get("crit").is_some() {
            return None;
        }
        let text = |name: &str| header.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(IdToken { algorithm: text("alg")?, key_id: text("kid"), message, signature, claims })
    }

    /// Who issued it, by its own account.
    pub(super) fn issuer(&self) -> &str {
        match self.claims.get("iss").and_then(Value::as_str).unwrap_or_default() {
            // Google leaves the scheme out at times, and nobody else may.
            "accounts.google.com" => "https://accounts.google.com",
            issuer => issuer,
        }
    }

    /// Is it for one of these?
    pub(super) fn check_audience(&self, wanted: &[String]) -> Result<(), String> {
        let given: Option<Vec<&str>> = match self.claim("aud") {
            None => Some(Vec::new()),
            Some(Value::Array(several)) => several.iter().map(Value::as_str).collect(),
            Some(one) => one.as_str().map(|one| vec![one]),
        };
        let given = given.ok_or_else(|| unreadable("aud", "is neither a text nor a list of texts"))?;
        if given.iter().any(|audience| wanted.iter().any(|own| own == audience)) {
            return Ok(());
        }
        let given = quoted(&given);
        Err(match wanted {
            [one] => format!("oidc: expected audience {one:?} got {given}"),
            several => format!("oidc: expected audience in {} got {given}", quoted(several)),
        })
    }

    /// Is it in its time?
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), String> {
        let expiry = self.time("exp")?;
        if expiry.is_none_or(|expiry| expiry < now) {
            // Where there is none, it is Go's year 1.
            let shown = expiry.map_or_else(|| "0001-01-01 00:00:00 +0000 UTC".to_owned(), shown);
            return Err(format!("oidc: token is expired (Token Expiry: {shown})"));
        }
        match self.time("nbf")? {
            Some(begin) if now.as_second() + LEEWAY_SECONDS < begin.as_second() => {
                let (now, begin) = (shown(now), shown(begin));
                Err(format!("oidc: current time {now} before the nbf (not before) time: {begin}"))
            }
            _ => Ok(()),
        }
    }

    /// Are the claims that every ID token may have of their types?
    pub(super) fn check_types(&self) -> Result<(), String> {
        for name in TEXTS {
            if let Some(other) = self.claim(name).filter(|claim| !claim.is_string()) {
                let kind = json_kind(other);
                return Err(format!(
                    "oidc: failed to unmarshal claims: json: cannot unmarshal {kind} into Go struct field idToken.{name} of type string"
                ));
            }
        }
        self.time("iat").map(|_| ())
    }

    fn claim(&self, name: &str) -> Option<&Value> {
        self.claims.get(name).filter(|claim| !claim.is_null())
    }

    /// Seconds since the epoch, which may have a fraction, or be written as a text.
    fn time(&self, name: &str) -> Result<Option<Timestamp>, String> {
        let Some(claim) = self.claim(name) else { return Ok(None) };
        let seconds = claim.as_str().map_or_else(|| claim.as_f64(), |text| text.parse().ok());
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
        time.map(Some).ok_or_else(|| unreadable(name, "is no time"))
    }
}

fn unreadable(claim: &str, why: &str) -> String {
    format!("oidc: failed to unmarshal claims: {claim} {why}")
}

/// As Go prints a time.
fn shown(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// As Go prints a list with `%q`.
pub(super) fn quoted<T: AsRef<str>>(texts: &[T]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| api::go_text::quote(text.as_ref())).collect();
    format!("[{}]", texts.join(" "))
}
