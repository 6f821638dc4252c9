//! The house's own checks: `cargo run -p xtask -- tidy`. Upstream counterpart: `hack/verify-*.sh`.

#![allow(clippy::print_stdout, reason = "a command that reports on standard output")]

mod tidy;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => {
            let complaints = tidy::check(&std::env::current_dir()?)?;
            for complaint in &complaints {
                println!("tidy: {complaint}");
            }
            println!("tidy: {} complaints", complaints.len());
            Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        _ => anyhow::bail!("usage: cargo run -p xtask -- tidy"),
    }
}
