//! Identity asserted by headers of a trusted front proxy, which proves itself with a certificate of the request-header authority.
//! Upstream: authentication/request/headerrequest.

use std::collections::BTreeMap;

use http::HeaderMap;
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use rustls_pki_types::CertificateDer;

use super::x509::ClientCertificates;
use super::{Error, UserInfo};

/// The `--requestheader-*` options; names of headers are in lower case.
#[derive(Debug)]
pub struct FrontProxy {
    /// `--requestheader-client-ca-file`
    pub certificates: ClientCertificates,
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

impl FrontProxy {
    /// `Ok(None)` unless there is a user header.
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        chain: &[CertificateDer<'static>],
        now: Timestamp,
    ) -> Result<Option<UserInfo>, Error> {
        let first = |names: &[String]| {
            names
                .iter()
                .find_map(|name| headers.get(name)?.to_str().ok().filter(|value| !value.is_empty()).map(str::to_owned))
        };
        let Some(name) = first(&self.username_headers) else { return Ok(None) };
        // Without a proxy's certificate the headers are just what some client wrote.
        let Ok(Some(proxy)) = self.certificates.authenticate(chain, now) else { return Ok(None) };
        if !self.allowed_names.is_empty() && !self.allowed_names.contains(&proxy.name) {
            return Err(Error::Certificate(format!("subject with cn={} is not in the allowed list", proxy.name)));
        }
        let groups =
            self.group_headers.iter().flat_map(|name| headers.get_all(name)).filter_map(|value| value.to_str().ok());
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (header, value) in headers {
            let key = self.extra_prefixes.iter().find_map(|prefix| header.as_str().strip_prefix(prefix.as_str()));
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
                extra.entry(key).or_default().push(value.to_owned());
            }
        }
        Ok(Some(UserInfo {
            name,
            uid: first(&self.uid_headers).unwrap_or_default(),
            groups: groups.map(str::to_owned).collect(),
            extra,
        }))
    }
}
