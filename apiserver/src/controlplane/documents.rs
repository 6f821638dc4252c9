//! `/openid/v1/jwks` and `/.well-known/openid-configuration`, made anew when the keys change.

use arc_swap::ArcSwapOption;
use bytes::Bytes;

use crate::authentication::service_account::{Discovery, VerifyingKeys};

/// See the module header.
#[derive(Debug)]
pub(super) struct Documents {
    issuer: String,
    jwks_uri: String,
    current: ArcSwapOption<Discovery>,
}

impl Documents {
    pub(super) fn new(issuer: String, jwks_uri: String, keys: &VerifyingKeys) -> Documents {
        let documents = Documents { issuer, jwks_uri, current: ArcSwapOption::empty() };
        documents.publish(keys);
        documents
    }

    /// Shows these keys from now on.
    pub(super) fn publish(&self, keys: &VerifyingKeys) {
        self.current.store(Discovery::new(&self.issuer, &self.jwks_uri, keys).map(Into::into));
    }

    /// The document at `path` with its content type.
    pub(super) fn at(&self, path: &str) -> Option<(Bytes, &'static str)> {
        self.current.load().as_ref()?.document(path)
    }
}
