//! How wide a request is: the seats it takes, and how long they stay taken when it is over. Pure: a request in numbers in,
//! a number out.
//!
//! Lists are as wide as the bytes they may hold in memory, writes as the watchers that are told of them. Everything else
//! takes one seat. What the request counts among is what it walks: of a list in a namespace, the objects there.
//! Upstream: k8s.io/apiserver/pkg/util/flowcontrol/request.

use std::time::Duration;

use crate::endpoints::query::Query;
use crate::filters::request_info::RequestInfo;

/// So many bytes of a list are a seat. Upstream: bytesPerSeat.
const BYTES_PER_SEAT: u64 = 100_000;
/// What a list from the cache holds in memory at most, since it is sent as it is read. Upstream: cacheWithStreamingMaxMemoryUsage.
const STREAMED_BYTES: u64 = 1_000_000;
/// Upstream: MaximumListSeatsLimit.
const WIDEST_LIST: u32 = 100;
/// So many watchers are a seat, for so long. Upstream: watchesPerSeat, eventAdditionalDuration.
const WATCHERS_PER_SEAT: u32 = 10;
const EVENT: Duration = Duration::from_millis(5);
/// Upstream: MaximumMutatingSeatsLimit.
const WIDEST_WRITE: u32 = 10;

/// What a request takes of its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) seats: u32,
    /// So long after its end, which its client does not wait for.
    pub(crate) lingers: Duration,
}

impl Work {
    /// That of most requests.
    pub(crate) const ONE: Work = Work { seats: 1, lingers: Duration::ZERO };
}

/// What a list has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) objects: usize,
    /// Of one object, about.
    pub(crate) bytes: usize,
}

/// The work of a request on a level of which one request may take `widest` seats; 0 is no limit of the level's own. The
/// numbers are asked for where they are needed: what lies where a list looks (none of what is not stored here), and how many
/// watch what is written.
pub(super) fn estimate(
    info: &RequestInfo,
    query: &Query,
    widest: u32,
    stock: impl FnOnce() -> Option<Stock>,
    watchers: impl FnOnce() -> u32,
) -> Work {
    let at_most = |own: u32| if widest == 0 { own } else { widest.min(own) };
    match info.verb.as_str() {
        _ if !info.is_resource_request => Work::ONE,
        "list" | "watch" => {
            let seats = List::of(info, query).map_or(u32::MAX, |list| list.seats(stock));
            Work { seats: seats.clamp(1, at_most(WIDEST_LIST)), ..Work::ONE }
        }
        // Makes no event.
        "create" if info.resource == "serviceaccounts" && info.subresource == "token" => Work::ONE,
        "create" | "update" | "patch" | "delete" => of_write(watchers(), at_most(WIDEST_WRITE)),
        _ => Work::ONE,
    }
}

/// As many seats as the watchers fill, or fewer for longer.
fn of_write(watchers: u32, widest: u32) -> Work {
    if watchers < WATCHERS_PER_SEAT {
        return Work::ONE;
    }
    let wanted = watchers.div_ceil(WATCHERS_PER_SEAT);
    let seats = wanted.min(widest);
    Work { seats, lingers: EVENT * wanted / seats.max(1) }
}

/// A list, or a watch that begins with one.
#[derive(Debug, Clone, Copy)]
struct List {
    named: bool,
    /// Nothing is listed: a watch from a revision on.
    begins_later: bool,
    from_cache: bool,
    selects: bool,
    limit: Option<u64>,
}

impl List {
    /// None of a request that will be refused.
    fn of(info: &RequestInfo, query: &Query) -> Option<List> {
        let text = |key| query.get(key).unwrap_or_default();
        let limit = match text("limit") {
            "" => 0,
            number => number.parse::<i64>().ok()?,
        };
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0);
        let version = text("resourceVersion");
        let initial = query.get("sendInitialEvents").is_some_and(|value| !matches!(value, "false" | "0"));
        let watch = info.verb == "watch";
        let from_cache = match text("resourceVersionMatch") {
            "NotOlderThan" => true,
            "" => text("continue").is_empty() && (limit.is_none() || matches!(version, "" | "0")),
            _ => false,
        };
        Some(List {
            named: !info.name.is_empty(),
            begins_later: watch && !initial && !matches!(version, "" | "0"),
            from_cache: watch || from_cache,
            selects: !text("fieldSelector").is_empty() || !text("labelSelector").is_empty(),
            limit,
        })
    }

    fn seats(self, stock: impl FnOnce() -> Option<Stock>) -> u32 {
        if self.begins_later {
            return 1;
        }
        let Some(Stock { objects, bytes }) = stock() else { return 1 };
        let (objects, bytes) = (objects as u64, bytes as u64);
        let limited = self.limit.map_or(objects, |limit| limit.min(objects));
        let held = match self {
            List { named: true, .. } => 1,
            List { from_cache: false, selects: true, .. } => limited.max(objects / 2),
            _ => limited,
        };
        let held = held.saturating_mul(bytes);
        let held = if self.from_cache { held.min(STREAMED_BYTES) } else { held };
        u32::try_from(held.div_ceil(BYTES_PER_SEAT)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(method: &http::Method, target: &str) -> (RequestInfo, Query) {
        let uri: http::Uri = target.parse().unwrap();
        let query = Query::parse(uri.query().unwrap_or_default());
        (RequestInfo::parse(method, &uri, &query).unwrap(), query)
    }

    #[test]
    fn lists_are_as_wide_as_what_they_hold() {
        let thousand = Some(Stock { objects: 1_000, bytes: 10_000 });
        let small = Some(Stock { objects: 30, bytes: 1_000 });
        for (query, stock, widest, seats) in [
            ("", thousand, 0, 10),                                    // whole, but streamed
            ("limit=50", thousand, 0, 5),                             // a page
            ("limit=50&resourceVersion=7", thousand, 0, 5),           // exact
            ("limit=500&resourceVersion=7", thousand, 0, 50),         // exact, and held whole
            ("limit=500&resourceVersion=0", thousand, 0, 10),         // any will do
            ("limit=50&continue=x", thousand, 0, 5),                  // a later page
            ("limit=50&continue=x&labelSelector=a", thousand, 0, 50), // which looks at half of all
            ("limit=50&labelSelector=a", thousand, 0, 5),             // the first one
            ("resourceVersion=7&resourceVersionMatch=Exact", thousand, 0, 100),
            ("resourceVersion=7&resourceVersionMatch=Exact", thousand, 15, 15),
            ("resourceVersion=7&resourceVersionMatch=NotOlderThan", thousand, 0, 10),
            ("fieldSelector=metadata.name%3Da", thousand, 0, 1),
            ("limit=many", thousand, 0, 100), // refused later
            ("", small, 0, 1),
            ("", Some(Stock { objects: 0, bytes: 0 }), 0, 1),
            ("", None, 0, 1),
            ("watch=1", thousand, 0, 10),
            ("watch=1&resourceVersion=0", thousand, 0, 10),
            ("watch=1&resourceVersion=7", thousand, 0, 1),
            ("watch=1&resourceVersion=7&sendInitialEvents=true", thousand, 0, 10),
            ("watch=1&resourceVersion=7&sendInitialEvents=true", thousand, 3, 3),
        ] {
            let (info, asked) = info(&http::Method::GET, &format!("/api/v1/pods?{query}"));
            let work = estimate(&info, &asked, widest, || stock, || 5);
            assert_eq!(work, Work { seats, lingers: Duration::ZERO }, "{query} of {stock:?} at most {widest}");
        }
    }

    #[test]
    fn writes_are_as_wide_as_their_watchers_or_longer() {
        let pod = "/api/v1/namespaces/a/pods/p";
        for (method, target, watchers, widest, seats, milliseconds) in [
            (http::Method::PUT, pod, 0, 0, 1, 0),
            (http::Method::PUT, pod, 9, 0, 1, 0),
            (http::Method::PUT, pod, 10, 0, 1, 5),
            (http::Method::PATCH, pod, 25, 0, 3, 5),
            (http::Method::DELETE, pod, 100, 0, 10, 5),
            (http::Method::DELETE, pod, 1_000, 0, 10, 50),
            (http::Method::DELETE, pod, 1_000, 5, 5, 100),
            (http::Method::POST, "/api/v1/namespaces/a/pods", 25, 0, 3, 5),
            (http::Method::POST, "/api/v1/namespaces/a/serviceaccounts/s/token", 1_000, 0, 1, 0),
            (http::Method::GET, pod, 1_000, 0, 1, 0),
            (http::Method::DELETE, "/api/v1/namespaces/a/pods", 1_000, 0, 1, 0),
            (http::Method::POST, "/healthz", 1_000, 0, 1, 0),
        ] {
            let (info, query) = info(&method, target);
            let work = estimate(&info, &query, widest, || None, || watchers);
            let lingers = Duration::from_millis(milliseconds);
            assert_eq!(work, Work { seats, lingers }, "{method} {target} with {watchers} at most {widest}");
        }
    }
}
