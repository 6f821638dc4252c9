//! `--tls-min-version`, `--tls-cipher-suites` and `--tls-curve-preferences`, in upstream's names for what rustls has.
//!
//! rustls has no version before 1.2 and no suite without forward secrecy and authenticated encryption. Asking for nothing but
//! such is refused; asking for such beside others gets the others, and a warning.
//! Upstream: component-base/cli/flag.{TLSVersion,TLSCipherSuites}.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::server::ResolvesServerCert;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedCipherSuite, SupportedProtocolVersion};

/// Why settings are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Neither krab nor upstream knows the version.
    #[error("unknown tls version {0:?}")]
    Version(String),
    /// Neither krab nor upstream knows the suite.
    #[error("Cipher suite {0} not supported or doesn't exist")]
    Suite(String),
    /// Only weak suites are left.
    #[error(
        "none of the suites in --tls-cipher-suites is strong enough for krab: add one with ECDHE and GCM or CHACHA20_POLY1305"
    )]
    OnlyWeak,
    /// Upstream may know the group; rustls does not.
    #[error("none of the groups in --tls-curve-preferences is known here: add 29 (X25519), 23 (P-256) or 24 (P-384)")]
    NoGroup,
    /// Not a number.
    #[error("--tls-curve-preferences: {0:?} is not the number of a group")]
    Group(String),
}

/// See the module header.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub(super) provider: Arc<CryptoProvider>,
    versions: &'static [&'static SupportedProtocolVersion],
    http2: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Parameters { provider, versions: FROM_12, http2: true }
    }
}

const FROM_12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const FROM_13: &[&SupportedProtocolVersion] = &[&TLS13];

/// Suites under Go's names, old ones included. Those of version 1.3 cannot be chosen, as in Go: they are always on.
const SUITES: &[(&str, Option<SupportedCipherSuite>)] = &[
    ("TLS_AES_128_GCM_SHA256", Some(cipher_suite::TLS13_AES_128_GCM_SHA256)),
    ("TLS_AES_256_GCM_SHA384", Some(cipher_suite::TLS13_AES_256_GCM_SHA384)),
    ("TLS_CHACHA20_POLY1305_SHA256", Some(cipher_suite::TLS13_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Some(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Some(cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", Some(cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256)),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        Some(cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Some(cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Some(cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", Some(cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Some(cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", None),
    ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", None),
    ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_128_CBC_SHA256", None),
    ("TLS_RSA_WITH_AES_128_GCM_SHA256", None),
    ("TLS_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_RSA_WITH_AES_256_GCM_SHA384", None),
    ("TLS_RSA_WITH_RC4_128_SHA", None),
];

/// Groups by their number (IANA's, as Go has them).
const GROUPS: [(u16, &'static dyn SupportedKxGroup); 3] =
    [(29, kx_group::X25519), (23, kx_group::SECP256R1), (24, kx_group::SECP384R1)];

impl Parameters {
    /// Of the flags' values; empty ones are the defaults.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn new(min_version: &str, suites: &[&str], curves: &[&str], http2: bool) -> Result<Parameters, Error> {
        let versions = match min_version {
            "VersionTLS13" => FROM_13,
            "" | "VersionTLS12" => FROM_12,
            "VersionTLS10" | "VersionTLS11" => {
                tracing::warn!("--tls-min-version={min_version}: krab begins with VersionTLS12");
                FROM_12
            }
            _ => return Err(Error::Version(min_version.to_owned())),
        };
        let mut provider = rustls::crypto::ring::default_provider();
        if !suites.is_empty() {
            let chosen = chosen_suites(suites)?;
            provider.cipher_suites.retain(|suite| suite.tls13().is_some() || chosen.contains(suite));
        }
        if !curves.is_empty() {
            provider.kx_groups = chosen_groups(curves)?;
        }
        Ok(Parameters { provider: Arc::new(provider), versions, http2 })
    }

    pub(super) fn server_config(
        &self,
        clients: Arc<dyn ClientCertVerifier>,
        certificates: Arc<dyn ResolvesServerCert>,
    ) -> Result<ServerConfig, super::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(self.versions)
            .map_err(super::Error::Setup)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        if self.http2 {
            config.alpn_protocols.insert(0, b"h2".to_vec());
        }
        Ok(config)
    }
}

fn chosen_suites(names: &[&str]) -> Result<Vec<SupportedCipherSuite>, Error> {
    let mut chosen = Vec::new();
    for name in names {
        match SUITES.iter().find(|(own, _)| own == name) {
            None => return Err(Error::Suite((*name).to_owned())),
            Some((_, Some(suite))) => chosen.push(*suite),
            Some((_, None)) => tracing::warn!("--tls-cipher-suites: {name} is too weak and left out"),
        }
    }
    if chosen.is_empty() { Err(Error::OnlyWeak) } else { Ok(chosen) }
}

fn chosen_groups(numbers: &[&str]) -> Result<Vec<&'static dyn SupportedKxGroup>, Error> {
    let mut wanted = Vec::new();
    for text in numbers {
        let number: u16 = text.parse().map_err(|_| Error::Group((*text).to_owned()))?;
        if !GROUPS.iter().any(|(own, _)| *own == number) {
            tracing::warn!("--tls-curve-preferences: group {number} is not known here and left out");
        }
        wanted.push(number);
    }
    let chosen: Vec<_> = GROUPS.iter().filter(|(own, _)| wanted.contains(own)).map(|(_, group)| *group).collect();
    if chosen.is_empty() { Err(Error::NoGroup) } else { Ok(chosen) }
}
