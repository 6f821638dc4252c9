//! Priority and fairness: which request is served now, which waits, and which is sent away with 429.
//!
//! A request belongs to a flow ([`schema`]) of a priority level. A level has seats ([`shares`]); a request takes one while
//! it is served, waits in one of a few queues of its flow's when there is none, and leaves when its patience is over
//! ([`dispatch`]). Who is alone costs one lock of a few dozen instructions; nothing is held across an await.
//! The configuration follows the FlowSchemas and PriorityLevelConfigurations in the store ([`keep`]).
//!
//! How many seats a request takes is estimated from what it lists, or from who watches what it writes ([`work`], [`watchers`]).
//! Upstream: k8s.io/apiserver/pkg/util/flowcontrol.

mod dispatch;
pub(crate) mod keep;
mod schema;
mod shares;
#[cfg(test)]
mod tests;
mod watchers;
mod work;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use self::dispatch::{Arrival, Counts, Dispatcher, Gone, Place, Queueing};
pub(crate) use self::schema::Flow;
use self::schema::Schema;
use self::watchers::Watchers;
pub(crate) use self::watchers::Watching;
pub(crate) use self::work::{Stock, Work};
use crate::authentication::UserInfo;
use crate::endpoints::query::Query;
use crate::filters::request_info::RequestInfo;

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
    /// Requests wait for a seat this long.
    patience: Duration,
    schemas: ArcSwap<Vec<Schema>>,
    dispatcher: Mutex<Dispatcher<Caller>>,
    exempt: Exempt,
    watchers: Arc<Watchers>,
}

/// Requests that need no seat: counted, and nothing more.
#[derive(Debug, Default)]
struct Exempt {
    dispatched: AtomicU64,
    executing: AtomicU64,
}

/// How somebody who waits is called, and who it is.
type Caller = (oneshot::Sender<()>, Arc<WaitingRequest>);

/// A request in a queue, for who wants to see it.
#[derive(Debug)]
pub(crate) struct WaitingRequest {
    pub(crate) flow: Flow,
    pub(crate) arrived: Timestamp,
    pub(crate) user: String,
    pub(crate) info: RequestInfo,
}

/// Who wants a seat, and for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) user: &'a UserInfo,
    pub(crate) info: &'a RequestInfo,
    pub(crate) work: Work,
}

/// A level as it is now.
pub(crate) type LevelDump = dispatch::LevelDump<Arc<WaitingRequest>>;

impl LevelDump {
    /// Nobody is served and nobody waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.executing == 0 && self.waiting() == 0
    }
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
    /// How many seats one request may take; 0 is no limit of the level's own.
    widest: u32,
}

impl FlowControl {
    /// With so many seats, and the two levels and flows that are always there.
    pub(crate) fn new(total: u32, patience: Duration) -> Arc<FlowControl> {
        let control = FlowControl {
            total,
            patience,
            schemas: ArcSwap::default(),
            dispatcher: Mutex::new(Dispatcher::default()),
            exempt: Exempt::default(),
            watchers: Arc::default(),
        };
        control.configure(&[], &[]);
        Arc::new(control)
    }

    /// Takes another configuration, from the objects as they are stored. Requests under way finish where they began.
    pub(crate) fn configure(&self, schemas: &[Arc<json::Value>], levels: &[Arc<json::Value>]) {
        let mut levels = Level::all(levels);
        let shares: Vec<_> = levels.iter().map(|level| level.share).collect();
        let limits = shares::limits(&shares, self.total);
        for (level, limits) in levels.iter_mut().zip(&limits) {
            level.widest = level.queueing.map_or(0, |queueing| limits.widest_request(queueing.hand_size));
        }
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

    /// What a request of this flow will take. See [`work::estimate`].
    pub(crate) fn estimate(
        &self,
        flow: &Flow,
        info: &RequestInfo,
        query: &Query,
        stock: impl FnOnce() -> Option<Stock>,
    ) -> Work {
        match flow.exempt {
            true => Work::ONE,
            false => work::estimate(info, query, flow.widest, stock, || self.watchers.interested(info)),
        }
    }

    /// Counts a watch among those that writes are wide for, until what is returned is dropped.
    pub(crate) fn watching(&self, info: &RequestInfo) -> Option<Watching> {
        self.watchers.count(info)
    }

    /// Seats for a request of this flow, waited for as long as it takes and not longer than patience lasts.
    pub(crate) async fn seat(self: &Arc<Self>, flow: &Flow, asking: Asking<'_>) -> Result<Seat, Rejection> {
        if flow.exempt {
            self.exempt.dispatched.fetch_add(1, Ordering::Relaxed);
            self.exempt.executing.fetch_add(1, Ordering::Relaxed);
            return Ok(Seat { control: Arc::clone(self), taken: None });
        }
        let work = asking.work;
        let seated = || Seat { control: Arc::clone(self), taken: Some((flow.level.clone(), work)) };
        let ticket = || {
            let (sender, called) = oneshot::channel();
            let request = WaitingRequest {
                flow: flow.clone(),
                arrived: Timestamp::now(),
                user: asking.user.name.clone(),
                info: asking.info.clone(),
            };
            ((sender, Arc::new(request)), called)
        };
        let (arrival, woken) =
            self.locked(|dispatcher| dispatcher.arrive(&flow.level, work.seats, || hash(flow), ticket));
        wake(self, woken);
        match arrival {
            Arrival::Seated => Ok(seated()),
            Arrival::Rejected(why) => Err(why),
            Arrival::Waiting(place, called) => {
                let (level, seats) = (&flow.level, work.seats);
                let gone = Gone::Cancelled;
                let mut waiting = Waiting { control: self, level, seats, place: Some(place), called, gone };
                match tokio::time::timeout(self.patience, &mut waiting.called).await {
                    Ok(Ok(())) => {
                        waiting.place = None;
                        Ok(seated())
                    }
                    _ => {
                        waiting.gone = Gone::TimedOut;
                        Err(Rejection::TimeOut)
                    }
                }
            }
        }
    }

    /// What the levels have and use, by name.
    pub(crate) fn usage(&self) -> Vec<(Arc<str>, dispatch::Usage)> {
        self.locked(|dispatcher| dispatcher.usage())
    }

    /// What every level does at the moment, by name.
    pub(crate) fn dump(&self) -> Vec<LevelDump> {
        let mut levels = self.locked(|dispatcher| dispatcher.dump(|(_, request)| Arc::clone(request)));
        levels.push(LevelDump {
            name: schema::EXEMPT.into(),
            quiescing: false,
            executing: self.exempt.executing.load(Ordering::Relaxed),
            queues: Vec::new(),
            counts: Counts { dispatched: self.exempt.dispatched.load(Ordering::Relaxed), ..Counts::default() },
        });
        levels.sort_by(|a, b| a.name.cmp(&b.name));
        levels
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Dispatcher<Caller>) -> T) -> T {
        work(&mut self.dispatcher.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave(&self, level: &str, seats: u32) {
        let woken = self.locked(|dispatcher| dispatcher.leave(level, seats));
        wake(self, woken);
    }
}

/// Calls those whose turn it is. Who has gone meanwhile gives the seats on.
fn wake(control: &FlowControl, called: dispatch::Called<Caller>) {
    for (level, seats, (caller, _)) in called {
        if caller.send(()).is_err() {
            control.leave(&level, seats);
        }
    }
}

/// The right to be served. Given back when dropped, or as much later as the work lingers.
#[derive(Debug)]
pub(crate) struct Seat {
    control: Arc<FlowControl>,
    /// None of an exempt request.
    taken: Option<(Arc<str>, Work)>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((level, work)) = self.taken.take() else {
            self.control.exempt.executing.fetch_sub(1, Ordering::Relaxed);
            return;
        };
        if work.lingers.is_zero() {
            return self.control.leave(&level, work.seats);
        }
        let control = Arc::clone(&self.control);
        component::spawn("apiserver lingering seats", async move {
            tokio::time::sleep(work.lingers).await;
            control.leave(&level, work.seats);
        });
    }
}

/// A place in a queue, left when dropped: by patience, or because the client went.
struct Waiting<'a> {
    control: &'a FlowControl,
    level: &'a str,
    seats: u32,
    /// None once the seat is taken.
    place: Option<Place>,
    called: oneshot::Receiver<()>,
    /// Why it would be left now.
    gone: Gone,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        // From here on a call comes back to the caller, who gives the seat on. One that came before is ours to give back.
        self.called.close();
        match self.control.locked(|dispatcher| dispatcher.give_up(self.level, place, self.gone)) {
            Some(woken) => wake(self.control, woken),
            None if self.called.try_recv().is_ok() => self.control.leave(self.level, self.seats),
            None => {}
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
