//! Priority and fairness: which request is served now, which waits, and which is sent away with 429.
//!
//! A request belongs to a flow ([`schema`]) of a priority level. A level has seats ([`shares`]); a request takes one while
//! it is served, waits in one of a few queues of its flow's when there is none, and leaves when its patience is over
//! ([`dispatch`]). Who is alone costs one lock of a few dozen instructions; nothing is held across an await.
//! The configuration follows the FlowSchemas and PriorityLevelConfigurations in the store ([`keep`]).
//!
//! Every request takes one seat: what makes lists dear upstream (decoding and encoding each object) is not done here.
//! Upstream: k8s.io/apiserver/pkg/util/flowcontrol.

mod dispatch;
pub(crate) mod keep;
mod schema;
mod shares;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use self::dispatch::{Arrival, Dispatcher, Place, Queueing};
pub(crate) use self::schema::Flow;
use self::schema::Schema;
use crate::authentication::UserInfo;
use crate::filters::request_info::RequestInfo;

/// Requests wait for a seat this long. Upstream: a quarter of --request-timeout.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a request was sent away; upstream's words for it in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// Its queue is full.
    QueueFull,
    /// The level has no queues.
    ConcurrencyLimit,
    /// Nobody left in time.
    TimeOut,
}

impl Rejection {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Rejection::QueueFull => "queue-full",
            Rejection::ConcurrencyLimit => "concurrency-limit",
            Rejection::TimeOut => "time-out",
        }
    }
}

/// See the module header.
#[derive(Debug)]
pub(crate) struct FlowControl {
    /// Seats of all levels together.
    total: u32,
    schemas: ArcSwap<Vec<Schema>>,
    dispatcher: Mutex<Dispatcher<oneshot::Sender<()>>>,
}

/// One priority level as configured.
#[derive(Debug, Clone, PartialEq)]
struct Level {
    name: Arc<str>,
    uid: String,
    /// Its requests are always served.
    exempt: bool,
    share: shares::Share,
    /// None: who finds no seat is sent away.
    queueing: Option<Queueing>,
}

impl FlowControl {
    /// With so many seats, and the two levels and flows that are always there.
    pub(crate) fn new(total: u32) -> Arc<FlowControl> {
        let control = FlowControl { total, schemas: ArcSwap::default(), dispatcher: Mutex::new(Dispatcher::default()) };
        control.configure(&[], &[]);
        Arc::new(control)
    }

    /// Takes another configuration, from the objects as they are stored. Requests under way finish where they began.
    pub(crate) fn configure(&self, schemas: &[Arc<serde_json::Value>], levels: &[Arc<serde_json::Value>]) {
        let levels = Level::all(levels);
        let shares: Vec<_> = levels.iter().map(|level| level.share).collect();
        let limits = shares::limits(&shares, self.total);
        let by_name: HashMap<&str, &Level> = levels.iter().map(|level| (level.name.as_ref(), level)).collect();
        self.schemas.store(Arc::new(Schema::all(schemas, &by_name)));
        let limited = levels.iter().zip(limits).filter(|(level, _)| !level.exempt);
        let limited = limited.map(|(level, limits)| (level.name.clone(), limits, level.queueing)).collect();
        let woken = self.locked(|dispatcher| dispatcher.configure(limited));
        wake(self, woken);
    }

    /// The flow of a request.
    pub(crate) fn classify(&self, user: &UserInfo, info: &RequestInfo) -> Flow {
        let schemas = self.schemas.load();
        // The last one takes everybody; it is there even when its object is not.
        let own = schemas.iter().find(|schema| schema.matches(user, info)).or(schemas.last());
        own.map(|schema| schema.flow(user, info)).unwrap_or_default()
    }

    /// A seat for a request of this flow, waited for as long as it takes and not longer than patience lasts.
    pub(crate) async fn seat(self: &Arc<Self>, flow: &Flow) -> Result<Seat, Rejection> {
        if flow.exempt {
            return Ok(Seat { taken: None });
        }
        let level = flow.level.clone();
        let (arrival, woken) = self.locked(|dispatcher| dispatcher.arrive(&level, || hash(flow), oneshot::channel));
        wake(self, woken);
        match arrival {
            Arrival::Seated => Ok(Seat { taken: Some((Arc::clone(self), level)) }),
            Arrival::Rejected(why) => Err(why),
            Arrival::Waiting(place, called) => {
                let mut waiting = Waiting { control: self, level: &level, place: Some(place), called };
                match tokio::time::timeout(PATIENCE, &mut waiting.called).await {
                    Ok(Ok(())) => {
                        waiting.place = None;
                        Ok(Seat { taken: Some((Arc::clone(self), level.clone())) })
                    }
                    _ => Err(Rejection::TimeOut),
                }
            }
        }
    }

    /// What the levels have and use, by name.
    pub(crate) fn usage(&self) -> Vec<(Arc<str>, dispatch::Usage)> {
        self.locked(|dispatcher| dispatcher.usage())
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Dispatcher<oneshot::Sender<()>>) -> T) -> T {
        work(&mut self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave(&self, level: &str) {
        let woken = self.locked(|dispatcher| dispatcher.leave(level));
        wake(self, woken);
    }
}

/// Calls those whose turn it is. Who has gone meanwhile gives the seat on.
fn wake(control: &FlowControl, called: Vec<(Arc<str>, oneshot::Sender<()>)>) {
    for (level, caller) in called {
        if caller.send(()).is_err() {
            control.leave(&level);
        }
    }
}

/// The right to be served. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    /// None of an exempt request.
    taken: Option<(Arc<FlowControl>, Arc<str>)>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((control, level)) = self.taken.take() {
            control.leave(&level);
        }
    }
}

/// A place in a queue, left when dropped: by patience, or because the client went.
struct Waiting<'a> {
    control: &'a FlowControl,
    level: &'a str,
    /// None once the seat is taken.
    place: Option<Place>,
    called: oneshot::Receiver<()>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        // From here on a call comes back to the caller, who gives the seat on. One that came before is ours to give back.
        self.called.close();
        let there = self.control.locked(|dispatcher| dispatcher.give_up(self.level, place));
        if !there && self.called.try_recv().is_ok() {
            self.control.leave(self.level);
        }
    }
}

/// What deals a flow its queues.
fn hash(flow: &Flow) -> u64 {
    let digest = Sha256::new()
        .chain_update(flow.schema.as_bytes())
        .chain_update([0])
        .chain_update(flow.distinguisher.as_bytes())
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

/// `X-Kubernetes-PF-FlowSchema-UID` and its sister, for answers.
pub(crate) fn header_value(uid: &str) -> HeaderValue {
    HeaderValue::from_str(uid).unwrap_or(HeaderValue::from_static(""))
}
