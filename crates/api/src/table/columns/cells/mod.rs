//! Cells that need a function, by area. Each takes the object and gives the cell.

mod admission;
mod autoscaling;
mod cluster;
mod events;
mod networking;
mod nodes;
mod storage;
mod workloads;

pub(super) use admission::*;
pub(super) use autoscaling::*;
pub(super) use cluster::*;
pub(super) use events::*;
pub(super) use networking::*;
pub(super) use nodes::*;
pub(super) use storage::*;
pub(super) use workloads::*;

use super::super::Context;
use super::super::cell::*;
use json::Value;
