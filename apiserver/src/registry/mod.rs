//! Resources: one generic engine (`store.rs`), small strategies, one list that joins them.
//! Upstream: k8s.io/apiserver/pkg/registry/{generic,rest} and k8s.io/kubernetes/pkg/registry.

pub mod admissionregistration;
pub(crate) mod allocator;
pub mod apiregistration;
pub mod apps;
pub mod autoscaling;
pub mod batch;
pub mod bootstrap;
pub mod certificates;
pub mod codec;
pub mod component_status;
pub mod computed;
pub mod conversion;
pub mod coordination;
pub mod core;
mod decoded;
pub mod discovery;
pub mod dynamic_resources;
pub mod encode;
pub mod fields;
pub mod flowcontrol;
mod internal;
pub mod list;
pub(crate) mod managed_fields;
pub mod metadata;
pub mod name;
pub mod networking;
pub mod node;
pub mod policy;
pub(crate) mod protobuf;
pub mod rbac;
pub mod resource;
pub mod rules;
pub mod scheduling;
pub mod selection;
pub mod storage;
pub mod storagemigration;
pub mod store;
pub mod strategy;
mod terms;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
pub(crate) mod tests;
pub mod validation;
