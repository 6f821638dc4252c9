//! `/containerLogs/NAMESPACE/POD/CONTAINER`: the options of a log request and the answer's frame. Reading the files is
//! `crate::logs`' work.

use std::sync::Arc;

use futures::TryStreamExt;
use http::StatusCode;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::routes::parameters;
use super::{Host, Refusal, Response};

/// PodLogOptions as the kubelet takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogOptions {
    /// Goes on with new lines until the container ends.
    pub(crate) follow: bool,
    /// The container before the present one.
    pub(crate) previous: bool,
    /// Lines written at or after this time.
    pub(crate) since: Option<Timestamp>,
    /// Every line begins with its time.
    pub(crate) timestamps: bool,
    /// The last so many lines.
    pub(crate) tail_lines: Option<u64>,
    /// Ends after so many bytes.
    pub(crate) limit_bytes: Option<u64>,
    /// One of the streams only: `Stdout` or `Stderr`.
    pub(crate) stream: Option<String>,
}

impl LogOptions {
    /// From a query; `now` turns `sinceSeconds` into a time.
    fn parse(query: &str, now: Timestamp) -> Result<Self, Refusal> {
        let value = |name| parameters(query, name).last().filter(|value| !value.is_empty());
        let flag = |name| {
            value(name).is_some_and(|value| matches!(value.as_str(), "true" | "1" | "t" | "T" | "TRUE" | "True"))
        };
        let number = |name: &'static str| match value(name) {
            None => Ok(None),
            Some(text) => text
                .parse::<i64>()
                .map(Some)
                .map_err(|_| Refusal::new(StatusCode::BAD_REQUEST, "{\"message\": \"Unable to decode query.\"}")),
        };
        let invalid = |message: &str| {
            Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{{\"message\": \"Invalid request: {message}\"}}"))
        };
        let unsigned = |name: &'static str| match number(name)? {
            None => Ok(None),
            Some(count) => u64::try_from(count)
                .map(Some)
                .map_err(|_| invalid(&format!("{name} must be greater than or equal to 0"))),
        };
        let since_seconds = number("sinceSeconds")?;
        let since_time = value("sinceTime");
        let since = match (since_seconds, since_time) {
            (Some(_), Some(_)) => return Err(invalid("at most one of `sinceTime` or `sinceSeconds` may be specified")),
            (Some(seconds), None) if seconds < 1 => return Err(invalid("sinceSeconds must be greater than 0")),
            (Some(seconds), None) => now.checked_sub(jiff::SignedDuration::from_secs(seconds)).ok(),
            (None, Some(time)) => Some(time.parse().map_err(|_| invalid("sinceTime is no RFC 3339 time"))?),
            (None, None) => None,
        };
        Ok(Self {
            follow: flag("follow"),
            previous: flag("previous"),
            since,
            timestamps: flag("timestamps"),
            // -1 is accepted as "all", as kubectl sends it.
            tail_lines: if number("tailLines")? == Some(-1) { None } else { unsigned("tailLines")? },
            limit_bytes: unsigned("limitBytes")?,
            stream: value("stream").filter(|stream| stream != "All"),
        })
    }
}

pub(super) async fn serve(host: &impl Host, pod: Arc<Pod>, container: &str, query: &str) -> Result<Response, Refusal> {
    let options = LogOptions::parse(query, Timestamp::now())?;
    let spec = pod.spec.as_ref();
    let exists = spec.is_some_and(|spec| {
        spec.containers
            .iter()
            .map(|one| &one.name)
            .chain(spec.init_containers.iter().flatten().map(|one| &one.name))
            .chain(spec.ephemeral_containers.iter().flatten().map(|one| &one.name))
            .any(|name| name == container)
    });
    if !exists {
        let message = format!(
            "{{\"message\": \"container {container:?} not found in pod {:?}\"}}",
            pod.metadata.name.as_deref().unwrap_or_default()
        );
        return Err(Refusal::new(StatusCode::NOT_FOUND, message));
    }
    let chunks = host.logs(pod, container.to_owned(), options).await?;
    let body = StreamBody::new(chunks.map_ok(Frame::data)).boxed_unsync();
    let mut response = http::Response::new(body);
    let plain = http::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(http::header::CONTENT_TYPE, plain);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<LogOptions, String> {
        LogOptions::parse(query, Timestamp::from_second(1000).unwrap()).map_err(|refusal| refusal.message)
    }

    #[test]
    fn options_are_read_from_the_query() {
        let options =
            parse("follow=true&tailLines=5&sinceSeconds=10&timestamps=true&limitBytes=7&stream=Stderr").unwrap();
        assert!(options.follow && options.timestamps && !options.previous);
        assert_eq!((options.tail_lines, options.limit_bytes), (Some(5), Some(7)));
        assert_eq!(options.since, Some(Timestamp::from_second(990).unwrap()));
        assert_eq!(options.stream.as_deref(), Some("Stderr"));
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        assert!(parse("tailLines=many").unwrap_err().contains("Unable to decode"));
        assert!(parse("sinceSeconds=0").unwrap_err().contains("sinceSeconds"));
        assert!(parse("limitBytes=-5").unwrap_err().contains("limitBytes"));
        assert!(parse("sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z").unwrap_err().contains("at most one"));
        assert_eq!(parse("tailLines=-1").unwrap().tail_lines, None);
    }
}
