//! TLS towards peers whose certificate nobody vouches for, and the half of a verifier that all verifiers share.
//!
//! No socket is opened here and no trust decided: [`AnyCertificate`] is for the places where upstream, too, takes the peer at its
//! word (probes, proxied pods and services, `insecureSkipTLSVerify`).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

/// Checks that the peer holds the key of the certificate it shows, and nothing else: for verifiers that take any certificate.
#[derive(Debug, Clone)]
pub struct Signatures(Arc<CryptoProvider>);

impl Signatures {
    /// With the algorithms of a provider.
    pub fn new(provider: Arc<CryptoProvider>) -> Signatures {
        Signatures(provider)
    }

    /// See `verify_tls12_signature` of rustls's verifiers.
    pub fn verify_tls12(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    /// See `verify_tls13_signature` of rustls's verifiers.
    pub fn verify_tls13(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    /// What can be verified.
    pub fn schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Whose certificate is accepted: the part in which verifiers of servers differ.
pub trait Trust: std::fmt::Debug + Send + Sync {
    /// Judges a chain shown under `name`; that its owner holds the key is proven elsewhere.
    ///
    /// # Errors
    /// It is not trusted; the connection ends with this error.
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error>;
}

/// A verifier of servers that trusts as it is told to.
#[derive(Debug)]
pub struct Verifier<T> {
    trust: T,
    signatures: Signatures,
}

impl<T: Trust + 'static> Verifier<T> {
    /// To be handed to a configuration built with the same provider.
    pub fn new(trust: T, provider: Arc<CryptoProvider>) -> Arc<Verifier<T>> {
        Arc::new(Verifier { trust, signatures: Signatures::new(provider) })
    }
}

/// Accepts any server: the connection is private, the peer is taken at its word.
#[derive(Debug)]
pub struct AnyCertificate;

impl AnyCertificate {
    /// The verifier, to be handed to a configuration built with the same provider.
    pub fn verifier(provider: Arc<CryptoProvider>) -> Arc<dyn ServerCertVerifier> {
        Verifier::new(AnyCertificate, provider)
    }

    /// A client configuration without a certificate of its own that accepts any server.
    pub fn client_config() -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("ring has the default TLS versions")
            .dangerous()
            .with_custom_certificate_verifier(AnyCertificate::verifier(provider))
            .with_no_client_auth()
    }
}

impl Trust for AnyCertificate {
    fn judge(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<(), rustls::Error> {
        Ok(())
    }
}

impl<T: Trust> ServerCertVerifier for Verifier<T> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.trust.judge(end_entity, intermediates, name, ocsp, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.verify_tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}
