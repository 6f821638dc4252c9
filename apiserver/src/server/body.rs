//! Bodies of requests and responses, the same for TLS connections and in-process calls.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::BoxBody;

/// Any error of a body.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// A request's body, wherever it came from.
pub type RequestBody = BoxBody<Bytes, BoxError>;

/// Chunks made while they are sent.
pub type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// A response's body: known bytes, or chunks made while they are sent (large lists, watches, logs).
pub struct Body(Kind);

enum Kind {
    Full(Option<Bytes>),
    Stream(Chunks),
}

impl Body {
    /// No body.
    pub fn empty() -> Body {
        Body(Kind::Full(None))
    }

    /// Chunks made while they are sent.
    pub fn stream(chunks: impl Stream<Item = Result<Bytes, BoxError>> + Send + 'static) -> Body {
        Body(Kind::Stream(Box::pin(chunks)))
    }

    /// Keeps something for as long as chunks may come; a body that is known whole needs nothing more.
    pub(crate) fn holding(self, kept: impl Send + 'static) -> Body {
        match self.0 {
            Kind::Full(_) => self,
            Kind::Stream(chunks) => Body(Kind::Stream(Box::pin(Holding { chunks, _kept: kept }))),
        }
    }

    /// The bytes of a body that is known whole.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Full(bytes) => bytes.as_ref(),
            Kind::Stream(_) => None,
        }
    }
}

/// See [`Body::holding`].
struct Holding<T> {
    chunks: Chunks,
    _kept: T,
}

// The chunks are pinned in a box of their own, and what is kept is only dropped.
impl<T> Unpin for Holding<T> {}

impl<T> Stream for Holding<T> {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.chunks.as_mut().poll_next(cx)
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Body {
        let bytes = bytes.into();
        Body(Kind::Full((!bytes.is_empty()).then_some(bytes)))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Full(bytes) => write!(f, "Body({} bytes)", bytes.as_ref().map_or(0, Bytes::len)),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.0 {
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(chunks) => {
                chunks.as_mut().poll_next(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Kind::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}
