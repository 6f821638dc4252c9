//! The product from outside: the `krab` binary and stock kubectl, nothing of our own in between.
//!
//! | module | needs |
//! |---|---|
//! | [`command_line`] | nothing |
//! | [`apiserver`], [`control_plane`] | kubectl (`KUBECTL`, or kubectl on the path) |
//! | [`etcd`] | kubectl, and etcd (`ETCD`, or etcd on the path) |
//! | `node` | root and the surroundings that `hack/arena` makes; built with the feature `node-tests`, as `./hack/test` does |
//!
//! A test that lacks what it needs says so and fails.

#![allow(clippy::disallowed_methods, reason = "tests wait for processes")]

mod apiserver;
mod cluster;
mod command_line;
mod control_plane;
mod etcd;
#[cfg(feature = "node-tests")]
mod node;
