//! SPDY/3.1, as much of it as exec, attach and port-forward speak: streams with headers over one upgraded connection.
//! [`websocket`] joins clients to it that speak WebSocket.
//!
//! Main types: [`Session`] (either side of a connection) and [`Stream`]. A session is two tasks, one that reads frames and
//! one that writes them; both end with the connection. Each stream buffers a bounded number of chunks: a reader that does
//! not keep up stops the connection, as the protocol's users (moby/spdystream) have no flow control either.
//! Never here: HTTP requests over SPDY, push, settings; what arrives of them is passed over.
//! Reference: the SPDY protocol draft 3.1.

mod dictionary;
mod frame;
#[cfg(test)]
mod fuzz;
mod headers;
mod session;
pub mod websocket;

pub use session::{Session, Stream, StreamReader, StreamWriter};

/// Names with values; a name may appear more than once.
pub type Headers = Vec<(String, String)>;

/// What ends a session or a stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed.
    #[error("the SPDY connection failed: {0}")]
    Connection(#[from] std::io::Error),
    /// The other side broke the protocol or a limit.
    #[error("SPDY protocol error: {0}")]
    Protocol(&'static str),
    /// The session or the stream has ended.
    #[error("the SPDY stream is closed")]
    Closed,
}
