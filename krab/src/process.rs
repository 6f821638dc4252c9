//! What every command that stays has: logging, threads, signals, and parts that run until shutdown.

use std::sync::{Arc, Weak};

use anyhow::{Context, Result};
use component::Shutdown;
use component::flags::{Flag, FlagSet};
use tokio::task::JoinHandle;

/// Krab's own logging flags; those of upstream's programs are in [`crate::components`].
pub(crate) const FLAGS: &[Flag] = &[
    Flag::text("log-format", "text", "text or json"),
    Flag::text("v", "1", "log verbosity: 1 warnings, 2 information, 4 debug, 6 trace"),
    Flag::switch("help", "this text"),
];

/// Runs `main` until it ends; a signal cancels the shutdown it is given.
pub(crate) fn run(flags: &FlagSet, main: impl AsyncFnOnce(&Shutdown) -> Result<()>) -> Result<()> {
    let format = flags.optional("log-format").or(flags.optional("logging-format")).unwrap_or("text");
    component::logging::init(format.parse().map_err(anyhow::Error::msg)?, flags.parse("v")?);
    for (flag, why) in flags.without_effect() {
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        tracing::warn!("--{flag} has no effect here{why}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start threads")?;
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        crate::signals::listen(&shutdown).context("cannot listen to signals")?;
        let outcome = main(&shutdown).await;
        shutdown.cancel();
        outcome
    })
}

/// The parts of a process. The first that fails ends it.
pub(crate) struct Parts {
    shutdown: Shutdown,
    running: Vec<JoinHandle<Option<()>>>,
    failed: tokio::sync::mpsc::Sender<anyhow::Error>,
    failures: tokio::sync::mpsc::Receiver<anyhow::Error>,
}

impl Parts {
    pub(crate) fn new(shutdown: &Shutdown) -> Self {
        let (failed, failures) = tokio::sync::mpsc::channel(1);
        Self { shutdown: shutdown.clone(), running: Vec::new(), failed, failures }
    }

    /// Starts a part. If it ends with an error, so does the process. What is answered can be upgraded for as long as the
    /// part runs.
    pub(crate) fn start<E>(
        &mut self,
        name: &'static str,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) -> Weak<()>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let failed = self.failed.clone();
        let alive = Arc::new(());
        let running = Arc::downgrade(&alive);
        self.running.push(component::spawn(name, async move {
            let _alive = alive;
            if let Err(error) = part.await {
                // A part that failed before is reason enough.
                let _ = failed.try_send(anyhow::Error::new(error).context(format!("{name} failed")));
            }
        }));
        running
    }

    pub(crate) fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// The failure of a part; waits for as long as there is none.
    pub(crate) async fn failure(&mut self) -> anyhow::Error {
        match self.failures.recv().await {
            Some(error) => error,
            // Never: we hold a sender.
            None => std::future::pending().await,
        }
    }

    /// Waits for all parts to end, after shutdown.
    pub(crate) async fn join(self) {
        for part in self.running {
            // A part that panicked was logged by its supervisor.
            let _ = part.await;
        }
    }

    /// Waits for shutdown or a failure, then for all parts to end.
    pub(crate) async fn run(mut self) -> Result<()> {
        let shutdown = self.shutdown();
        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            failure = self.failure() => Err(failure),
        };
        shutdown.cancel();
        self.join().await;
        outcome
    }
}
