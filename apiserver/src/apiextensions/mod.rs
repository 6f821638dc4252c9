//! Custom resources: what a CustomResourceDefinition says becomes a resource that is served like any other.
//!
//! [`Definition`] is a definition as it is served: names, versions, and their schemas, compiled when they are first needed.
//! [`CustomResource`] is one version of it: the strategy the generic engine asks, and the way between the stored form and
//! that version. [`controller`] is the one task that follows the definitions in the store: it accepts names, swaps the
//! set of what is served ([`crate::registry::resource::Resources`]), says so in conditions, and deletes the objects of a
//! definition that goes. [`definitions`] is the strategy of the definitions themselves.
//!
//! Custom resources are worked on in the version of the request (built-in ones in the version they are stored in); they
//! come from the store and go there through [`stored`]. Nothing here knows HTTP.
//! Upstream: k8s.io/apiextensions-apiserver.

pub mod controller;
mod convert;
mod custom_resource;
mod definition;
pub mod definitions;
mod embedded;
mod names;
pub mod rules;
pub(crate) mod stored;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod validation;

pub use custom_resource::CustomResource;
pub use definition::{Compiled, Definition, Scale, Version};
