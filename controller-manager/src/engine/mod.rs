//! The engine all controllers share: watch, queue, reconcile, back off.
//!
//! A controller names the informers it watches and maps their changes to keys; workers take keys from a rate-limited
//! queue, so that one key is never worked on twice at a time, and call its `reconcile`, which gathers a snapshot from the
//! caches, makes a pure plan and applies it. The engine catches panics, logs a failure once and queues the key again
//! with back-off. It never polls and it never reads from the API server itself.
//!
//! Upstream: the worker loops of `k8s.io/kubernetes/pkg/controller/*` and client-go's workqueue.

pub mod apply;
pub mod error;
pub mod expectations;
pub mod operation;

use std::fmt::Debug;
use std::future::Future;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use client::{Change, EventRecorder, Informer, Informers, QueueMetrics, WorkQueue};
use component::{Clock, SystemClock};
use futures::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

pub use apply::Applier;
pub use client::Key;
pub use error::Error;
pub use expectations::Expectations;
pub use operation::{Action, DeleteOptions, Event, Operation, PatchKind, Plan, Resource, Write, to_value};

/// What every controller is given.
#[derive(Clone)]
pub struct Context {
    /// The API.
    pub client: kube::Client,
    /// One shared watch per kind.
    pub informers: Informers,
    /// Cancelled when the process ends.
    pub shutdown: CancellationToken,
    /// The settings of the controller manager.
    pub config: Arc<crate::Config>,
    /// What the controllers' queues count.
    pub queues: QueueMetrics,
}

impl Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Context").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Context {
    /// An applier whose events name `component` as their source.
    pub fn applier(&self, component: &str) -> Applier {
        Applier::new(self.client.clone(), EventRecorder::new(self.client.clone(), component, "", &self.shutdown))
    }
}

/// When to look at a key again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeue {
    /// On the next change only.
    Done,
    /// After this time.
    After(Duration),
    /// Soon, with the queue's back-off.
    RateLimited,
}

/// Object types an informer can hold.
pub trait Object: kube::Resource + Clone + serde::de::DeserializeOwned + Debug + Send + Sync + 'static {}
impl<K: kube::Resource + Clone + serde::de::DeserializeOwned + Debug + Send + Sync + 'static> Object for K {}

/// The present moment; the only clock controllers read.
pub fn now() -> jiff::Timestamp {
    SystemClock.now()
}

type Boxed = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Builder and run loop of one controller.
pub struct Controller<Item> {
    name: &'static str,
    queue: WorkQueue<Item>,
    shutdown: CancellationToken,
    synced: Vec<Boxed>,
    sources: Vec<Boxed>,
}

impl<Item> Debug for Controller<Item> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Controller").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<Item: Clone + Eq + Hash + Debug + Send + Sync + 'static> Controller<Item> {
    /// A controller under upstream's name.
    pub fn new(name: &'static str, context: &Context) -> Self {
        Self {
            name,
            queue: WorkQueue::measured(name, &context.queues),
            shutdown: context.shutdown.clone(),
            synced: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// The queue, for controllers that add keys from elsewhere.
    pub fn queue(&self) -> WorkQueue<Item> {
        self.queue.clone()
    }

    /// Calls `on_change` for every present object and every later change of the kind.
    pub fn watch<K>(
        mut self,
        informer: &Informer<K>,
        on_change: impl Fn(&Change<K>, &WorkQueue<Item>) + Send + Sync + 'static,
    ) -> Self
    where
        K: Object,
    {
        let waits = informer.clone();
        self.synced.push(Box::pin(async move { waits.synced().await }));
        let mut changes = informer.subscribe();
        let queue = self.queue.clone();
        self.sources.push(Box::pin(async move {
            while let Some(change) = changes.next().await {
                on_change(&change, &queue);
            }
        }));
        self
    }

    /// Waits for `informer` to be filled before the first reconcile, without reacting to its changes.
    pub fn needs<K: Object>(mut self, informer: &Informer<K>) -> Self {
        let waits = informer.clone();
        self.synced.push(Box::pin(async move { waits.synced().await }));
        self
    }

    /// Waits for `ready` too before the first reconcile.
    pub(crate) fn waits_for(mut self, ready: impl Future<Output = ()> + Send + 'static) -> Self {
        self.synced.push(Box::pin(ready));
        self
    }

    /// Runs `workers` workers until shutdown.
    pub async fn run<F, Done>(self, workers: usize, reconcile: F)
    where
        F: Fn(Item) -> Done + Send + Sync + Clone + 'static,
        Done: Future<Output = Result<Requeue, Error>> + Send + 'static,
    {
        let name = self.name;
        let wait = futures::future::join_all(self.synced);
        tokio::select! {
            _ = wait => {}
            () = self.shutdown.cancelled() => return,
        }
        let mut tasks = Vec::new();
        for source in self.sources {
            tasks.push(component::spawn_until(name, &self.shutdown, source));
        }
        for _ in 0..workers.max(1) {
            let queue = self.queue.clone();
            let reconcile = reconcile.clone();
            tasks.push(component::spawn_until(
                name,
                &self.shutdown,
                async move { work(name, &queue, reconcile).await },
            ));
        }
        info!(controller = name, "controller started");
        self.shutdown.cancelled().await;
        self.queue.shut_down();
        for task in tasks {
            task.abort();
        }
    }
}

async fn work<Item, F, Done>(name: &'static str, queue: &WorkQueue<Item>, reconcile: F)
where
    Item: Clone + Eq + Hash + Debug + Send + Sync + 'static,
    F: Fn(Item) -> Done,
    Done: Future<Output = Result<Requeue, Error>>,
{
    while let Some(key) = queue.get().await {
        match AssertUnwindSafe(reconcile(key.clone())).catch_unwind().await {
            Ok(Ok(Requeue::Done)) => queue.forget(&key),
            Ok(Ok(Requeue::After(duration))) => {
                queue.forget(&key);
                queue.add_after(key.clone(), duration);
            }
            Ok(Ok(Requeue::RateLimited)) => queue.add_rate_limited(key.clone()),
            Ok(Err(failure)) => {
                if failure.is_conflict() || failure.is_namespace_terminating() || matches!(failure, Error::Stale { .. })
                {
                    debug!(controller = name, key = ?key, error = %failure, "will retry");
                } else {
                    warn!(controller = name, key = ?key, error = %failure, "reconcile failed");
                }
                queue.add_rate_limited(key.clone());
            }
            Err(panic) => {
                let message = panic
                    .downcast_ref::<String>()
                    .cloned()
                    .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                    .unwrap_or_default();
                error!(controller = name, key = ?key, panic = message, "reconcile panicked");
                queue.add_rate_limited(key.clone());
            }
        }
        queue.done(&key);
    }
}
