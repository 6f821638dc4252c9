//! Resources: one generic engine (`store.rs`), small strategies, one list that joins them.
//! Upstream: k8s.io/apiserver/pkg/registry/{generic,rest} and k8s.io/kubernetes/pkg/registry.

pub mod bootstrap;
pub mod computed;
pub mod conversion;
pub mod encode;
pub mod fields;
pub mod list;
pub mod metadata;
pub mod name;
pub mod resource;
pub mod selection;
pub mod store;
pub mod strategy;
#[cfg(test)]
pub(crate) mod testing;
