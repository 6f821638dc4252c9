//! Names of kinds and resources, and the metadata of objects held as JSON.
//!
//! [`GroupVersionKind`] and its siblings print as upstream's do; [`object`]'s functions read and write `metadata` of a
//! `json::Value` without decoding it; [`time`] writes and reads the API's timestamps. Nothing here validates.
//!
//! Upstream: k8s.io/apimachinery/pkg/runtime/schema and pkg/apis/meta/v1.

mod kinds;
mod object;
pub mod time;

pub use kinds::{
    GroupKind, GroupResource, GroupVersion, GroupVersionKind, GroupVersionResource, ParseGroupVersionError,
};
pub use object::*;

#[cfg(test)]
mod tests;
