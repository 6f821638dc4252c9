//! Seats for every request that is served now: by priority and fairness, or counted by kind where that is switched off.
//!
//! Watches take their seats until they have begun; other streams and masters need none.
//! Upstream: k8s.io/apiserver/pkg/server/filters.{WithPriorityAndFairness,WithMaxInFlightLimit}.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue, Response, header};
use tokio::sync::{Semaphore, TryAcquireError};

use super::request_info::RequestInfo;
use crate::authentication::{SYSTEM_PRIVILEGED_GROUP, UserInfo};
use crate::endpoints::query::Query;
use crate::endpoints::respond;
use crate::flowcontrol::{Asking, Flow, FlowControl, Seat, Stock, header_value};
use crate::registry::store::Engine;
use crate::server::body::Body;
use crate::server::metrics::{Executing, FlowMetrics};

const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// Seconds after which a client may ask again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// `--max-requests-inflight`, `--max-mutating-requests-inflight`, `--enable-priority-and-fairness`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Reads served at a time; 0 is no limit.
    pub max_requests_inflight: u32,
    /// Writes served at a time; 0 is no limit.
    pub max_mutating_requests_inflight: u32,
    /// The two together are the seats of all priority levels.
    pub priority_and_fairness: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_requests_inflight: 400, max_mutating_requests_inflight: 200, priority_and_fairness: true }
    }
}

/// What limits the requests served at a time.
#[derive(Debug)]
pub(crate) enum Limiter {
    Fair(Arc<FlowControl>),
    Counted { reads: Option<Semaphore>, writes: Option<Semaphore> },
}

impl Limiter {
    /// A request that finds no seat waits a quarter of the time it has.
    pub(crate) fn new(limits: Limits, request_timeout: Duration) -> Limiter {
        let Limits { max_requests_inflight: reads, max_mutating_requests_inflight: writes, priority_and_fairness } =
            limits;
        match reads.saturating_add(writes) {
            total @ 1.. if priority_and_fairness => Limiter::Fair(FlowControl::new(total, request_timeout / 4)),
            _ => {
                let semaphore = |limit: u32| (limit > 0).then(|| Semaphore::new(limit as usize));
                Limiter::Counted { reads: semaphore(reads), writes: semaphore(writes) }
            }
        }
    }

    /// Flow control, where there is any, for whoever keeps it up.
    pub(crate) fn flow_control(&self) -> Option<&Arc<FlowControl>> {
        match self {
            Limiter::Fair(control) => Some(control),
            Limiter::Counted { .. } => None,
        }
    }

    /// Waits for the right to be served; or the 429 that says to come again. `stock` is asked of lists, see [`stock`].
    pub(crate) async fn admit<'a>(
        &'a self,
        user: &UserInfo,
        info: &RequestInfo,
        query: &Query,
        stock: impl FnOnce() -> Option<Stock>,
        metrics: &FlowMetrics,
    ) -> Result<Admitted<'a>, Response<Body>> {
        if info.is_long_running() && info.verb != "watch" {
            return Ok(Admitted::default());
        }
        match self {
            Limiter::Fair(control) => {
                let flow = control.classify(user, info);
                let work = control.estimate(&flow, info, query, stock);
                fair(control, flow, Asking { user, info, work }, metrics).await
            }
            Limiter::Counted { reads, writes } => {
                let reading = matches!(info.verb.as_str(), "get" | "list" | "watch");
                let semaphore = if reading { reads } else { writes };
                let Some(semaphore) = semaphore.as_ref().filter(|_| !user.in_group(SYSTEM_PRIVILEGED_GROUP)) else {
                    return Ok(Admitted::default());
                };
                match semaphore.try_acquire() {
                    Ok(permit) => Ok(Admitted { _permit: Some(permit), ..Admitted::default() }),
                    Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => Err(too_many()),
                }
            }
        }
    }
}

/// What a list would have to do with. Asked of the newest view; takes the first objects for all.
pub(crate) fn stock(engine: &Engine, info: &RequestInfo) -> Option<Stock> {
    const LOOKED_AT: usize = 16;
    let resource = engine.resources.get(&info.api_group, &info.api_version, &info.resource)?;
    let snapshot = engine.store.snapshot();
    let namespace = if resource.info.namespaced { info.namespace.as_str() } else { "" };
    let prefix = resource.list_prefix(namespace);
    let (mut seen, mut bytes) = (0, 0);
    for entry in snapshot.range(&prefix, None).take(LOOKED_AT) {
        seen += 1;
        bytes += entry.value.len();
    }
    resource.is_stored().then(|| Stock { objects: snapshot.count(&prefix), bytes: bytes / seen.max(1) })
}

async fn fair(
    control: &Arc<FlowControl>,
    flow: Flow,
    asking: Asking<'_>,
    metrics: &FlowMetrics,
) -> Result<Admitted<'static>, Response<Body>> {
    let counters = metrics.of(&flow);
    let (began, seats) = (Instant::now(), asking.work.seats);
    let seat = {
        let _waiting = counters.waiting(seats);
        control.seat(&flow, asking).await
    };
    match seat {
        Ok(seat) => {
            counters.dispatched(began.elapsed());
            let executing = Some(counters.executing(seats));
            Ok(Admitted { flow: Some(flow), _seat: Some(seat), _executing: executing, _permit: None })
        }
        Err(why) => {
            metrics.rejected(&flow, why.as_str(), began.elapsed());
            let mut response = too_many();
            mark(&flow, &mut response);
            Err(response)
        }
    }
}

/// The right to be served, until dropped.
#[derive(Debug, Default)]
pub(crate) struct Admitted<'a> {
    flow: Option<Flow>,
    _seat: Option<Seat>,
    _executing: Option<Executing>,
    _permit: Option<tokio::sync::SemaphorePermit<'a>>,
}

impl Admitted<'_> {
    /// Tells the client which flow its request was of.
    pub(crate) fn mark(&self, response: &mut Response<Body>) {
        if let Some(flow) = &self.flow {
            mark(flow, response);
        }
    }
}

fn mark(flow: &Flow, response: &mut Response<Body>) {
    response.headers_mut().insert(SCHEMA_UID, header_value(&flow.schema_uid));
    response.headers_mut().insert(LEVEL_UID, header_value(&flow.level_uid));
}

fn too_many() -> Response<Body> {
    let mut response = respond::text(429, "Too many requests, please try again later.\n");
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::metrics::Metrics;

    #[tokio::test]
    async fn without_priorities_each_kind_has_its_number() {
        let limits =
            Limits { max_requests_inflight: 1, max_mutating_requests_inflight: 0, priority_and_fairness: false };
        let (limiter, metrics) = (Limiter::new(limits, Duration::from_secs(60)), Metrics::new().unwrap());
        let admit = async |user: &UserInfo, verb: &str| {
            let info = RequestInfo { verb: verb.to_owned(), ..RequestInfo::default() };
            limiter.admit(user, &info, &Query::default(), || None, metrics.flow()).await
        };
        let (jane, master) = (UserInfo::new("jane", &[]), UserInfo::new("root", &[SYSTEM_PRIVILEGED_GROUP]));
        let first = admit(&jane, "get").await.unwrap();
        let refusal = admit(&jane, "list").await.unwrap_err();
        assert_eq!((refusal.status().as_u16(), &refusal.headers()["retry-after"]), (429, &RETRY_AFTER));
        assert!(admit(&master, "list").await.is_ok(), "masters are not counted");
        assert!(admit(&jane, "create").await.is_ok(), "0 is no limit");
        drop(first);
        assert!(admit(&jane, "list").await.is_ok());
    }
}
