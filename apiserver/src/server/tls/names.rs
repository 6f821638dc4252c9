//! Certificates by the name a client asks for: that name, then a star in place of its first label, then the default one.
//! Upstream: dynamiccertificates.BuildNamedCertificates, crypto/tls.Config.getCertificate.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// See the module header.
#[derive(Debug)]
pub(super) struct ByName {
    default: Arc<CertifiedKey>,
    names: HashMap<String, Arc<CertifiedKey>>,
}

impl ByName {
    /// Names are in lower case.
    pub(super) fn new(default: Arc<CertifiedKey>, names: HashMap<String, Arc<CertifiedKey>>) -> Arc<ByName> {
        Arc::new(ByName { default, names })
    }

    fn find(&self, asked: Option<&str>) -> &Arc<CertifiedKey> {
        let Some(asked) = asked.filter(|_| !self.names.is_empty()) else { return &self.default };
        let asked = asked.to_ascii_lowercase();
        let by_star = || self.names.get(&format!("*.{}", asked.split_once('.')?.1));
        self.names.get(&asked).or_else(by_star).unwrap_or(&self.default)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.find(hello.server_name())))
    }
}

/// The names a certificate is for: its common name where that is one of DNS, and its alternative ones. Addresses are not
/// taken from it: nobody can ask for one by name.
pub(super) fn names_of(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let Some(Ok((_, leaf))) = chain.first().map(|leaf| X509Certificate::from_der(leaf)) else { return Vec::new() };
    let common = leaf.subject().iter_common_name().last().and_then(|name| name.as_str().ok());
    let is_dns = |name: &&str| {
        let rest = name.strip_prefix("*.").unwrap_or(name);
        name.parse::<IpAddr>().is_err() && (*name == "*" || api::names::is_dns1123_subdomain(rest).is_empty())
    };
    let mut names: Vec<String> = common.filter(is_dns).map(str::to_owned).into_iter().collect();
    let alternatives = leaf.subject_alternative_name().ok().flatten();
    names.extend(alternatives.iter().flat_map(|extension| &extension.value.general_names).filter_map(
        |name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        },
    ));
    names
}
