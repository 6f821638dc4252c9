//! Which issuers of ID tokens are believed, and what their claims say about a user: as the file of `--authentication-config` has
//! it. The `--oidc-*` flags say the same of one issuer.
//!
//! Here is only what can be written; whether it makes sense is the business of [`super::validation`].
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver.AuthenticationConfiguration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::authentication::Anonymous;
use crate::configuration_file;
use crate::configuration_file::shape::{Struct, Type};
use crate::webhook::review::Malformed;

/// Why issuers cannot be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The file is none.
    #[error("failed to load authentication configuration from file {file:?}: {why}")]
    File { file: PathBuf, why: String },
    /// It says what cannot be.
    #[error("invalid authentication configuration: {0}")]
    Invalid(String),
    /// It asks for connections that are not made here.
    #[error("oidc: egress lookup required with egress selector type {0:?}")]
    Egress(String),
    /// `--oidc-signing-algs`
    #[error("oidc: unsupported signing alg: {0:?}")]
    Algorithm(String),
    /// TLS towards an issuer.
    #[error("oidc: {0}")]
    Tls(String),
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    /// `jwt`
    pub issuers: Vec<Settings>,
    /// Who may come without a name, where the file says so.
    pub anonymous: Option<Anonymous>,
}

#[derive(Deserialize)]
struct Text {
    #[serde(default)]
    jwt: Vec<Settings>,
    anonymous: Option<AnonymousText>,
}

#[derive(Deserialize)]
struct AnonymousText {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    conditions: Vec<Condition>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(default)]
    path: String,
}

/// One issuer. Upstream: JWTAuthenticator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    pub issuer: Issuer,
    /// What must hold of claims.
    pub claim_validation_rules: Vec<ClaimRule>,
    /// What claims say about the user.
    pub claim_mappings: Mappings,
    /// What must hold of the user.
    pub user_validation_rules: Vec<UserRule>,
}

/// Who issues tokens, and for whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Issuer {
    /// The claim `iss`.
    pub url: String,
    /// Where its configuration is, if not below `url`.
    #[serde(rename = "discoveryURL")]
    pub discovery_url: String,
    /// PEM of whom its certificate is from; empty for the system's authorities.
    pub certificate_authority: String,
    /// A token must be for one of these.
    pub audiences: Vec<String>,
    /// `MatchAny`
    pub audience_match_policy: String,
    /// Not supported: connections are made directly.
    pub egress_selector_type: String,
}

/// A claim of this value, or an expression over claims that must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimRule {
    pub claim: String,
    pub required_value: String,
    pub expression: String,
    /// What is said when it is not true.
    pub message: String,
}

/// An expression over the user that must be true.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UserRule {
    pub expression: String,
    /// What is said when it is not.
    pub message: String,
}

/// From claims to a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Mappings {
    pub username: Source,
    pub groups: Source,
    /// Has no prefix.
    pub uid: Source,
    pub extra: Vec<Extra>,
}

/// A claim, or an expression over claims.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Source {
    pub claim: String,
    /// Set before the claim's value.
    pub prefix: Option<String>,
    pub expression: String,
}

/// A key of the user's `extra`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Extra {
    /// With a domain in front.
    pub key: String,
    /// Gives a text or a list of texts.
    pub value_expression: String,
}

const KIND: &str = "AuthenticationConfiguration";

const FILE: Struct = Struct {
    name: "AuthenticationConfiguration",
    fields: &[
        ("apiVersion", Type::Text),
        ("kind", Type::Text),
        ("jwt", Type::List(&Type::One(&ISSUED))),
        ("anonymous", Type::One(&ANONYMOUS)),
    ],
};
const ANONYMOUS: Struct = Struct {
    name: "AnonymousAuthConfig",
    fields: &[("enabled", Type::Bool), ("conditions", Type::List(&Type::One(&CONDITION)))],
};
const CONDITION: Struct = Struct { name: "AnonymousAuthCondition", fields: &[("path", Type::Text)] };
const ISSUED: Struct = Struct {
    name: "JWTAuthenticator",
    fields: &[
        ("issuer", Type::One(&ISSUER)),
        ("claimValidationRules", Type::List(&Type::One(&CLAIM_RULE))),
        ("claimMappings", Type::One(&MAPPINGS)),
        ("userValidationRules", Type::List(&Type::One(&USER_RULE))),
    ],
};
const ISSUER: Struct = Struct {
    name: "Issuer",
    fields: &[
        ("url", Type::Text),
        ("discoveryURL", Type::Text),
        ("certificateAuthority", Type::Text),
        ("audiences", Type::List(&Type::Text)),
        ("audienceMatchPolicy", Type::Named("AudienceMatchPolicyType")),
        ("egressSelectorType", Type::Named("EgressSelectorType")),
    ],
};
const CLAIM_RULE: Struct = Struct {
    name: "ClaimValidationRule",
    fields: &[
        ("claim", Type::Text),
        ("requiredValue", Type::Text),
        ("expression", Type::Text),
        ("message", Type::Text),
    ],
};
const MAPPINGS: Struct = Struct {
    name: "ClaimMappings",
    fields: &[
        ("username", Type::One(&PREFIXED)),
        ("groups", Type::One(&PREFIXED)),
        ("uid", Type::One(&CLAIM)),
        ("extra", Type::List(&Type::One(&EXTRA))),
    ],
};
const PREFIXED: Struct = Struct {
    name: "PrefixedClaimOrExpression",
    fields: &[("claim", Type::Text), ("prefix", Type::Text), ("expression", Type::Text)],
};
const CLAIM: Struct =
    Struct { name: "ClaimOrExpression", fields: &[("claim", Type::Text), ("expression", Type::Text)] };
const EXTRA: Struct = Struct { name: "ExtraMapping", fields: &[("key", Type::Text), ("valueExpression", Type::Text)] };
const USER_RULE: Struct =
    Struct { name: "UserValidationRule", fields: &[("expression", Type::Text), ("message", Type::Text)] };

impl Configuration {
    /// Reads the file.
    ///
    /// # Errors
    /// [`ConfigurationError::File`], in upstream's words.
    pub fn read(file: &Path) -> Result<(Configuration, String), ConfigurationError> {
        let failed = |why: String| ConfigurationError::File { file: file.to_owned(), why };
        let text = std::fs::read_to_string(file)
            .map_err(|error| failed(format!("open {}: {}", file.display(), error_words(&error))))?;
        Ok((Configuration::parse(&text).map_err(failed)?, text))
    }

    /// Reads its text. Upstream: loadAuthenticationConfigFromData.
    pub(super) fn parse(text: &str) -> Result<Configuration, String> {
        if text.is_empty() {
            return Err("empty config data".to_owned());
        }
        let typed = configuration_file::read(text, KIND, &FILE, |document| {
            let mut document = document.clone();
            configuration_file::drop_nulls(&mut document);
            json::from_value::<Text>(document).map_err(|error| Malformed(format!("json: {error}")))
        });
        let typed = typed.map_err(|why| why.to_string())?;
        let anonymous = typed.anonymous.map(|own| Anonymous {
            enabled: own.enabled,
            paths: own.conditions.into_iter().map(|condition| condition.path).collect(),
        });
        Ok(Configuration { issuers: typed.jwt, anonymous })
    }
}

fn error_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}
