//! The Kubernetes API as data: one table of facts and the engines that read it.
//!
//! Objects are `json::Value`s here; no handler, codec or merge rule is written per kind.
//! This crate does no I/O, starts no task and never names a component. Upstream: apimachinery, and the generated
//! parts of `k8s.io/api`.

pub mod cbor;
pub mod decode;
pub mod default;
pub mod duration;
pub mod field;
pub mod go_text;
pub mod int_or_string;
pub mod managed_fields;
pub mod meta;
pub mod names;
pub mod openapi;
pub mod patch;
pub mod pattern;
pub mod protobuf;
pub mod quantity;
pub mod schema;
pub mod scheme;
pub mod selector;
pub mod status;
pub mod structural;
pub mod table;
