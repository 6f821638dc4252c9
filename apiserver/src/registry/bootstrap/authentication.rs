//! How extension API servers know who asks them: the ConfigMap `extension-apiserver-authentication`.
//!
//! Several servers with authorities of their own write the same object, so each adds what it knows and takes nothing away but certificates
//! that have expired. Upstream: controlplane/controller/clusterauthenticationtrust.

use std::time::Duration;

use jiff::Timestamp;
use json::{Map, Value, json};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Config;

/// How long after its end a certificate still counts.
const SLACK: Duration = Duration::from_secs(300);

/// What this server says.
pub(super) fn own(config: &Config) -> Map {
    let list = |items: &[String]| Value::from(json!(items).to_string());
    let mut data = Map::new();
    data.extend(config.client_ca.iter().map(|pem| ("client-ca-file".to_owned(), Value::from(pem.as_str()))));
    if let Some(front) = &config.request_header {
        data.insert("requestheader-allowed-names".to_owned(), list(&front.allowed_names));
        data.insert("requestheader-client-ca-file".to_owned(), front.client_ca.as_str().into());
        data.insert("requestheader-extra-headers-prefix".to_owned(), list(&front.extra_prefixes));
        data.insert("requestheader-group-headers".to_owned(), list(&front.group_headers));
        if !front.uid_headers.is_empty() {
            data.insert("requestheader-uid-headers".to_owned(), list(&front.uid_headers));
        }
        data.insert("requestheader-username-headers".to_owned(), list(&front.username_headers));
    }
    data
}

/// What is there and what this server says, together.
pub(super) fn combined(existing: &Value, own: &Value, now: Timestamp) -> Value {
    let mut data = own.as_object().cloned().unwrap_or_default();
    for (key, before) in existing.as_object().into_iter().flatten() {
        let before = before.as_str().unwrap_or_default();
        let here = data.get(key).and_then(Value::as_str).unwrap_or_default();
        let both = if key.ends_with("ca-file") { certificates(before, here, now) } else { names(before, here) };
        match both {
            Some(both) if both.is_empty() => drop(data.shift_remove(key)),
            Some(both) => drop(data.insert(key.clone(), both.into())),
            // It is not what it should be: what this server says counts.
            None => {}
        }
    }
    data.into()
}

/// The names in two JSON lists, each once.
fn names(before: &str, here: &str) -> Option<String> {
    let list = |text: &str| match text {
        "" => Some(Vec::new()),
        text => json::from_str::<Vec<String>>(text).ok(),
    };
    let mut all = list(before)?;
    for name in list(here)? {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    Some(json!(all).to_string())
}

/// The certificates in two PEM files that have not expired, each once.
fn certificates(before: &str, here: &str, now: Timestamp) -> Option<String> {
    if before == here {
        return Some(here.to_owned());
    }
    let (before, own) = (pem::parse_many(before).unwrap_or_default(), pem::parse_many(here).ok()?);
    if own.is_empty() && !here.is_empty() {
        return None;
    }
    let mut all: Vec<pem::Pem> = Vec::new();
    for found in before.into_iter().chain(own) {
        let is_valid = {
            let (_, certificate) = X509Certificate::from_der(found.contents()).ok()?;
            let end = Timestamp::from_second(certificate.validity().not_after.timestamp()).unwrap_or(Timestamp::MAX);
            now.duration_since(end) < jiff::SignedDuration::try_from(SLACK).unwrap_or_default()
        };
        if is_valid && all.iter().all(|other| other.contents() != found.contents()) {
            all.push(pem::Pem::new("CERTIFICATE", found.contents()));
        }
    }
    Some(pem::encode_many_config(&all, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn certificate(ends: &str) -> String {
        let mut params = CertificateParams::new(["ca".to_owned()]).unwrap();
        let ends: Timestamp = ends.parse().unwrap();
        params.not_after = std::time::SystemTime::from(ends).into();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    }

    #[test]
    fn servers_add_their_authorities_and_names_to_those_of_others() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let (old, theirs, ours) = (
            certificate("2026-11-20T00:00:00Z"),
            certificate("2027-01-01T00:00:00Z"),
            certificate("2028-01-01T00:00:00Z"),
        );
        let existing =
            json!({"client-ca-file": old + &theirs, "requestheader-allowed-names": r#"["a","b"]"#, "x": r#"["y"]"#});
        let own = json!({"client-ca-file": ours, "requestheader-allowed-names": r#"["b","c"]"#, "new": r#"["z"]"#});
        let both = combined(&existing, &own, now);
        let authorities = pem::parse_many(both["client-ca-file"].as_str().unwrap()).unwrap();
        let expected = pem::parse_many(theirs + &ours).unwrap();
        assert_eq!(authorities, expected);
        assert_eq!(both["requestheader-allowed-names"], r#"["a","b","c"]"#);
        assert_eq!((&both["x"], &both["new"]), (&json!(r#"["y"]"#), &json!(r#"["z"]"#)));
        assert_eq!(combined(&both, &own, now), both, "once is enough");
    }

    #[test]
    fn what_is_damaged_is_replaced() {
        let own = json!({"client-ca-file": "CA", "requestheader-allowed-names": "[]"});
        let existing = json!({"client-ca-file": "none", "requestheader-allowed-names": "none"});
        assert_eq!(combined(&existing, &own, Timestamp::UNIX_EPOCH), own);
    }
}
