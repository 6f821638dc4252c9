//! What every component shares to be a process: supervised tasks, logging, metrics, time, flags, configuration files, TLS verifiers.
//!
//! Main types: [`Shutdown`], [`spawn`], [`flags::FlagSet`], [`metrics::Registry`], [`Clock`].
//! Never here: anything that knows the API, the store or the network.
//! Upstream counterpart: `k8s.io/component-base`.

pub mod clock;
pub mod config_file;
pub mod duration;
pub mod file_watch;
pub mod flags;
pub mod logging;
pub mod memory;
pub mod metrics;
mod tasks;
pub mod tls;

pub use clock::{Clock, ManualClock, SystemClock};
pub use tasks::{Shutdown, spawn, spawn_until};
