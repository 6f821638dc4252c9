//! TLS of the listener: rustls on ring, certificates that can be swapped while serving, client certificates taken but not judged.
//!
//! A client certificate is asked for and its possession of the key is proven here; whether its chain is to be trusted is the
//! authenticator's business, because upstream answers a bad certificate with 401 and not with a broken handshake.
//! Upstream: k8s.io/apiserver/pkg/server/dynamiccertificates.

use std::sync::Arc;

use arc_swap::ArcSwap;
use component::tls::Signatures;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme};

/// What went wrong with certificates given to the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key does not fit, or is of an unknown kind.
    #[error("the serving certificate cannot be used: {0}")]
    Certificate(#[source] rustls::Error),
    /// The protocol versions could not be set up.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[source] rustls::Error),
}

/// The certificate being served; [`ServingCertificate::swap`] replaces it for new connections.
pub struct ServingCertificate {
    current: ArcSwap<CertifiedKey>,
    provider: Arc<CryptoProvider>,
}

impl ServingCertificate {
    /// From a chain (leaf first) and its key.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Arc<ServingCertificate>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(Error::Certificate)?;
        Ok(Arc::new(ServingCertificate { current: ArcSwap::from_pointee(certified), provider }))
    }

    /// Serves another certificate from the next handshake on.
    pub fn swap(&self, chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), Error> {
        let certified = CertifiedKey::from_der(chain, key, &self.provider).map_err(Error::Certificate)?;
        self.current.store(Arc::new(certified));
        Ok(())
    }

    /// The TLS configuration of a listener. `client_ca_names` are the CA names told to clients as a hint (DER).
    pub fn server_config(self: &Arc<Self>, client_ca_names: Vec<DistinguishedName>) -> Result<ServerConfig, Error> {
        let verifier = Unjudged { signatures: Signatures::new(Arc::clone(&self.provider)), names: client_ca_names };
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(Error::Setup)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(Resolver(Arc::clone(self))));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl std::fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServingCertificate")
    }
}

#[derive(Debug)]
struct Resolver(Arc<ServingCertificate>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

/// Accepts any client chain; proves that the client holds the leaf's key.
#[derive(Debug)]
struct Unjudged {
    signatures: Signatures,
    names: Vec<DistinguishedName>,
}

impl ClientCertVerifier for Unjudged {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
