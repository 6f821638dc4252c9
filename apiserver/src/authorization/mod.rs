//! May they: decides on the [`Attributes`] of a request.
//!
//! Most authorizers decide at once, from snapshots of the store or from a file that was read; a webhook has to be waited for.
//! Which it is the [`Answer`] says, so that nobody pays for waiting who does not have to.
//! Upstream: k8s.io/apiserver/pkg/authorization/authorizer.

mod abac;
pub mod configuration;
mod metrics;
pub mod node;
pub mod rbac;
pub(crate) mod reload;
pub mod reviews;
mod union;
mod webhook;

use std::path::{Path, PathBuf};

use futures::future::BoxFuture;

pub use configuration::Configuration;
pub use union::{Authorization, Surroundings};

use crate::authentication::UserInfo;
use crate::webhook::kubeconfig;

/// A file that says who may what, and cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("open {path}: {source}", path = path.display())]
pub struct Unreadable {
    path: PathBuf,
    source: std::io::Error,
}

fn text_of(path: &Path) -> Result<String, Unreadable> {
    std::fs::read_to_string(path).map_err(|source| Unreadable { path: path.to_owned(), source })
}

/// All an authorizer may look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// After impersonation.
    pub user: UserInfo,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `proxy`..., or the lower-case HTTP
    /// method of a non-resource request.
    pub verb: String,
    /// "" for core.
    pub api_group: String,
    /// Version in the URL.
    pub api_version: String,
    /// Plural resource name, "" for non-resource requests.
    pub resource: String,
    /// Subresource or "".
    pub subresource: String,
    /// Namespace or "".
    pub namespace: String,
    /// Object name or "".
    pub name: String,
    /// URL path, for non-resource requests.
    pub path: String,
    /// Is this about a resource?
    pub is_resource_request: bool,
    /// Field selector of list, watch and deletecollection, as given ("" when absent or unparseable).
    pub field_selector: String,
    /// Label selector, likewise.
    pub label_selector: String,
}

/// Which way it is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed.
    Allow,
    /// Refused; no other authorizer is asked.
    Deny,
    /// Not allowed by this authorizer; another may.
    #[default]
    NoOpinion,
}

/// What an authorizer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    pub verdict: Verdict,
    /// Why; "" where there is nothing to say. That of a yes is made where [`Reasons::OfAll`] are wanted.
    pub reason: String,
    /// What went wrong while it was decided.
    pub error: Option<String>,
}

impl Decision {
    /// Yes.
    pub fn allow() -> Decision {
        Decision { verdict: Verdict::Allow, ..Decision::default() }
    }

    /// Neither yes nor no.
    pub fn no_opinion(reason: impl Into<String>) -> Decision {
        Decision { reason: reason.into(), ..Decision::default() }
    }

    /// Is it a yes?
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

/// Which decisions are to come with a reason. Most requests are allowed, and nobody asks why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasons {
    /// Those that are no yes.
    OfRefusals,
    /// All: for audit and access reviews.
    OfAll,
}

/// A decision, or the wait for one.
pub enum Answer<'a> {
    /// Decided.
    Now(Decision),
    /// Somebody else is asked, once this is polled.
    Later(BoxFuture<'a, Decision>),
}

impl std::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Answer::Now(decision) => f.debug_tuple("Now").field(decision).finish(),
            Answer::Later(_) => f.write_str("Later"),
        }
    }
}

impl Answer<'_> {
    /// The decision, waited for if it must be.
    pub async fn decided(self) -> Decision {
        match self {
            Answer::Now(decision) => decision,
            Answer::Later(deciding) => deciding.await,
        }
    }
}

/// Decides. Asked on every request: what it answers at once must cost microseconds.
pub trait Authorizer: Send + Sync {
    /// Upstream: authorizer.Authorizer.Authorize.
    fn authorize<'a>(&'a self, attributes: &'a Attributes, reasons: Reasons) -> Answer<'a>;

    /// Are there questions it does not answer at once?
    fn may_wait(&self) -> bool {
        false
    }
}

/// Why there are no authorizers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of ABAC.
    #[error("{0}")]
    Abac(#[from] abac::Error),
    /// ABAC was not there at the start.
    #[error("authorizer type ABAC is not allowed if it was not enabled at initial server startup")]
    NoPolicyFile,
    /// The matchConditions of a webhook.
    #[error("{0}")]
    Conditions(String),
    /// A webhook's kubeconfig.
    #[error("{0}")]
    Webhook(#[from] kubeconfig::Error),
}

impl Attributes {
    /// Is this a read (get, list, watch)?
    pub fn is_read_only(&self) -> bool {
        matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}
