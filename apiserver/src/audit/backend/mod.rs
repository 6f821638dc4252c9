//! Where events go, and when: to the log file or to a webhook, before the request goes on or gathered into batches.
//!
//! What cannot be delivered is counted and reported, and the request goes on, but in strict mode. A queue has a bound: what does
//! not fit is lost, and counted, too. What waits when the server ends is delivered before it does.
//! Upstream: k8s.io/apiserver/plugin/pkg/audit/{buffered,truncate}, pkg/server/options.AuditOptions.

mod batches;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::batches::Batches;
pub use self::batches::Batching;
use super::event::Event;
use super::log::LogFile;
use super::metrics::Metrics;
use super::webhook::EventWebhook;

/// `--audit-log-mode`, `--audit-webhook-mode`
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    /// A request goes on when its event is delivered, or cannot be.
    Blocking,
    /// A request whose first event cannot be delivered is refused.
    BlockingStrict,
    /// Events are gathered and delivered later.
    Batch(Batching),
}

/// What takes events.
#[derive(Debug)]
pub(super) enum Sink {
    Log(LogFile),
    Webhook(Box<EventWebhook>),
}

impl Sink {
    fn name(&self) -> &'static str {
        match self {
            Sink::Log(_) => "log",
            Sink::Webhook(_) => "webhook",
        }
    }

    /// True when all are delivered.
    async fn deliver(&self, events: &[Event], metrics: &Metrics) -> bool {
        let outcome = match self {
            Sink::Log(file) => events.iter().try_for_each(|event| file.write(event)).map_err(|error| error.to_string()),
            Sink::Webhook(webhook) => webhook.send(events).await.map_err(|error| error.to_string()),
        };
        outcome.inspect_err(|why| metrics.failed(self.name(), events.len(), why)).is_ok()
    }
}

/// Whether an event was delivered; known later where that takes its time.
#[derive(Debug)]
pub(super) enum Receipt {
    Known(bool),
    Later(oneshot::Receiver<bool>),
}

/// See the module header.
#[derive(Debug)]
pub(super) struct Backend {
    sink: Arc<Sink>,
    /// Bytes an event may have, where that is limited: one that has more goes without its objects.
    max_event_size: Option<usize>,
    metrics: Metrics,
    delivery: Delivery,
}

#[derive(Debug)]
enum Delivery {
    AtOnce { strict: bool },
    Batches { queue: mpsc::Sender<Event>, worker: Mutex<Option<JoinHandle<Option<()>>>> },
}

impl Backend {
    /// Events that wait when `closing` is cancelled are still delivered.
    pub(super) fn new(
        sink: Sink,
        mode: Mode,
        max_event_size: Option<usize>,
        metrics: Metrics,
        closing: &CancellationToken,
    ) -> Backend {
        let sink = Arc::new(sink);
        let delivery = match mode {
            Mode::Blocking => Delivery::AtOnce { strict: false },
            Mode::BlockingStrict => Delivery::AtOnce { strict: true },
            Mode::Batch(batching) => {
                let (queue, events) = mpsc::channel(batching.buffer_size.max(1));
                let batches = Batches { sink: Arc::clone(&sink), batching, metrics: metrics.clone() };
                let worker = component::spawn("audit batches", batches.run(events, closing.clone()));
                Delivery::Batches { queue, worker: Mutex::new(Some(worker)) }
            }
        };
        Backend { sink, max_event_size, metrics, delivery }
    }

    /// Must a request whose first event is not delivered be refused?
    pub(super) fn is_strict(&self) -> bool {
        matches!(self.delivery, Delivery::AtOnce { strict: true })
    }

    /// Takes an event.
    pub(super) fn take(&self, event: &Event) -> Receipt {
        let Some(event) = self.fitted(event) else { return Receipt::Known(true) };
        match (&self.delivery, &*self.sink) {
            (Delivery::Batches { queue, .. }, _) => {
                if let Err(lost) = queue.try_send(event) {
                    let why = match lost {
                        mpsc::error::TrySendError::Full(_) => "audit buffer queue blocked",
                        mpsc::error::TrySendError::Closed(_) => "audit backend shut down",
                    };
                    self.metrics.failed("buffered", 1, why);
                }
                Receipt::Known(true)
            }
            (Delivery::AtOnce { .. }, Sink::Log(file)) => {
                let written = file.write(&event);
                Receipt::Known(written.inspect_err(|error| self.metrics.failed("log", 1, &error.to_string())).is_ok())
            }
            (Delivery::AtOnce { .. }, Sink::Webhook(_)) => {
                let (answer, receipt) = oneshot::channel();
                let (sink, metrics) = (Arc::clone(&self.sink), self.metrics.clone());
                component::spawn("audit webhook", async move {
                    // The request may have gone.
                    let _ = answer.send(sink.deliver(&[event], &metrics).await);
                });
                Receipt::Later(receipt)
            }
        }
    }

    /// Waits, after the end, until what was gathered is delivered.
    pub(super) async fn flushed(&self) {
        let Delivery::Batches { worker, .. } = &self.delivery else { return };
        let worker = worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker {
            // A worker that panicked was logged by its supervisor.
            let _ = worker.await;
        }
    }

    /// The event as large as it may be; None if it cannot be made so. Upstream's truncation counts that and does not call it a
    /// failure.
    fn fitted(&self, event: &Event) -> Option<Event> {
        let Some(most) = self.max_event_size.filter(|most| event.size() > *most) else { return Some(event.clone()) };
        let fitted = event.without_objects().filter(|event| event.size() <= most);
        if fitted.is_none() {
            self.metrics.failed("truncate", 1, "event is too large even after truncating");
        }
        fitted
    }
}
