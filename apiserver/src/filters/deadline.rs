//! How long a request may take: `?timeout=`, at most and by default 60 s. Watches and streams have their own end.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters.WithRequestDeadline.

use std::time::Duration;

use api::status::Status;
use component::duration::GoDuration;

use super::request_info::RequestInfo;
use crate::endpoints::query::Query;

/// None for long-running requests. Who asks for more than there is (`longest`, of `--request-timeout`), or less than nothing,
/// gets all there is.
pub(crate) fn of(info: &RequestInfo, query: &Query, longest: Duration) -> Result<Option<Duration>, Status> {
    if info.is_long_running() {
        return Ok(None);
    }
    let Some(text) = query.get("timeout").filter(|text| !text.is_empty()) else { return Ok(Some(longest)) };
    if text.strip_prefix('-').is_some_and(|text| text.parse::<GoDuration>().is_ok()) {
        return Ok(Some(longest));
    }
    let GoDuration(timeout) = text.strip_prefix('+').unwrap_or(text).parse().map_err(|_| {
        Status::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration {}",
            api::go_text::quote(text)
        ))
    })?;
    Ok(Some(if timeout.is_zero() { longest } else { timeout.min(longest) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_takes_longer_than_all_may() {
        const LONGEST: Duration = Duration::from_secs(60);
        let of = |text: &str| {
            super::of(&RequestInfo::default(), &Query::parse(&format!("timeout={text}")), LONGEST).ok().flatten()
        };
        assert_eq!(of("5s"), Some(Duration::from_secs(5)));
        for text in ["", "0", "-5s", "100h"] {
            assert_eq!(of(text), Some(LONGEST), "{text}");
        }
        assert_eq!(of("soon"), None);
    }
}
