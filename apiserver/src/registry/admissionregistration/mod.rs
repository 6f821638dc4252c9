//! The group admissionregistration.k8s.io. Upstream: pkg/apis/admissionregistration/validation.

mod matching;
pub mod policy;
pub mod policy_binding;
pub mod webhook_configuration;
