//! `--cors-allowed-origins`: which pages of other origins may use the API from a browser.
//! Upstream: k8s.io/apiserver/pkg/server/filters.WithCORS.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use regex::Regex;

use crate::server::body::Body;

const ANSWERS: [(HeaderName, HeaderValue); 4] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE, PATCH")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since",
        ),
    ),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Date")),
    (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
];

const HELP: &str = "List of allowed origins for CORS, comma separated. An allowed origin can be a regular expression to support subdomain matching. If this list is empty CORS will not be enabled. Please ensure each expression matches the entire hostname by anchoring to the start with '^' or including the '//' prefix, and by anchoring to the end with '$' or including the ':' port separator suffix. Examples of valid expressions are '//example\\.com(:|$)' and '^https://example\\.com(:|$)'";

/// Why a list of origins is refused.
#[derive(Debug, thiserror::Error)]
#[error("--cors-allowed-origins has an invalid regular expression: {0}, help: {HELP}")]
pub struct Error(String);

/// The origins allowed; none by default.
#[derive(Clone, Debug, Default)]
pub struct Cors(Vec<Regex>);

impl Cors {
    /// Of regular expressions, each of which must hold the host at both of its ends.
    ///
    /// # Errors
    /// One does not, or is none.
    pub fn new(origins: &[&str]) -> Result<Cors, Error> {
        let compile = |origin: &&str| {
            let expression = Regex::new(origin).map_err(|error| Error(error.to_string()))?;
            let pinned = |marks: [&str; 2]| marks.iter().any(|mark| origin.contains(mark));
            match pinned(["^", "//"]) && pinned(["$", ":"]) {
                true => Ok(expression),
                false => {
                    Err(Error("regular expression does not pin to start/end of host in the origin header".to_owned()))
                }
            }
        };
        origins.iter().map(compile).collect::<Result<_, _>>().map(Cors)
    }

    /// The origin of a request, if it may be answered.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.0.iter().any(|own| own.is_match(text)).then(|| origin.clone())
    }
}

/// A browser asks before it sends the request itself.
pub(crate) fn is_preflight<T>(request: &Request<T>) -> bool {
    request.method() == Method::OPTIONS
}

/// What a preflight is answered.
pub(crate) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// Tells the browser that a page of this origin may see the answer.
pub(crate) fn mark(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.extend(ANSWERS);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(cors: &Cors, origin: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
        cors.allowed(&headers).is_some()
    }

    #[test]
    fn origins_are_matched_whole() {
        let cors = Cors::new(&[r"//example\.com(:|$)"]).unwrap();
        assert!(allowed(&cors, "https://example.com") && allowed(&cors, "https://example.com:8443"));
        assert!(!allowed(&cors, "https://example.com.evil.net") && !allowed(&Cors::default(), "https://example.com"));
    }

    #[test]
    fn an_expression_that_holds_only_a_part_of_the_host_is_refused() {
        let refusal = Cors::new(&["example"]).unwrap_err().to_string();
        assert!(refusal.contains("does not pin to start/end of host"), "{refusal}");
        assert!(Cors::new(&["//("]).is_err());
    }
}
