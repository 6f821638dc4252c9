//! The group admissionregistration.k8s.io. Upstream: pkg/apis/admissionregistration/validation.

pub mod webhook_configuration;
