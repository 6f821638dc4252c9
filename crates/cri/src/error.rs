//! What a call to the runtime can end in.

use tonic::{Code, Status};

/// A failed call to the container runtime.
///
/// The texts are those of a gRPC error as Go prints it, since they end up in event and status messages that users know.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Nobody answers at the endpoint: not started yet, restarting, or the wrong path. Worth trying again.
    #[error("container runtime at {endpoint} is not reachable: {reason}")]
    Unavailable {
        /// The socket that was tried.
        endpoint: String,
        /// The transport's words.
        reason: String,
    },
    /// The sandbox, container or image named in the call does not exist.
    #[error("rpc error: code = NotFound desc = {message}")]
    NotFound {
        /// The runtime's words.
        message: String,
    },
    /// No answer within the time the call allows.
    #[error("rpc error: code = DeadlineExceeded desc = context deadline exceeded")]
    Timeout {
        /// The call that was given up.
        call: &'static str,
    },
    /// The runtime does not know this call.
    #[error("rpc error: code = Unimplemented desc = {call}")]
    Unimplemented {
        /// The call that is missing.
        call: &'static str,
    },
    /// Every other answer.
    #[error("rpc error: code = {code:?} desc = {message}")]
    Rpc {
        /// gRPC's code.
        code: Code,
        /// The runtime's words.
        message: String,
    },
}

impl Error {
    pub(crate) fn from_status(endpoint: &str, call: &'static str, status: Status) -> Self {
        match status.code() {
            Code::Unavailable => {
                Self::Unavailable { endpoint: endpoint.to_owned(), reason: innermost(&status).to_owned() }
            }
            Code::NotFound => Self::NotFound { message: status.message().to_owned() },
            Code::DeadlineExceeded => Self::Timeout { call },
            Code::Unimplemented => Self::Unimplemented { call },
            code => Self::Rpc { code, message: status.message().to_owned() },
        }
    }

    /// Whether the thing the call names is not there (any more): for removals that is success.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// The runtime's own words, without the code.
    pub fn message(&self) -> String {
        match self {
            Self::NotFound { message } | Self::Rpc { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

/// The transport wraps the cause in layers that say nothing: "transport error", "tcp connect error".
fn innermost(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}
