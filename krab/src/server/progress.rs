//! What the user sees while the cluster starts: each step with its time, then what to type next. Plain text on standard
//! output; logs go to standard error.

#![allow(clippy::print_stdout, reason = "this is the command's answer to its user")]

use std::path::Path;
use std::time::Instant;

/// The steps so far.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    last: Instant,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        Self { started: now, last: now }
    }

    /// A step is done; it took the time since the one before.
    pub(crate) fn step(&mut self, what: &str) {
        let now = Instant::now();
        println!("✓ {what} ({})", seconds(now - self.last));
        self.last = now;
    }

    /// A step that is being waited for.
    pub(crate) fn waiting(&self, what: &str) {
        println!("… {what}");
    }

    /// Everything is there.
    pub(crate) fn ready(&self, what: &str, kubeconfig: &Path, merged: bool) {
        println!("{what} in {}", seconds(self.started.elapsed()));
        println!();
        if merged {
            println!("Next:  kubectl --context krab get nodes");
        } else {
            println!("Next:  export KUBECONFIG={}", kubeconfig.display());
            println!("       kubectl get nodes");
        }
        println!("Stop:  Ctrl-C (running containers stay; the next start adopts them)");
    }
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
