//! How requests and connections are treated, whoever asks for whatever. Everything that is not said is upstream's default.

use std::time::Duration;

use http::HeaderValue;

use crate::filters::cors::Cors;

/// See the module header.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The process's flags and their values, for `/flagz`.
    pub flags: Vec<(String, String)>,
    /// `--profiling`
    pub profiling: bool,
    /// `--request-timeout`
    pub request_timeout: Duration,
    /// `--min-request-timeout`: watches without a time of their own last this long, or up to twice that.
    pub min_request_timeout: Duration,
    /// `--cors-allowed-origins`
    pub cors: Cors,
    /// `--strict-transport-security-directives`, as the header has them.
    pub strict_transport_security: Option<HeaderValue>,
    /// `--goaway-chance`: how many of a request on HTTP/2 is the last of its connection.
    pub goaway_chance: f64,
    /// `--livez-grace-period`
    pub livez_grace_period: Duration,
    /// `--shutdown-delay-duration`: how long everything is served on after a signal, while `/readyz` says otherwise.
    pub shutdown_delay: Duration,
    /// `--http2-max-streams-per-connection`; None is [`DEFAULT_STREAMS`].
    pub http2_max_streams: Option<u32>,
}

/// Streams of one connection at a time.
pub(super) const DEFAULT_STREAMS: u32 = 250;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            flags: Vec::new(),
            profiling: true,
            request_timeout: Duration::from_secs(60),
            min_request_timeout: Duration::from_secs(1800),
            cors: Cors::default(),
            strict_transport_security: None,
            goaway_chance: 0.0,
            livez_grace_period: Duration::ZERO,
            shutdown_delay: Duration::ZERO,
            http2_max_streams: None,
        }
    }
}

/// Why directives are no value for `Strict-Transport-Security`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DirectiveError {
    /// One is missing.
    #[error("empty value in strict-transport-security-directives")]
    Empty,
    /// One is unknown.
    #[error(
        "--strict-transport-security-directives invalid, allowed values: max-age=expireTime, includeSubDomains, preload. see https://tools.ietf.org/html/rfc6797#section-6.1 for more information"
    )]
    Unknown,
}

/// The header's value; None of no directives. Upstream: options.validateHSTSDirectives.
///
/// # Errors
/// See [`DirectiveError`].
pub fn strict_transport_security(directives: &[&str]) -> Result<Option<HeaderValue>, DirectiveError> {
    for directive in directives {
        if directive.trim().is_empty() {
            return Err(DirectiveError::Empty);
        }
        let max_age = directive.split_once('=').is_some_and(|(key, value)| key == "max-age" && !value.contains('='));
        if !max_age && !matches!(*directive, "includeSubDomains" | "preload") {
            return Err(DirectiveError::Unknown);
        }
    }
    if directives.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(&directives.join("; ")).map(Some).map_err(|_| DirectiveError::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_those_of_the_rfc() {
        let value = strict_transport_security(&["max-age=31536000", "includeSubDomains"]).unwrap();
        assert_eq!(value.unwrap(), "max-age=31536000; includeSubDomains");
        assert_eq!(strict_transport_security(&[]).unwrap(), None);
        assert_eq!(strict_transport_security(&["max-age"]).unwrap_err(), DirectiveError::Unknown);
        assert_eq!(strict_transport_security(&[" "]).unwrap_err(), DirectiveError::Empty);
    }
}
