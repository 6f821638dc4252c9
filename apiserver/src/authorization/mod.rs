//! May they: decides on the [`Attributes`] of a request. Synchronous, from snapshots of the store; no I/O.
//! Upstream: k8s.io/apiserver/pkg/authorization/authorizer.

pub mod node;
pub mod rbac;
pub mod reviews;
mod union;

pub use union::{Authorization, denied};

use crate::authentication::UserInfo;

/// All an authorizer may look at.
#[derive(Debug, Clone, Default)]
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

/// The answer, with the reason where there is one ("" otherwise).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed.
    Allow,
    /// Refused; no other authorizer is asked.
    Deny(String),
    /// Not allowed by this authorizer; another may.
    NoOpinion(String),
}

/// Decides. Called on every request: must cost microseconds.
pub trait Authorizer: Send + Sync {
    /// Upstream: authorizer.Authorizer.Authorize.
    fn authorize(&self, attributes: &Attributes) -> Decision;

    /// Why it decides as it does, for the audit log: found out apart, since most requests are not asked for it.
    fn reason(&self, attributes: &Attributes) -> String {
        match self.authorize(attributes) {
            Decision::Allow => String::new(),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => reason,
        }
    }
}

/// A decision with its reason, as access reviews report it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Review {
    pub allowed: bool,
    /// Refused for good, not merely left to others.
    pub denied: bool,
    pub reason: String,
}

impl Attributes {
    /// Is this a read (get, list, watch)?
    pub fn is_read_only(&self) -> bool {
        matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}
