//! Client certificates: the subject's common name is the user, its organisations are the groups.
//!
//! The TLS handshake only proves that the client has the certificate's key (`server::tls`); whether one of our
//! authorities made it, and whether it is in its time, is decided here, for each request, so that a bad certificate is
//! answered with 401 and not with a broken connection, and one that expires stops working on an open connection too.
//! Verified chains are remembered by the leaf's hash until they expire.
//! Upstream: k8s.io/apiserver/pkg/authentication/request/x509.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use component::metrics::Histogram;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};
use sha2::{Digest, Sha256};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{CREDENTIAL_ID, Error, Metrics, UserInfo};

/// Verified leaves kept; when full, all are forgotten, which only costs verifying them again.
const REMEMBERED: usize = 1024;

/// The authorities of a `--client-ca-file`.
pub struct ClientCertificates {
    trusted: ArcSwap<Trusted>,
    /// How long those that are shown still last.
    lifetimes: Option<Histogram>,
}

/// Authorities, and whom they made known so far.
struct Trusted {
    verifier: Arc<dyn ClientCertVerifier>,
    verified: Mutex<HashMap<[u8; 32], Arc<Verified>>>,
}

struct Verified {
    user: Option<UserInfo>,
    /// Seconds since the epoch.
    valid: std::ops::RangeInclusive<i64>,
}

impl ClientCertificates {
    /// Trusts the certificates in a PEM bundle.
    pub fn new(authorities_pem: &str) -> Result<ClientCertificates, Error> {
        Ok(ClientCertificates { trusted: ArcSwap::from_pointee(Trusted::new(authorities_pem)?), lifetimes: None })
    }

    /// The same; what is shown is counted.
    #[must_use]
    pub(crate) fn counted(self, metrics: &Metrics) -> ClientCertificates {
        ClientCertificates { lifetimes: Some(metrics.lifetimes.clone()), ..self }
    }

    /// Trusts those of another bundle from now on, and no others.
    pub fn trust(&self, authorities_pem: &str) -> Result<(), Error> {
        self.trusted.store(Arc::new(Trusted::new(authorities_pem)?));
        Ok(())
    }

    /// The user of a chain (leaf first). `Ok(None)` for no chain, or a certificate without a common name.
    pub fn authenticate(&self, chain: &[CertificateDer<'static>], now: Timestamp) -> Result<Option<UserInfo>, Error> {
        let Some((leaf, intermediates)) = chain.split_first() else { return Ok(None) };
        let found = self.trusted.load().authenticate(leaf, intermediates, now);
        if let Some(lifetimes) = &self.lifetimes {
            // Also of one that is refused: it may be for having ended.
            let end = found.as_ref().map_or_else(|_| end_of(leaf), |known| Some(*known.valid.end()));
            end.into_iter().for_each(|end| lifetimes.observe((end - now.as_second()) as f64));
        }
        found.map(|known| known.user.clone())
    }
}

impl Trusted {
    fn new(authorities_pem: &str) -> Result<Trusted, Error> {
        let roots = Arc::new(roots(authorities_pem)?);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|error| Error::Authorities(error.to_string()))?;
        Ok(Trusted { verifier, verified: Mutex::default() })
    }

    fn authenticate(
        &self,
        leaf: &CertificateDer<'static>,
        intermediates: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<Arc<Verified>, Error> {
        let hash: [u8; 32] = Sha256::digest(leaf).into();
        let known = self.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some(known) = known
            && known.valid.contains(&now.as_second())
        {
            return Ok(known);
        }
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now.as_second().max(0).unsigned_abs()));
        self.verifier
            .verify_client_cert(leaf, intermediates, time)
            .map_err(|error| Error::Certificate(error.to_string()))?;
        let verified = Arc::new(read_subject(leaf, &hash)?);
        let mut remembered = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        // Only leaves that our roots signed directly: an intermediate may end before its leaf does.
        if intermediates.is_empty() {
            if remembered.len() >= REMEMBERED {
                remembered.clear();
            }
            remembered.insert(hash, verified.clone());
        }
        Ok(verified)
    }
}

impl std::fmt::Debug for ClientCertificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificates").finish_non_exhaustive()
    }
}

fn read_subject(leaf: &CertificateDer<'_>, hash: &[u8; 32]) -> Result<Verified, Error> {
    let (_, certificate) = X509Certificate::from_der(leaf).map_err(|error| Error::Certificate(error.to_string()))?;
    let text =
        |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| attribute.as_str().unwrap_or_default().to_owned();
    // The last common name, as Go's pkix.Name keeps it.
    let name = certificate.subject().iter_common_name().last().map(text).unwrap_or_default();
    let user = (!name.is_empty()).then(|| UserInfo {
        name,
        uid: String::new(),
        groups: certificate.subject().iter_organization().map(text).collect(),
        extra: BTreeMap::from([(CREDENTIAL_ID.to_owned(), vec![format!("X509SHA256={}", HEXLOWER.encode(hash))])]),
    });
    let validity = certificate.validity();
    Ok(Verified { user, valid: validity.not_before.timestamp()..=validity.not_after.timestamp() })
}

/// When a certificate ends, in seconds since the epoch, if it is one.
fn end_of(leaf: &CertificateDer<'_>) -> Option<i64> {
    Some(X509Certificate::from_der(leaf).ok()?.1.validity().not_after.timestamp())
}

fn roots(authorities_pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authorities_pem.as_bytes()) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|der| roots.add(der).map_err(|error| error.to_string()));
        added.map_err(Error::Authorities)?;
    }
    Ok(roots)
}
