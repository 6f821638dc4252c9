//! An etcd that shows a certificate and wants one.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::testing::{WIDE, put, show, soon};

/// An authority and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("keys can be made");
        Authority(CertifiedIssuer::self_signed(params, key).expect("an authority signs itself"))
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A certificate for this machine, and its key.
    fn sign(&self) -> (Vec<u8>, Vec<u8>) {
        let key = KeyPair::generate().expect("keys can be made");
        let params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("that is an address");
        let certificate = params.signed_by(&key, &self.0).expect("the authority signs");
        (certificate.pem().into_bytes(), key.serialize_pem().into_bytes())
    }

    /// The flags of an etcd that has a certificate of this authority, and serves who has one.
    fn flags(&self, folder: &Path) -> Vec<String> {
        let (certificate, key) = self.sign();
        let file = |flag: &str, pem: &[u8]| {
            let path = folder.join(flag);
            std::fs::write(&path, pem).expect("the folder is the test's own");
            format!("--{flag}={}", path.display())
        };
        let client = "--client-cert-auth".to_owned();
        vec![file("cert-file", &certificate), file("key-file", &key), file("trusted-ca-file", &self.pem()), client]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_behind_tls_are_used_and_one_may_be_lost() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let mut servers = Server::cluster_with(&authority.flags(folder.path()));
    let endpoints: Vec<String> = servers.iter().map(|server| server.url.clone()).collect();
    assert!(endpoints.iter().all(|url| url.starts_with("https://")), "{endpoints:?}");
    let tls = Tls { ca: Some(authority.pem()), identity: Some(authority.sign()) };
    let store = open(Config { endpoints, tls, window: WIDE, ..servers[0].config() }).unwrap();
    put(&store, "/r/a", "1").await;
    drop(servers.remove(0));
    // While the others elect it may be refused; that it was not written is then known.
    let expected = soon(async {
        loop {
            match store.commit(Txn::create("/r/b", "2", None)).await {
                Ok(_) => break,
                Err(error) if error.kind == ErrorKind::KeyExists => break,
                Err(error) => assert!(matches!(error.kind, ErrorKind::Unreachable | ErrorKind::Timeout), "{error}"),
            }
        }
        soon(store.consistent()).await.unwrap()
    });
    assert_eq!(show(&expected.await, ""), ["/r/a=1@1", "/r/b=2@2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_proven_is_said_in_one_sentence() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let servers = Server::cluster_with(&authority.flags(folder.path()));
    let (ca, identity) = (Some(authority.pem()), Some(authority.sign()));
    let refusal = async |tls: Tls| {
        let config = Config { tls, ..servers[0].config() };
        let members = Members::new(&config).await.unwrap();
        let member = members.current();
        // A member that hangs up may be heard of as a broken pipe, before the reason it gave.
        let refused = async {
            loop {
                let error = member.position().await.unwrap_err();
                if members::is_failed_handshake(&error) {
                    break error.to_string();
                }
            }
        };
        soon(Box::pin(refused)).await
    };
    let begin = format!("the store at {} cannot be used: ", servers[0].url);
    for (tls, reason) in [
        (Tls { ca: Some(Authority::new().pem()), identity: identity.clone() }, "is --etcd-cafile the authority"),
        (Tls { ca: ca.clone(), identity: None }, "give --etcd-certfile and --etcd-keyfile"),
        (
            Tls { ca: ca.clone(), identity: Some(Authority::new().sign()) },
            "does it trust the authority of --etcd-certfile?",
        ),
    ] {
        let said = Box::pin(refusal(tls)).await;
        assert!(said.starts_with(&begin) && said.contains(reason) && !said.contains('\n'), "{said}");
    }
}
