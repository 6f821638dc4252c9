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
        anonymous: Anonymous::everywhere(anonymous),
        ..Union::default()
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

/// Somebody else who is asked about tokens: knows `theirs`, and cannot say of others.
#[derive(Debug)]
struct Elsewhere(&'static str);

impl tokens::RemoteTokens for Elsewhere {
    fn authenticate_token<'a>(
        &'a self,
        token: &'a str,
        _audiences: &'a [String],
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Option<tokens::TokenUser>, Error>> {
        let user = tokens::TokenUser { user: UserInfo::new(self.0, &[]), audiences: Vec::new() };
        let answer = if token == "theirs" { Ok(Some(user)) } else { Err(Error::Token(format!("{} is down", self.0))) };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn others_are_asked_in_order_and_all_of_their_refusals_are_told() {
    let audiences = vec!["us".to_owned()];
    let remote: Vec<Arc<dyn tokens::RemoteTokens>> = vec![Arc::new(Elsewhere("jane")), Arc::new(Elsewhere("joe"))];
    let union = Union { remote, audiences: audiences.clone(), ..Union::default() };
    let ask = async |token: &str, audience: &str| {
        let found = union.by_token(token, &[audience.to_owned()], Timestamp::now()).await;
        found.map(|found| found.map(|found| found.user.name)).map_err(|error| error.to_string())
    };
    assert_eq!(ask("theirs", "us").await, Ok(Some("jane".to_owned())));
    assert_eq!(ask("theirs", "them").await, Err("invalid bearer token".to_owned()));
    assert_eq!(ask("other", "us").await, Err("[invalid bearer token, jane is down, joe is down]".to_owned()));
}

#[tokio::test]
async fn anonymous_users_come_to_the_paths_that_are_named() {
    let anonymous = Anonymous { enabled: true, paths: vec!["/livez".to_owned()] };
    let union = Union { anonymous, ..Union::default() };
    let ask = async |path: &str| {
        let (parts, ()) = http::Request::builder().uri(path).body(()).unwrap().into_parts();
        union.authenticate(&parts, &Arc::from([])).await.unwrap().map(|user| user.name)
    };
    assert_eq!(ask("/livez?verbose").await.as_deref(), Some(ANONYMOUS));
    assert_eq!(ask("/livez/ping").await, None);
    assert_eq!(ask("/api").await, None);
}
