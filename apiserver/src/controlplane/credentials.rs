//! What an API server proves itself with, and whom it believes: PEM texts, wherever they come from.
//!
//! `krab server` takes all of it from its own [`Pki`]; `krab apiserver` from the files its flags name.

use std::path::PathBuf;

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Error;
use crate::authentication;
use crate::authentication::front_proxy::FrontProxy;
use crate::authentication::service_account::{SigningKey, VerifyingKeys, public_keys};
use crate::authentication::x509::ClientCertificates;
use crate::pki::{Issued, Pki};
use crate::server::tls::{Identities, KeyPair, Named};
use crate::streaming::Kubelets;
use crate::webhook::Identity;

/// See the module header.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// `--tls-cert-file`, `--tls-private-key-file`
    pub serving: Issued,
    /// `--tls-sni-cert-key`
    pub named: Vec<NamedCertificate>,
    /// `--client-ca-file`
    pub client_ca: Option<String>,
    /// `--requestheader-*`
    pub request_header: Option<RequestHeader>,
    /// `--kubelet-client-certificate`, `--kubelet-client-key`
    pub kubelet_client: Option<Issued>,
    /// `--kubelet-certificate-authority`
    pub kubelet_ca: Option<String>,
    /// `--proxy-client-cert-file`, `--proxy-client-key-file`: what extension API servers are shown.
    pub proxy_client: Option<Issued>,
    /// `--service-account-*`
    pub service_accounts: ServiceAccounts,
    /// `--token-auth-file`
    pub token_auth_file: Option<PathBuf>,
}

/// A serving certificate for names of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedCertificate {
    /// None are those in the certificate.
    pub names: Vec<String>,
    /// The certificate and its key.
    pub pair: Issued,
}

/// A front proxy that may speak for others, and the headers it does it in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// `--requestheader-client-ca-file`
    pub client_ca: String,
    /// `--requestheader-allowed-names`; empty allows every name.
    pub allowed_names: Vec<String>,
    /// `--requestheader-username-headers`
    pub username_headers: Vec<String>,
    /// `--requestheader-uid-headers`
    pub uid_headers: Vec<String>,
    /// `--requestheader-group-headers`
    pub group_headers: Vec<String>,
    /// `--requestheader-extra-headers-prefix`
    pub extra_prefixes: Vec<String>,
}

impl RequestHeader {
    /// The headers kubeadm configures.
    pub fn usual(client_ca: String, allowed_names: Vec<String>) -> RequestHeader {
        let one = |name: &str| vec![name.to_owned()];
        RequestHeader {
            client_ca,
            allowed_names,
            username_headers: one("X-Remote-User"),
            uid_headers: one("X-Remote-Uid"),
            group_headers: one("X-Remote-Group"),
            extra_prefixes: one("X-Remote-Extra-"),
        }
    }
}

/// Keys and names of service-account tokens.
#[derive(Clone, Debug)]
pub struct ServiceAccounts {
    /// `--service-account-signing-key-file`: PEM of the private key.
    pub signing_key: String,
    /// `--service-account-key-file`: PEM of keys, public, private or in certificates, that verify tokens.
    pub verifying_keys: Vec<String>,
    /// `--service-account-issuer`; the first one issues.
    pub issuers: Vec<String>,
    /// `--api-audiences`; empty is the issuers.
    pub audiences: Vec<String>,
    /// `--service-account-jwks-uri`
    pub jwks_uri: Option<String>,
    /// `--service-account-extend-token-expiration`
    pub extend_expiration: bool,
    /// `--service-account-max-token-expiration`, in seconds; 0 is no bound.
    pub max_expiration_seconds: i64,
}

impl ServiceAccounts {
    /// With upstream's defaults for all but the keys.
    pub fn new(signing_key: String, verifying_keys: Vec<String>, issuers: Vec<String>) -> ServiceAccounts {
        ServiceAccounts {
            signing_key,
            verifying_keys,
            issuers,
            audiences: Vec::new(),
            jwks_uri: None,
            extend_expiration: true,
            max_expiration_seconds: 0,
        }
    }

    /// What a token is for when nothing else is asked for.
    pub(super) fn audiences(&self) -> &[String] {
        if self.audiences.is_empty() { &self.issuers } else { &self.audiences }
    }

    pub(super) fn signing_key(&self) -> Result<SigningKey, authentication::Error> {
        SigningKey::from_pem(&self.signing_key)
    }

    pub(super) fn verifying_keys(&self) -> Result<VerifyingKeys, authentication::Error> {
        let keys: Vec<String> =
            self.verifying_keys.iter().map(|pem| public_keys(pem)).collect::<Result<Vec<_>, _>>()?.concat();
        VerifyingKeys::from_pems(keys.iter().map(String::as_str))
    }
}

impl Credentials {
    /// The cluster's own.
    pub fn of(pki: &Pki, cluster_domain: &str) -> Credentials {
        let ca = pki.ca.certificate_pem().to_owned();
        let issuer = format!("https://kubernetes.default.svc.{cluster_domain}");
        Credentials {
            serving: pki.apiserver.clone(),
            named: Vec::new(),
            client_ca: Some(ca.clone()),
            request_header: Some(RequestHeader::usual(
                pki.front_proxy_ca.certificate_pem().to_owned(),
                vec![FRONT_PROXY.to_owned()],
            )),
            kubelet_client: Some(pki.apiserver_kubelet_client.clone()),
            kubelet_ca: Some(ca),
            proxy_client: Some(pki.front_proxy_client.clone()),
            service_accounts: ServiceAccounts::new(
                pki.service_account_key.clone(),
                pki.service_account_public_keys.clone(),
                vec![issuer],
            ),
            token_auth_file: None,
        }
    }

    /// What the listener proves itself with.
    pub(super) fn identities(&self) -> Result<Identities, Error> {
        let named = self.named.iter().map(|own| Ok(Named { names: own.names.clone(), pair: key_pair(&own.pair)? }));
        Ok(Identities {
            serving: key_pair(&self.serving)?,
            named: named.collect::<Result<_, Error>>()?,
            client_authorities: roots(self.client_ca.as_deref().unwrap_or_default())?.subjects(),
        })
    }

    pub(super) fn client_certificates(&self) -> Result<Option<ClientCertificates>, authentication::Error> {
        self.client_ca.as_deref().map(ClientCertificates::new).transpose()
    }

    pub(super) fn front_proxy(&self) -> Result<Option<FrontProxy>, authentication::Error> {
        let Some(settings) = &self.request_header else { return Ok(None) };
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Some(FrontProxy {
            certificates: ClientCertificates::new(&settings.client_ca)?,
            allowed_names: settings.allowed_names.clone(),
            username_headers: lower(&settings.username_headers),
            uid_headers: lower(&settings.uid_headers),
            group_headers: lower(&settings.group_headers),
            extra_prefixes: lower(&settings.extra_prefixes),
        }))
    }

    /// What extension API servers are shown.
    pub(super) fn proxy_client(&self) -> Result<Option<Identity>, Error> {
        let Some(client) = &self.proxy_client else { return Ok(None) };
        let (chain, key) = identity(client)?;
        Ok(Some(Identity { chain, key }))
    }

    /// How kubelets are reached; without a client certificate they are not.
    pub(super) fn kubelets(&self) -> Result<Kubelets, Error> {
        let Some(client) = &self.kubelet_client else { return Ok(Kubelets::default()) };
        let (chain, key) = identity(client)?;
        let authorities = self.kubelet_ca.as_deref().map(roots).transpose()?;
        Kubelets::with_client_certificate(chain, key, authorities).map_err(Error::Kubelets)
    }
}

/// The one name that may speak for others as a front proxy in a cluster of our own making.
const FRONT_PROXY: &str = "front-proxy-client";

fn key_pair(issued: &Issued) -> Result<KeyPair, Error> {
    let (chain, key) = identity(issued)?;
    Ok(KeyPair { chain, key })
}

/// A certificate chain, leaf first, and its key.
fn identity(issued: &Issued) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = CertificateDer::pem_slice_iter(issued.certificate_pem.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes())?))
}

fn roots(pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate?).map_err(Error::Kubelets)?;
    }
    Ok(roots)
}
