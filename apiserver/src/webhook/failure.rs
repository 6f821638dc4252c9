//! Why a webhook could not be asked, or did not answer, in the words of upstream's client.
//! Upstream: client-go/rest.Request.transformResponse, apimachinery/pkg/api/errors.NewGenericServerResponse, net/http, crypto/tls.

use std::error::Error as StdError;
use std::io;

use api::meta::GroupResource;
use api::status::Status;
use bytes::Bytes;
use http::response::Parts;

/// A call that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither address is given.
    #[error("webhook configuration must have either service or URL")]
    Nowhere,
    /// The URL is none.
    #[error("Unparsable URL: {0}")]
    Url(String),
    /// The caBundle holds no certificate.
    #[error("unable to load root certificates: {0}")]
    Roots(#[from] BadBundle),
    /// TLS cannot be set up.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// There was no answer.
    #[error("Post {url:?}: {cause}")]
    Post { url: String, cause: Cause },
    /// There was no document.
    #[error("Get {url:?}: {cause}")]
    Get { url: String, cause: Cause },
    /// The time was over while the webhook wanted to be left alone.
    #[error("{0}")]
    Waiting(Cause),
    /// The answer broke off.
    #[error("unexpected error when reading response body. Please retry. Original error: {0}")]
    Body(Cause),
    /// The answer is larger than [`super::MAX_ANSWER`].
    #[error("the response body is larger than {} bytes", super::MAX_ANSWER)]
    TooLarge,
    /// The answer is empty.
    #[error("0-length response with status code: {code} and content type: {content_type}")]
    Empty { code: u16, content_type: String },
    /// The answer's status code is none of success.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
}

/// Why a caBundle holds no certificate. Upstream: client-go/transport.createErrorParsingCAData.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBundle {
    /// It is no text of PEM.
    #[error("unable to parse bytes as PEM block")]
    NotPem,
    /// What it holds is no certificate.
    #[error("failed to parse certificate: x509: malformed certificate")]
    Malformed,
    /// It holds other things.
    #[error("no valid certificate authority data seen")]
    NoAuthority,
}

impl Error {
    /// May the same question be answered in a moment? Upstream: webhook.DefaultShouldRetry.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Error::Post { cause: Cause::Other(why), .. } => why.ends_with("connection reset by peer"),
            Error::Refused(status) => matches!(status.code, 429 | 500 | 504) || status.retry_after_seconds().is_some(),
            _ => false,
        }
    }
}

/// What happened on the way.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// The time given is over.
    #[error("context deadline exceeded")]
    Deadline,
    /// The Service leads nowhere.
    #[error("{0}")]
    Service(String),
    /// No connection.
    #[error("dial tcp {address}: {why}")]
    Dial { address: String, why: String },
    /// The name is not known.
    #[error("dial tcp: lookup {host}: no such host")]
    Lookup { host: String },
    /// The handshake failed.
    #[error("{0}")]
    Handshake(String),
    /// The connection ended before an answer began.
    #[error("EOF")]
    Eof,
    /// The connection ended within the answer.
    #[error("unexpected EOF")]
    UnexpectedEof,
    /// Something else.
    #[error("{0}")]
    Other(String),
}

impl Cause {
    /// Of a connection that was not made.
    pub(crate) fn dial(address: &str, error: &io::Error) -> Cause {
        let why = match error.kind() {
            io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            io::ErrorKind::ConnectionReset => "connect: connection reset by peer".to_owned(),
            io::ErrorKind::TimedOut => "connect: connection timed out".to_owned(),
            _ => error.to_string(),
        };
        Cause::Dial { address: address.to_owned(), why }
    }

    /// Of a handshake that failed. Verifiers say why in their own words.
    pub(crate) fn handshake(error: &io::Error) -> Cause {
        let text = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::Other(said)) => said.0.to_string(),
            Some(rustls::Error::InvalidMessage(_)) => "tls: first record does not look like a TLS handshake".to_owned(),
            Some(rustls::Error::AlertReceived(alert)) => format!("remote error: tls: {alert:?}"),
            Some(other) => format!("tls: {other}"),
            None if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            None => error.to_string(),
        };
        Cause::Handshake(text)
    }

    /// Of what the HTTP client says: our own cause where there is one below.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Cause {
        let mut below = Some(error);
        while let Some(error) = below {
            if let Some(cause) = error.downcast_ref::<Cause>() {
                return cause.clone();
            }
            if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
                return Cause::Eof;
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return match io.kind() {
                    io::ErrorKind::UnexpectedEof => Cause::Eof,
                    io::ErrorKind::ConnectionReset => Cause::Other("read: connection reset by peer".to_owned()),
                    _ => Cause::Other(io.to_string()),
                };
            }
            below = error.source();
        }
        Cause::Other(error.to_string())
    }
}

/// How much of a text is told. Upstream: client-go/rest.maxUnstructuredResponseTextBytes.
const MAX_TEXT: usize = 2048;

/// Is the body for people? Upstream: client-go/rest.isTextResponse.
fn is_text(head: &Parts) -> bool {
    let content_type = head.headers.get(http::header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    content_type.is_none_or(|named| named.is_empty() || named.starts_with(b"text/"))
}

/// What an answer's head alone says. A `Status` in the body speaks for itself.
pub(super) fn of_answer(head: &Parts, body: &Bytes) -> Result<(), Error> {
    let code = head.status.as_u16();
    if !(200..=206).contains(&code) {
        let said = json::from_slice(body).ok().and_then(|body| Status::from_value(&body));
        let said = said.filter(|status| status.outcome == api::status::Outcome::Failure);
        let generic = || {
            let text = String::from_utf8_lossy(&body[..body.len().min(MAX_TEXT)]).into_owned();
            let text = if is_text(head) { text.trim() } else { "unknown" };
            Status::generic(code, "POST", &GroupResource::default(), "", text)
        };
        return Err(Error::Refused(Box::new(said.unwrap_or_else(generic))));
    }
    if body.is_empty() {
        let content_type = head.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        return Err(Error::Empty { code, content_type: content_type.unwrap_or("application/json").to_owned() });
    }
    Ok(())
}
