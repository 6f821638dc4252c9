use std::time::SystemTime;

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::authentication::service_account::VerifyingKeys;
use crate::context::Objects;
use crate::pki::{Pki, Request, ServingNames};
use crate::server::tls::{Identities, Parameters};

/// Knows no object.
struct Nothing;

impl Objects for Nothing {
    fn get(&self, _: &str, _: &str, _: &str, _: &str) -> Option<Arc<json::Value>> {
        None
    }

    fn list(&self, _: &str, _: &str, _: &str) -> Vec<Arc<json::Value>> {
        Vec::new()
    }
}

fn pki(folder: &std::path::Path) -> Pki {
    Pki::open(folder, &ServingNames::default(), SystemTime::now()).expect("keys")
}

fn live(credentials: &Credentials) -> Live {
    let keys = || credentials.service_accounts.verifying_keys().expect("keys");
    let identities: Identities = credentials.identities().expect("a serving certificate");
    Live {
        tls: Tls::new(Parameters::default(), identities).expect("TLS"),
        authenticator: Arc::new(Union {
            front_proxy: credentials.front_proxy().expect("authorities"),
            certificates: credentials.client_certificates().expect("authorities"),
            ..Union::default()
        }),
        accounts: Arc::new(ServiceAccountTokens::new(Vec::new(), Vec::new(), keys(), Arc::new(Nothing))),
        signing: Arc::new(SigningKeys::new(credentials.service_accounts.signing_key().expect("a key"))),
        documents: Arc::new(Documents::new("https://issuer.test".to_owned(), String::new(), &keys())),
        token_file: None,
    }
}

fn knows(live: &Live, pki: &Pki) -> bool {
    let issued = pki.ca.issue(&Request::client("jane", &[]), SystemTime::now()).expect("a certificate");
    let chain = [CertificateDer::from_pem_slice(issued.certificate_pem.as_bytes()).expect("a certificate")];
    let certificates = live.authenticator.certificates.as_ref().expect("authorities");
    certificates.authenticate(&chain, Timestamp::now()).is_ok()
}

#[test]
fn what_changed_is_put_into_effect_and_the_rest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pki(&folder.path().join("old")), pki(&folder.path().join("new")));
    let mut current = Credentials::of(&old, "cluster.local");
    let live = live(&current);
    assert!(knows(&live, &old) && !knows(&live, &new));
    let shown = live.documents.at("/openid/v1/jwks").unwrap();

    let changed = Credentials::of(&new, "cluster.local");
    let serving = current.serving.clone();
    live.apply(&mut current, Credentials { serving, ..changed.clone() });
    assert!(!knows(&live, &old) && knows(&live, &new), "who was trusted is trusted no more");
    assert_ne!(live.documents.at("/openid/v1/jwks").unwrap(), shown);
    assert_eq!(current.client_ca, changed.client_ca);
    let published = VerifyingKeys::from_pems(new.service_account_public_keys.iter().map(String::as_str)).unwrap();
    assert_eq!(live.signing.id(), published.ids()[0], "tokens are signed with the key that is published");
}

#[test]
fn what_does_not_fit_is_left_until_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pki(&folder.path().join("old")), pki(&folder.path().join("new")));
    let mut current = Credentials::of(&old, "cluster.local");
    let live = live(&current);
    let mut half = current.clone();
    half.serving.certificate_pem.clone_from(&new.apiserver.certificate_pem);
    live.apply(&mut current, half);
    assert_eq!(current.serving, old.apiserver, "a certificate without its key");
    let damaged = Credentials { client_ca: Some("no certificate".to_owned()), ..current.clone() };
    live.apply(&mut current, damaged);
    assert!(knows(&live, &old));
    let whole = Credentials { serving: new.apiserver.clone(), ..current.clone() };
    live.apply(&mut current, whole);
    assert_eq!(current.serving, new.apiserver);
}
