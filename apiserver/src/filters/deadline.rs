//! How long a request may take: `?timeout=`, at most and by default 60 s. Watches and streams have their own end.
//! Upstream: k8s.io/apiserver/pkg/endpoints/filters.WithRequestDeadline.

use std::time::Duration;

use api::status::Status;

use super::request_info::RequestInfo;
use crate::endpoints::query::Query;

/// Upstream: --request-timeout.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// None for long-running requests. Who asks for more than there is, or less than nothing, gets all there is.
pub(crate) fn of(info: &RequestInfo, query: &Query) -> Result<Option<Duration>, Status> {
    if info.is_long_running() {
        return Ok(None);
    }
    let Some(text) = query.get("timeout").filter(|text| !text.is_empty()) else { return Ok(Some(REQUEST_TIMEOUT)) };
    if text.strip_prefix('-').and_then(parse_duration).is_some() {
        return Ok(Some(REQUEST_TIMEOUT));
    }
    let timeout = parse_duration(text).ok_or_else(|| {
        Status::bad_request(format!(
            "invalid timeout specified in the request URL - time: invalid duration {}",
            api::go_text::quote(text)
        ))
    })?;
    Ok(Some(if timeout.is_zero() { REQUEST_TIMEOUT } else { timeout.min(REQUEST_TIMEOUT) }))
}

/// Go's time.ParseDuration for durations that are not negative.
fn parse_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|end| *end > 0)?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        rest = &rest[unit..];
        total += number * seconds;
    }
    Duration::try_from_secs_f64(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_takes_longer_than_all_may() {
        let of =
            |text: &str| super::of(&RequestInfo::default(), &Query::parse(&format!("timeout={text}"))).ok().flatten();
        assert_eq!(of("5s"), Some(Duration::from_secs(5)));
        for text in ["", "0", "-5s", "100h"] {
            assert_eq!(of(text), Some(REQUEST_TIMEOUT), "{text}");
        }
        assert_eq!(of("soon"), None);
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        for bad in ["", "abc", "5", "s", "-1s", "1x"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
