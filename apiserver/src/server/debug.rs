//! `/debug/*`: what priority and fairness does at the moment, how much is logged, and the profiles of Go's runtime, of which
//! there are none.
//!
//! All of it hangs on `--profiling`, but for the dumps, which are there where priority and fairness is. The index of profiles is
//! served so that tools see an empty list and not a missing server.
//! Upstream: k8s.io/apiserver/pkg/server/routes.{Profiling,DebugFlags}, util/flowcontrol/debug.

mod table;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Response, header};

use self::table::table;
use super::body::{Body, RequestBody};
use crate::endpoints::body::read;
use crate::endpoints::query::Query;
use crate::endpoints::respond;
use crate::flowcontrol::FlowControl;

const PROFILES: &str = "/debug/pprof/";
const FLAGS: &str = "/debug/flags";
const DUMPS: &str = "/debug/api_priority_and_fairness/";
/// How a Go client knows that an error is of the profiler.
const GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");

/// Answers a path below `/debug`; None for others, and where `profiling` is off.
pub(crate) async fn serve(
    path: &str,
    method: &Method,
    query: &Query,
    body: RequestBody,
    profiling: bool,
    flow: Option<&Arc<FlowControl>>,
) -> Option<Response<Body>> {
    if let Some(dump) = path.strip_prefix(DUMPS) {
        return dumped(dump, flow?, query.has("includeRequestDetails")).map(|text| respond::plain(200, text));
    }
    if !profiling {
        return None;
    }
    if path == "/debug/pprof" {
        let mut response = html("<a href=\"/debug/pprof/\">Found</a>.\n\n".to_owned());
        *response.status_mut() = http::StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(PROFILES));
        return Some(response);
    }
    if let Some(profile) = path.strip_prefix(PROFILES) {
        return Some(profiles(profile));
    }
    match path.strip_prefix(FLAGS)? {
        "/v" => Some(verbosity(method, body).await),
        rest if rest.is_empty() || rest.starts_with('/') => Some(html(flag_index())),
        _ => None,
    }
}

fn html(text: String) -> Response<Body> {
    respond::bytes_with_type(200, text.into(), "text/html; charset=utf-8", false)
}

fn flag_index() -> String {
    "<html>\n<head>\n<title>/debug/flags/</title>\n</head>\n<body>\n/debug/flags/<br>\n<br>\nflags:<br>\n<table>\n<tr>v<br>\n\
     </table>\n<br>\nfull flags configurable<br>\n</body>\n</html>\n"
        .to_owned()
}

/// The index, which has no rows.
fn profiles(name: &str) -> Response<Body> {
    let mut response = if name.is_empty() {
        html(
            "<html>\n<head>\n<title>/debug/pprof/</title>\n</head>\n<body>\n/debug/pprof/\n<br>\nTypes of profiles available:\n\
             <table>\n<thead><td>Count</td><td>Profile</td></thead>\n</table>\n</body>\n</html>\n"
                .to_owned(),
        )
    } else {
        let mut response = respond::text(404, "Unknown profile\n");
        response.headers_mut().insert(GO_PPROF, HeaderValue::from_static("1"));
        response
    };
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// `PUT /debug/flags/v`: how much is logged from now on.
async fn verbosity(method: &Method, body: RequestBody) -> Response<Body> {
    let (code, text) = if method != Method::PUT {
        (406, "unsupported http method\n".to_owned())
    } else {
        match read(body).await {
            Ok(value) => set_verbosity(&String::from_utf8_lossy(&value)),
            Err(status) => (400, format!("error reading http request: {}\n", status.message)),
        }
    };
    let mut response = respond::text(code, text);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn set_verbosity(value: &str) -> (u16, String) {
    match value.parse::<u32>() {
        Ok(level) => {
            component::logging::set_verbosity(u8::try_from(level).unwrap_or(u8::MAX));
            (200, format!("successfully set klog.logging.verbosity to {value}\n"))
        }
        Err(_) => {
            let value = api::go_text::quote(value);
            (400, format!("strconv.ParseUint: parsing {value}: invalid syntax\n"))
        }
    }
}

/// One of the dumps, as a table; None for a name that is none.
fn dumped(name: &str, flow: &FlowControl, details: bool) -> Option<String> {
    let dump = || flow.dump();
    Some(match name {
        "dump_priority_levels" => table(
            &[
                "PriorityLevelName",
                "ActiveQueues",
                "IsIdle",
                "IsQuiescing",
                "WaitingRequests",
                "ExecutingRequests",
                "DispatchedRequests",
                "RejectedRequests",
                "TimedoutRequests",
                "CancelledRequests",
            ],
            dump().iter().map(|level| {
                let counts = &level.counts;
                vec![
                    level.name.to_string(),
                    level.queues.iter().filter(|queue| !queue.is_empty()).count().to_string(),
                    level.is_idle().to_string(),
                    level.quiescing.to_string(),
                    level.waiting().to_string(),
                    level.executing.to_string(),
                    counts.dispatched.to_string(),
                    counts.rejected.to_string(),
                    counts.timed_out.to_string(),
                    counts.cancelled.to_string(),
                ]
            }),
        ),
        "dump_queues" => table(
            &["PriorityLevelName", "Index", "PendingRequests"],
            dump().iter().flat_map(|level| {
                let row = |(index, queue): (usize, &Vec<_>)| {
                    vec![level.name.to_string(), index.to_string(), queue.len().to_string()]
                };
                level.queues.iter().enumerate().map(row).collect::<Vec<_>>()
            }),
        ),
        "dump_requests" => {
            let mut heads = vec![
                "PriorityLevelName",
                "FlowSchemaName",
                "QueueIndex",
                "RequestIndexInQueue",
                "FlowDistingsher",
                "ArriveTime",
            ];
            if details {
                heads.extend([
                    "UserName",
                    "Verb",
                    "APIPath",
                    "Namespace",
                    "Name",
                    "APIVersion",
                    "Resource",
                    "SubResource",
                ]);
            }
            table(&heads, dump().iter().flat_map(|level| requests(level, details)))
        }
        _ => return None,
    })
}

fn requests(level: &crate::flowcontrol::LevelDump, details: bool) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (index, queue) in level.queues.iter().enumerate() {
        for (place, waiting) in queue.iter().enumerate() {
            let mut row = vec![
                level.name.to_string(),
                waiting.flow.schema.to_string(),
                index.to_string(),
                place.to_string(),
                waiting.flow.distinguisher.clone(),
                waiting.arrived.to_string(),
            ];
            if details {
                let info = &waiting.info;
                row.extend(
                    [
                        &waiting.user,
                        &info.verb,
                        &info.path,
                        &info.namespace,
                        &info.name,
                        &info.api_version,
                        &info.resource,
                        &info.subresource,
                    ]
                    .map(Clone::clone),
                );
            }
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verbosity_is_a_number() {
        assert_eq!(set_verbosity("3").1, "successfully set klog.logging.verbosity to 3\n");
        assert_eq!(set_verbosity("x"), (400, "strconv.ParseUint: parsing \"x\": invalid syntax\n".to_owned()));
    }

    #[test]
    fn levels_are_dumped_with_what_they_did() {
        let flow = FlowControl::new(10, std::time::Duration::from_secs(15));
        let text = dumped("dump_priority_levels", &flow, false).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("PriorityLevelName, ActiveQueues, IsIdle, "), "{text}");
        assert!(lines[1].starts_with("catch-all,         0,            true,   false,       0, "), "{text}");
        assert!(lines[2].starts_with("exempt, "), "{text}");
        assert_eq!(dumped("dump_nothing", &flow, false), None);
    }
}
