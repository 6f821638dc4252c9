//! Why a reconcile failed. Only the kinds some controller branches on are told apart.

/// A reconcile's failure; the worker logs it once and queues the key again with back-off.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refused, or could not be reached.
    #[error("{method} {path}: {}", api_message(source))]
    Request {
        /// HTTP method.
        method: &'static str,
        /// Path asked for.
        path: String,
        /// What the client said.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object's name does not make a valid URL.
    #[error("no valid request path: {path}")]
    Path {
        /// The path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: http::Error,
    },
    /// The answer is not the kind asked for.
    #[error("{path}: unexpected answer")]
    Decode {
        /// Path asked for.
        path: String,
        /// What does not fit.
        #[source]
        source: serde_json::Error,
    },
    /// The object itself cannot be worked on (an invalid selector and the like); only a change of it helps.
    #[error("{object}: {message}")]
    Invalid {
        /// Kind and name.
        object: String,
        /// What is wrong.
        message: String,
    },
    /// The caches are known to lag behind our own writes: try again soon.
    #[error("{object}: {message}")]
    Stale {
        /// Kind and name.
        object: String,
        /// What is awaited.
        message: String,
    },
}

fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

impl Error {
    fn status(&self) -> Option<&kube::core::Status> {
        match self {
            Self::Request { source, .. } => match &**source {
                kube::Error::Api(status) => Some(status),
                _ => None,
            },
            _ => None,
        }
    }

    fn has_reason(&self, reason: &str) -> bool {
        self.status().is_some_and(|status| status.reason == reason)
    }

    /// The server's message as clients see it, without our own context.
    pub fn api_message(&self) -> String {
        self.status().map_or_else(|| self.to_string(), |status| status.message.clone())
    }

    /// 404.
    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    /// The object changed since it was read.
    pub fn is_conflict(&self) -> bool {
        self.has_reason("Conflict")
    }

    /// The name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.has_reason("AlreadyExists")
    }

    /// 422.
    pub fn is_invalid(&self) -> bool {
        self.has_reason("Invalid")
    }

    /// 403.
    pub fn is_forbidden(&self) -> bool {
        self.has_reason("Forbidden")
    }

    /// 415: the resource cannot be patched this way.
    pub(crate) fn is_unsupported_media_type(&self) -> bool {
        self.status().is_some_and(|status| status.code == 415)
    }

    /// The resource does not support the verb.
    pub fn is_method_not_supported(&self) -> bool {
        self.status().is_some_and(|status| status.code == 405)
    }

    /// Nothing can be created in this namespace any more.
    pub fn is_namespace_terminating(&self) -> bool {
        self.status()
            .and_then(|status| status.details.as_ref())
            .is_some_and(|details| details.causes.iter().any(|cause| cause.reason == "NamespaceTerminating"))
    }
}
