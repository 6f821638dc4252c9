//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use component::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// Cancels `shutdown` at the first signal.
pub(crate) fn listen(shutdown: &Shutdown) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = shutdown.clone();
    component::spawn("signals", async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        #[allow(clippy::exit, reason = "a second signal means: now")]
        std::process::exit(1);
    });
    Ok(())
}
