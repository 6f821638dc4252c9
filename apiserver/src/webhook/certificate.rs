//! Whom the API server believes when it calls out: the certificates of a `caBundle`, or those of the system.
//!
//! As in Go, a certificate that is itself in the bundle is trusted, authority or not: people put self-signed ones there. Names
//! are looked for among the subject alternative names only. Refusals are in Go's words.
//! Upstream: crypto/x509.Certificate.Verify, client-go/transport.TLSConfigFor.

use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use component::tls::{self, AnyCertificate};
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, OtherError, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, Pem, X509Certificate};

use super::{BadBundle, Error};

/// Whose certificates are accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Trust<'a> {
    /// Those of this PEM bundle.
    Bundle(&'a [u8]),
    /// The system's.
    System,
    /// Any: `insecureSkipTLSVerify`.
    Anyone,
}

/// What is shown when we are asked for a certificate.
#[derive(Debug)]
pub struct Identity {
    /// Leaf first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// The system's authorities, read once.
static SYSTEM: LazyLock<Vec<CertificateDer<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
    }
    found.certs
});

/// TLS towards one server.
pub(crate) fn client_config(trust: Trust<'_>, identity: Option<&Identity>) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match trust {
        Trust::Anyone => AnyCertificate::verifier(Arc::clone(&provider)),
        Trust::System => tls::Verifier::new(Authorities::new(SYSTEM.clone(), &provider)?, Arc::clone(&provider)),
        Trust::Bundle(pem) => {
            tls::Verifier::new(Authorities::new(authorities(pem)?, &provider)?, Arc::clone(&provider))
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// The certificates of a bundle; what else is there is passed over, as Go does.
pub(super) fn authorities(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, BadBundle> {
    let all: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
    let sound = |certificate: &&CertificateDer<'_>| X509Certificate::from_der(certificate).is_ok();
    let authorities: Vec<CertificateDer<'static>> = all.iter().filter(sound).cloned().collect();
    match (authorities.is_empty(), all.is_empty()) {
        (false, _) => Ok(authorities),
        (true, false) => Err(BadBundle::Malformed),
        (true, true) if Pem::iter_from_buffer(pem).any(|block| block.is_ok()) => Err(BadBundle::NoAuthority),
        (true, true) => Err(BadBundle::NotPem),
    }
}

/// Trusts what its roots signed, and its roots.
#[derive(Debug)]
struct Authorities {
    roots: Vec<CertificateDer<'static>>,
    /// None when there are no roots at all: then nobody is trusted.
    chains: Option<Arc<WebPkiServerVerifier>>,
}

impl Authorities {
    fn new(roots: Vec<CertificateDer<'static>>, provider: &Arc<CryptoProvider>) -> Result<Authorities, Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let chains = if store.is_empty() {
            None
        } else {
            let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
            Some(builder.build().map_err(|error| rustls::Error::General(error.to_string()))?)
        };
        Ok(Authorities { roots, chains })
    }
}

impl tls::Trust for Authorities {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let (_, leaf) = X509Certificate::from_der(end_entity)
            .map_err(|error| refused(&format!("malformed certificate: {error}")))?;
        in_its_time(&leaf, now)?;
        let parsed = ParsedCertificate::try_from(end_entity).map_err(|error| refused(&error.to_string()))?;
        rustls::client::verify_server_name(&parsed, name).map_err(|_| refused(&wrong_name(&leaf, name)))?;
        if self.roots.contains(end_entity) {
            return Ok(());
        }
        let unknown = || refused("certificate signed by unknown authority");
        let chains = self.chains.as_ref().ok_or_else(unknown)?;
        chains.verify_server_cert(end_entity, intermediates, name, ocsp, now).map(|_| ()).map_err(|error| match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                unknown()
            }
            rustls::Error::InvalidCertificate(CertificateError::InvalidPurpose) => {
                refused("certificate specifies an incompatible key usage")
            }
            // The authority's own certificate is shown, and is not the one that is trusted.
            rustls::Error::InvalidCertificate(CertificateError::Other(_)) => unknown(),
            other => refused(&other.to_string()),
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("tls: failed to verify certificate: x509: {0}")]
struct Refused(String);

fn refused(why: &str) -> rustls::Error {
    rustls::Error::Other(OtherError(Arc::new(Refused(why.to_owned()))))
}

fn in_its_time(leaf: &X509Certificate<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let shown = |second: i64| Timestamp::from_second(second).map(api::meta::time::format).unwrap_or_default();
    let validity = leaf.validity();
    let (from, to) = (validity.not_before.timestamp(), validity.not_after.timestamp());
    let which = if now < from {
        format!("{} is before {}", shown(now), shown(from))
    } else if now > to {
        format!("{} is after {}", shown(now), shown(to))
    } else {
        return Ok(());
    };
    Err(refused(&format!("certificate has expired or is not yet valid: current time {which}")))
}

/// Why a certificate is not that of `name`. Upstream: x509.HostnameError.
fn wrong_name(leaf: &X509Certificate<'_>, name: &ServerName<'_>) -> String {
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    let names = || alternatives.iter().flat_map(|extension| &extension.value.general_names);
    let wanted = name.to_str();
    if matches!(name, ServerName::IpAddress(_)) {
        let addresses: Vec<String> = names().filter_map(address).map(|address| address.to_string()).collect();
        if addresses.is_empty() {
            return format!("cannot validate certificate for {wanted} because it doesn't contain any IP SANs");
        }
        return format!("certificate is valid for {}, not {wanted}", addresses.join(", "));
    }
    let dns: Vec<&str> =
        names().filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None }).collect();
    if alternatives.is_none() && leaf.subject().iter_common_name().next().is_some() {
        return "certificate relies on legacy Common Name field, use SANs instead".to_owned();
    }
    if dns.is_empty() {
        return format!("certificate is not valid for any names, but wanted to match {wanted}");
    }
    format!("certificate is valid for {}, not {wanted}", dns.join(", "))
}

fn address(name: &GeneralName<'_>) -> Option<IpAddr> {
    let GeneralName::IPAddress(bytes) = name else { return None };
    let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()
}
