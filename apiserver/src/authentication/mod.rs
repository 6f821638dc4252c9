//! Who is asking: turns a connection's certificates and a request's headers into a [`UserInfo`].
//!
//! The filter chain calls one [`Authenticator`]; how several are united (client certificate, front proxy, tokens of a file, of
//! service accounts, for bootstrapping, of OpenID Connect issuers or known to a webhook, and anonymous) is this folder's business.
//! Upstream: k8s.io/apiserver/pkg/authentication.

mod flights;
pub mod front_proxy;
pub mod metrics;
pub mod oidc;
mod remembered;
pub mod reviews;
pub mod service_account;
#[cfg(test)]
mod tests;
pub mod token_webhook;
pub mod tokens;
mod union;
pub mod x509;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use api::status::Status;
use futures::future::BoxFuture;
use rustls_pki_types::CertificateDer;

pub use metrics::Metrics;
pub use remembered::Remembered;
pub use union::{Anonymous, Union};

/// Key of `extra` that names the credential used.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// Group of every authenticated user.
pub const ALL_AUTHENTICATED: &str = "system:authenticated";
/// Group of everyone who is not.
pub const ALL_UNAUTHENTICATED: &str = "system:unauthenticated";
/// Group that bypasses authorization.
pub const SYSTEM_PRIVILEGED_GROUP: &str = "system:masters";
/// Name of the anonymous user.
pub const ANONYMOUS: &str = "system:anonymous";

/// An authenticated identity. Upstream: user.Info.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInfo {
    /// Unique name among active users.
    pub name: String,
    /// Unique over time, or "".
    pub uid: String,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// What the authenticator adds, e.g. `authentication.kubernetes.io/credential-id`.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl UserInfo {
    /// A user of these groups; `system:authenticated` is added.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> UserInfo {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_string()).collect();
        if !groups.iter().any(|group| group == ALL_AUTHENTICATED) {
            groups.push(ALL_AUTHENTICATED.to_string());
        }
        UserInfo { name: name.into(), groups, ..UserInfo::default() }
    }

    /// The user of a request nobody vouched for.
    pub fn anonymous() -> UserInfo {
        UserInfo { name: ANONYMOUS.to_string(), groups: vec![ALL_UNAUTHENTICATED.to_string()], ..UserInfo::default() }
    }

    /// Member of `group`?
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|own| own == group)
    }
}

/// Why credentials are refused, or a source of them cannot be used. The client is told `Unauthorized` and no more.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The client's chain.
    #[error("verifying certificate failed: {0}")]
    Certificate(String),
    /// A bearer token.
    #[error("{0}")]
    Token(String),
    /// A bundle of authorities we were given.
    #[error("not a usable bundle of certificate authorities: {0}")]
    Authorities(String),
    /// A key for service-account tokens.
    #[error("not a usable service account key: {0}")]
    Key(String),
    /// `--authentication-token-webhook-config-file`
    #[error("the authentication token webhook cannot be used: {0}")]
    Webhook(String),
    /// `--authentication-config` or `--oidc-*`
    #[error("{0}")]
    Configuration(#[from] oidc::ConfigurationError),
    /// `--token-auth-file`
    #[error("token file {path}: {reason}", path = path.display())]
    TokenFile { path: PathBuf, reason: String },
}

/// The client's certificate chain as it came in the TLS handshake: NOT verified there, leaf first, empty when none was sent.
/// The authenticator verifies it (so that a bad certificate is a 401, as upstream).
pub type PeerCertificates = Arc<[CertificateDer<'static>]>;

/// One way, or the union of all ways, to know a user.
pub trait Authenticator: Send + Sync {
    /// `Ok(None)`: no credentials of this kind here. `Err`: credentials were given and are bad (401).
    fn authenticate<'a>(
        &'a self,
        parts: &'a http::request::Parts,
        peer_certificates: &'a PeerCertificates,
    ) -> BoxFuture<'a, Result<Option<UserInfo>, Status>>;
}
