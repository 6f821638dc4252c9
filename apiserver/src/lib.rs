//! The API server: every resource of the schema table served through one engine on `store::Store`.
//!
//! A request walks listener -> TLS -> panic guard -> [`filters`] (request info, deadline, authentication, impersonation,
//! authorization) -> [`endpoints`] (one file a verb) -> [`registry`] (decode, admission, defaults, validation, commit) -> bytes.
//! The TLS listener and the in-process `kube::Client` call the same service.
//!
//! Never here: knowledge of a store backend, of another component, or a handler written for one kind. What one kind means
//! is a [`registry::strategy::Strategy`], one file a resource.
//! Upstream: k8s.io/apiserver and k8s.io/kubernetes/pkg/{controlplane,registry}.

pub mod admission;
pub(crate) mod aggregator;
pub mod apiextensions;
pub mod audit;
pub mod authentication;
pub mod authorization;
mod configuration_file;
pub mod context;
pub mod controlplane;
pub mod discovery;
pub mod endpoints;
pub mod filters;
mod flowcontrol;
pub mod openapi;
pub mod pki;
pub mod registry;
pub mod server;
pub mod streaming;
pub mod webhook;

pub use controlplane::{ControlPlane, Options};
pub use registry::codec::{restore, transform};
pub use registry::store::Engine;
pub use server::{ApiServer, Config};
