//! The product from outside: the `krab` binary and stock kubectl, nothing of our own in between.
//!
//! | module | needs |
//! |---|---|
//! | [`command_line`] | nothing |
//! | [`control_plane`] | kubectl (`KUBECTL`, or kubectl on the path) |
//! | [`node`] | root and the surroundings that `hack/arena` makes; runs with `RUN_SLOW_TESTS=1`, as `./hack/test` does |
//!
//! A test that lacks what it needs says so and fails; [`node`] is only built into the run when it is asked for by name.

#![allow(clippy::disallowed_methods, reason = "tests wait for processes")]

mod cluster;
mod command_line;
mod control_plane;
mod node;
