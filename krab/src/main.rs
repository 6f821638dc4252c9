//! `krab`: Kubernetes in one binary. The first word, or the name it is called by, says which part runs.

mod agent;
mod certs;
mod commands;
mod components;
mod files;
mod health;
mod migrate;
mod node;
mod process;
mod server;
mod signals;
mod storage;
mod store;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    let program = arguments.next().unwrap_or_default();
    commands::run(&program, arguments.collect())
}
