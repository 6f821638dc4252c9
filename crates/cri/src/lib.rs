//! Client of the Container Runtime Interface, v1: what the kubelet asks of containerd or CRI-O, and nothing else.
//!
//! [`Client`] speaks RuntimeService and ImageService over one unix socket; it connects when first used and again after the runtime
//! was restarted, so a call fails with [`Error::Unavailable`] and the caller tries again.
//! [`containerd`] does the one thing CRI has no call for, importing an image that is built in.
//! [`fake`] is a runtime in memory behind the same client, for tests.
//!
//! Never here: any knowledge of pods. Upstream counterpart: `k8s.io/cri-client`.

mod client;
pub mod containerd;
mod error;
pub mod fake;

/// The messages of CRI v1.
pub use k8s_cri::v1 as api;

pub use client::{Client, Events};
pub use error::Error;
