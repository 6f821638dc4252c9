use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustls_pki_types::pem::PemObject;

use super::x509::ClientCertificates;
use super::*;
use crate::pki::{Pki, Request, ServingNames};

fn pki() -> Pki {
    let dir = tempfile::tempdir().unwrap();
    Pki::open(dir.path(), &ServingNames::default(), SystemTime::now()).unwrap()
}

fn chain(pem: &str) -> PeerCertificates {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_certificate_of_ours_names_the_user_and_its_groups() {
    let pki = pki();
    let certificates = ClientCertificates::new(pki.ca.certificate_pem()).unwrap();
    for _ in 0..2 {
        let user = certificates.authenticate(&chain(&pki.admin.certificate_pem), Timestamp::now()).unwrap().unwrap();
        assert_eq!(user.name, "kubernetes-admin");
        assert_eq!(user.groups, ["system:masters"]);
        assert!(user.extra[CREDENTIAL_ID][0].starts_with("X509SHA256="));
    }
}

#[tokio::test]
async fn foreign_expired_and_serving_certificates_are_refused() {
    let (ours, theirs) = (pki(), pki());
    let certificates = ClientCertificates::new(ours.ca.certificate_pem()).unwrap();
    let now = Timestamp::now();
    assert!(certificates.authenticate(&chain(&theirs.admin.certificate_pem), now).is_err());
    assert!(certificates.authenticate(&chain(&ours.apiserver.certificate_pem), now).is_err());
    let old = SystemTime::now() - Duration::from_secs(800 * 24 * 3600);
    let expired = ours.ca.issue(&Request::client("late", &[]), old).unwrap();
    assert!(certificates.authenticate(&chain(&expired.certificate_pem), now).is_err());
    // Known while it was good, refused once it is not.
    let user = |now| certificates.authenticate(&chain(&ours.admin.certificate_pem), now);
    assert!(user(now).is_ok());
    assert!(user(now + jiff::SignedDuration::from_hours(24 * 400)).is_err());
}

fn union(pki: &Pki, anonymous: bool) -> Union {
    Union {
        front_proxy: None,
        certificates: Some(ClientCertificates::new(pki.ca.certificate_pem()).unwrap()),
        tokens: Vec::new(),
        audiences: Vec::new(),
        anonymous,
    }
}

#[tokio::test]
async fn no_credentials_are_anonymous_and_bad_ones_are_401() {
    let pki = pki();
    let parts = |token: Option<&str>| {
        let mut request = http::Request::builder().uri("/api");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(()).unwrap().into_parts().0
    };
    let none: PeerCertificates = Arc::from([]);
    let admin = chain(&pki.admin.certificate_pem);
    let union_of = |anonymous| union(&pki, anonymous);
    assert_eq!(union_of(true).authenticate(&parts(None), &none).await.unwrap().unwrap().name, ANONYMOUS);
    assert_eq!(union_of(false).authenticate(&parts(None), &none).await.unwrap(), None);
    let refusal = union_of(true).authenticate(&parts(Some("nonsense")), &none).await.unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (401, "Unauthorized"));
    // A certificate is enough, whatever the token.
    let user = union_of(true).authenticate(&parts(Some("nonsense")), &admin).await.unwrap().unwrap();
    assert_eq!(user.groups, ["system:masters", "system:authenticated"]);
}
