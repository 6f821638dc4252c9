//! What happens to every request before its endpoint, one file a filter, in this order. Each is a plain function that
//! returns what it found or the `Status` that ends the request; `server::service` calls them.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters and DefaultBuildHandlerChain.

pub(crate) mod audit_id;
pub(crate) mod authorization;
pub mod cors;
pub(crate) mod deadline;
pub(crate) mod impersonation;
pub(crate) mod last_request;
pub mod priority_and_fairness;
pub mod request_info;
pub(crate) mod warnings;
