//! The loop that owns everything.

mod apply;
mod cycle;

use std::sync::Arc;

use client::Informers;
use component::Shutdown;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cache::{Cache, Cluster, Snapshot};
use crate::events::Recorder;
use crate::framework::{Profile, Verdict};
use crate::metrics::Metrics;
use crate::plugins::{Handle, Preempting, default_profile};
use crate::queue::{QueuedPod, SchedulingQueue};
use crate::schedule::Search;
use crate::status_writer::StatusWriter;
use crate::watch::Watches;
use crate::{Config, Error};

/// The outcome of a task the loop began.
#[derive(Debug)]
enum Done {
    /// A pod, whose attempt began then, is bound or could not be.
    Bind(Box<QueuedPod>, Instant, Verdict),
    /// The victims for a pod (by uid) are being deleted, or could not be.
    Preempted { uid: String, succeeded: bool },
}

/// All state of the scheduler; only the loop touches it.
struct Scheduler {
    config: Config,
    client: kube::Client,
    profile: Arc<Profile>,
    cache: Cache,
    cluster: Cluster,
    snapshot: Snapshot,
    queue: SchedulingQueue,
    search: Search,
    preempting: Preempting,
    metrics: Metrics,
    recorder: Recorder,
    statuses: StatusWriter,
    done: mpsc::Sender<Done>,
    /// Bindings under way.
    binding: usize,
    watches: Watches,
}

/// Schedules pods until `shutdown`. Bindings under way then are finished by the API server or not at all; both are
/// seen at the next start.
///
/// # Errors
/// When metrics cannot be registered, or the watches end before.
pub async fn run(config: Config, client: kube::Client, shutdown: Shutdown) -> Result<(), Error> {
    let metrics = Metrics::register(&config.registry).map_err(Error::Metrics)?;
    let informers = Informers::new(client.clone(), &shutdown);
    let watches = tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        watches = Watches::start(&informers) => watches,
    };
    let (done, mut outcomes) = mpsc::channel(2 * config.max_bindings_in_flight.max(1));
    let preempting = Preempting::default();
    let handle = Handle { client: Some(client.clone()), preempting: preempting.clone() };
    let profile = Arc::new(default_profile(&handle));
    let mut scheduler = Scheduler {
        cache: Cache::new(),
        cluster: Cluster::default(),
        snapshot: Snapshot::default(),
        queue: SchedulingQueue::new(profile.clone(), config.initial_backoff(), config.max_backoff()),
        search: Search::new(config.percentage_of_nodes_to_score),
        metrics,
        recorder: Recorder::new(client.clone(), &config.scheduler_name, &shutdown),
        statuses: StatusWriter::new(client.clone(), &shutdown),
        profile,
        preempting,
        done,
        binding: 0,
        watches,
        client,
        config,
    };
    tracing::info!(scheduler = scheduler.config.scheduler_name, "scheduling");
    loop {
        scheduler.catch_up(&mut outcomes);
        if scheduler.may_schedule() {
            scheduler.schedule_one();
            // Lets bindings and watches run between cycles.
            tokio::task::yield_now().await;
            if shutdown.is_cancelled() {
                return Ok(());
            }
            continue;
        }
        scheduler.metrics.pending(scheduler.queue.pending());
        let wake = scheduler.queue.next_flush();
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            outcome = outcomes.recv() => {
                if let Some(outcome) = outcome {
                    scheduler.finish(outcome);
                }
            }
            input = scheduler.watches.next() => match input {
                Some(input) => scheduler.take(input),
                None if shutdown.is_cancelled() => return Ok(()),
                None => return Err(Error::WatchEnded),
            },
            () = until(wake) => {}
        }
    }
}

/// Waits for a moment, for ever when there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

impl Scheduler {
    /// Takes in what has happened, without waiting.
    fn catch_up(&mut self, outcomes: &mut mpsc::Receiver<Done>) {
        while let Ok(outcome) = outcomes.try_recv() {
            self.finish(outcome);
        }
        while let Some(input) = self.watches.try_next() {
            self.take(input);
        }
        self.queue.flush(Instant::now());
    }

    fn may_schedule(&self) -> bool {
        self.binding < self.config.max_bindings_in_flight.max(1) && self.queue.is_ready()
    }
}

#[cfg(test)]
mod tests;
