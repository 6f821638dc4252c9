//! Resources: one generic engine (`store.rs`), small strategies, one list that joins them.
//! Upstream: k8s.io/apiserver/pkg/registry/{generic,rest} and k8s.io/kubernetes/pkg/registry.

pub mod bootstrap;
pub mod fields;
pub mod list;
pub mod strategy;
#[cfg(test)]
pub(crate) mod testing;
