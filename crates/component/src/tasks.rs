//! Supervised tasks: a panic in one request, pod worker or controller ends that task only, and is logged with its name.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::task::JoinHandle;

/// Tells a component to stop. Cancelled once, at SIGTERM or when a test ends; clones and children share it.
pub type Shutdown = tokio_util::sync::CancellationToken;

/// Runs `future` as a task of its own. The handle yields `None` when the future panicked (the panic is logged).
///
/// The one place that may call the bare `tokio::spawn`.
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<Option<F::Output>>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(async move {
        match AssertUnwindSafe(future).catch_unwind().await {
            Ok(output) => Some(output),
            Err(panic) => {
                tracing::error!(task = name, panic = panic_text(panic.as_ref()), "task panicked");
                None
            }
        }
    })
}

/// As [`spawn`], and drops the future as soon as `shutdown` is cancelled: for loops that hold nothing worth finishing.
pub fn spawn_until<F>(name: &'static str, shutdown: &Shutdown, future: F) -> JoinHandle<Option<()>>
where
    F: Future<Output = ()> + Send + 'static,
{
    let shutdown = shutdown.clone();
    spawn(name, async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = future => {}
        }
    })
}

/// The text of a panic's payload, as the default hook would print it.
fn panic_text(panic: &(dyn Any + Send)) -> &str {
    if let Some(text) = panic.downcast_ref::<&str>() {
        text
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text
    } else {
        "no message"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_its_own_task_only() {
        let failed = spawn("fails", async { panic!("on purpose") });
        let other = spawn("works", async { 7 });
        assert_eq!(failed.await.unwrap(), None::<()>);
        assert_eq!(other.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn spawn_until_drops_the_future_at_shutdown() {
        let shutdown = Shutdown::new();
        let task = spawn_until("waits", &shutdown, std::future::pending());
        shutdown.cancel();
        assert_eq!(task.await.unwrap(), Some(()));
    }
}
