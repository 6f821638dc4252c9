//! Events that wait for one another, and batches that wait for their turn.
//! Upstream: k8s.io/apiserver/plugin/pkg/audit/buffered, client-go/util/flowcontrol.NewTokenBucketRateLimiter.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Sink;
use crate::audit::event::Event;
use crate::audit::metrics::Metrics;

/// Batches a webhook is sent at the same time; when so many are under way, events wait in the queue.
const CONCURRENT: u32 = 64;

/// `--audit-*-batch-*`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batching {
    /// Events that wait at most.
    pub buffer_size: usize,
    /// Events of a batch at most.
    pub max_size: usize,
    /// A batch that is not full is sent after this time.
    pub max_wait: Duration,
    /// Batches a second, and how many of them at once.
    pub throttle: Option<(f64, u32)>,
}

/// Gathers events and delivers them.
pub(super) struct Batches {
    pub(super) sink: Arc<Sink>,
    pub(super) batching: Batching,
    pub(super) metrics: Metrics,
}

impl Batches {
    /// Until the queue is closed, or `closing` is cancelled and the queue is empty.
    pub(super) async fn run(self, mut events: mpsc::Receiver<Event>, closing: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONCURRENT as usize));
        let mut throttle = self.batching.throttle.map(|(rate, burst)| Throttle::new(rate, burst));
        while let Some(batch) = self.gathered(&mut events, &closing).await {
            if batch.is_empty() {
                continue;
            }
            if let Some(throttle) = &mut throttle {
                tokio::time::sleep(throttle.take(Instant::now())).await;
            }
            // A file is written by one after the other; a webhook need not have answered before it is asked again.
            if matches!(*self.sink, Sink::Log(_)) {
                self.sink.deliver(&batch, &self.metrics).await;
                continue;
            }
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (sink, metrics) = (Arc::clone(&self.sink), self.metrics.clone());
            component::spawn("audit batch", async move {
                sink.deliver(&batch, &metrics).await;
                drop(place);
            });
        }
        // All places are free when the last batch is delivered.
        let _ = places.acquire_many(CONCURRENT).await;
    }

    /// A batch, full or not; None when there will be no other.
    async fn gathered(&self, events: &mut mpsc::Receiver<Event>, closing: &CancellationToken) -> Option<Vec<Event>> {
        let deadline = Instant::now() + self.batching.max_wait;
        let most = self.batching.max_size.max(1);
        let mut batch = Vec::new();
        while batch.len() < most {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => batch.push(event),
                    None => return Some(batch).filter(|batch| !batch.is_empty()),
                },
                // What is there is gathered still; nothing comes after it.
                () = closing.cancelled(), if !events.is_closed() => events.close(),
                // Where one is a batch there is nothing to wait for.
                () = tokio::time::sleep_until(deadline), if most > 1 => break,
            }
        }
        Some(batch)
    }
}

/// Lets so many through a second, after so many at once.
#[derive(Debug)]
pub(super) struct Throttle {
    every: Duration,
    /// How much earlier than in their turn some may go through.
    ahead: Duration,
    /// When it would be the next one's turn, if all came evenly.
    turn: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(rate: f64, burst: u32) -> Throttle {
        let every = Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX);
        Throttle { every, ahead: every.saturating_mul(burst.saturating_sub(1)), turn: None }
    }

    /// How long the next one has to wait.
    pub(super) fn take(&mut self, now: Instant) -> Duration {
        let turn = self.turn.map_or(now, |turn| turn.max(now));
        self.turn = turn.checked_add(self.every).or(self.turn);
        (turn - now).saturating_sub(self.ahead)
    }
}
