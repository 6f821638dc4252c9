//! The two documents by which others verify our tokens: `/.well-known/openid-configuration` and `/openid/v1/jwks`.
//! Upstream: pkg/serviceaccount/openidmetadata.go, pkg/routes/openidmetadata.go.

use bytes::Bytes;
use json::json;

use super::VerifyingKeys;

/// Path of the provider metadata, served as `application/json`.
pub(super) const CONFIGURATION_PATH: &str = "/.well-known/openid-configuration";

/// Both documents, made once.
#[derive(Debug, Clone)]
pub struct Discovery {
    pub configuration: Bytes,
    pub jwks: Bytes,
}

impl Discovery {
    /// Path of the key set, served as [`Discovery::JWKS_CONTENT_TYPE`].
    pub const JWKS_PATH: &'static str = "/openid/v1/jwks";
    pub const JWKS_CONTENT_TYPE: &'static str = "application/jwk-set+json";
    /// Of both.
    pub const CACHE_CONTROL: &'static str = "public, max-age=3600";

    /// `jwks_uri` is where the keys are found from outside. None where the issuer is no https URL: upstream then serves
    /// neither document.
    pub fn new(issuer: &str, jwks_uri: &str, keys: &VerifyingKeys) -> Option<Discovery> {
        let uri: http::Uri = issuer.parse().ok()?;
        if uri.scheme_str() != Some("https") || uri.query().is_some() || issuer.contains('#') {
            return None;
        }
        let (jwks, algorithms) = keys.jwks();
        let configuration = json!({
            "issuer": issuer,
            "jwks_uri": jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        });
        Some(Discovery { configuration: configuration.to_string().into(), jwks: jwks.to_string().into() })
    }

    /// The document at `path` with its content type.
    pub fn document(&self, path: &str) -> Option<(Bytes, &'static str)> {
        match path {
            CONFIGURATION_PATH => Some((self.configuration.clone(), "application/json")),
            Self::JWKS_PATH => Some((self.jwks.clone(), Self::JWKS_CONTENT_TYPE)),
            _ => None,
        }
    }
}
