//! The group admissionregistration.k8s.io. Upstream: pkg/apis/admissionregistration/validation.

mod matching;
pub mod policy;
pub mod policy_binding;
mod rights;
mod static_names;
pub mod webhook_configuration;
