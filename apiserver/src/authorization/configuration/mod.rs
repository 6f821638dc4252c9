//! Which authorizers there are, in the order they are asked: what `--authorization-mode` and its companions say, or the file
//! of `--authorization-config`.
//! Upstream: k8s.io/apiserver/pkg/apis/apiserver.AuthorizationConfiguration.

mod file;
#[cfg(test)]
mod tests;
mod validation;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Unreadable;

/// See the module header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    pub authorizers: Vec<Configured>,
    /// `--authorization-policy-file`
    pub policy_file: Option<PathBuf>,
    /// `--authorization-config`, where it is from: the file is followed.
    pub source: Option<Source>,
}

/// A configuration file, and what it said when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: PathBuf,
    pub text: String,
}

/// Why a file is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// It is something else.
    #[error("failed to load AuthorizationConfiguration from file: {0}")]
    Malformed(String),
    /// It asks for what cannot be.
    #[error("{0}")]
    Invalid(String),
}

/// One authorizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configured {
    /// What reasons and metrics call it.
    pub name: String,
    pub mode: Mode,
}

/// What an authorizer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    AlwaysAllow,
    AlwaysDeny,
    Abac,
    Webhook(Box<WebhookSettings>),
    Rbac,
    Node,
}

/// Whom a webhook authorizer asks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// The file that says where the webhook is.
    pub kubeconfig: PathBuf,
    /// `v1` or `v1beta1`, of the review that is sent.
    pub version: ReviewVersion,
    /// How long a yes is remembered; zero is not at all.
    pub authorized_ttl: Duration,
    /// How long anything else is.
    pub unauthorized_ttl: Duration,
    /// How long one answer may take.
    pub timeout: Duration,
    /// Nobody else is asked when the webhook cannot be.
    pub fails_closed: bool,
    /// It is asked only where all of these expressions hold.
    pub match_conditions: Vec<String>,
}

/// Version of a SubjectAccessReview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewVersion {
    V1,
    V1Beta1,
}

impl ReviewVersion {
    /// `v1` or `v1beta1`.
    pub fn parse(text: &str) -> Option<ReviewVersion> {
        [ReviewVersion::V1, ReviewVersion::V1Beta1].into_iter().find(|version| version.as_str() == text)
    }

    /// As it stands behind the group.
    pub fn as_str(self) -> &'static str {
        match self {
            ReviewVersion::V1 => "v1",
            ReviewVersion::V1Beta1 => "v1beta1",
        }
    }
}

impl Mode {
    /// Upstream's name of it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Mode::AlwaysAllow => "AlwaysAllow",
            Mode::AlwaysDeny => "AlwaysDeny",
            Mode::Abac => "ABAC",
            Mode::Webhook(_) => "Webhook",
            Mode::Rbac => "RBAC",
            Mode::Node => "Node",
        }
    }

    /// An authorizer that is told nothing more, by its name.
    pub fn plain(name: &str) -> Option<Mode> {
        let all = [Mode::AlwaysAllow, Mode::AlwaysDeny, Mode::Abac, Mode::Rbac, Mode::Node];
        all.into_iter().find(|mode| mode.as_str() == name)
    }

    /// The authorizer under the name that flags give it.
    pub fn named(self) -> Configured {
        let name = match &self {
            Mode::Webhook(_) => "default".to_owned(),
            other => other.as_str().to_lowercase(),
        };
        Configured { name, mode: self }
    }
}

impl Configuration {
    /// These, in this order.
    pub fn of(modes: impl IntoIterator<Item = Mode>) -> Configuration {
        Configuration { authorizers: modes.into_iter().map(Mode::named).collect(), ..Configuration::default() }
    }

    /// What a file says.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(path: &Path) -> Result<Configuration, Error> {
        let text = super::text_of(path)?;
        let authorizers = parse(&text, &[])?;
        let source = Some(Source { path: path.to_owned(), text });
        Ok(Configuration { authorizers, source, policy_file: None })
    }

    /// Is everybody allowed everything?
    pub fn always_allows(&self) -> bool {
        self.authorizers.iter().any(|own| own.mode == Mode::AlwaysAllow)
    }
}

/// The authorizers of a file's text, which must have those of the `required` types among them.
///
/// # Errors
/// See [`Error`].
pub(super) fn parse(text: &str, required: &[&str]) -> Result<Vec<Configured>, Error> {
    let authorizers = file::read(text).map_err(|why| Error::Malformed(why.to_string()))?;
    validation::checked(&authorizers, required).map_err(Error::Invalid)
}
