//! The machine-readable reason of a status.

/// Upstream: metav1.StatusReason. [`Reason::Custom`] carries what webhooks and aggregated servers make up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Empty: none was given.
    #[default]
    Unknown,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 409 on create.
    AlreadyExists,
    /// 409 on update, or a failed precondition.
    Conflict,
    /// 410.
    Gone,
    /// 422, validation.
    Invalid,
    /// 500, try again.
    ServerTimeout,
    /// 500, the stored bytes cannot be read.
    StorageReadError,
    /// 504.
    Timeout,
    /// 429.
    TooManyRequests,
    /// 400.
    BadRequest,
    /// 405.
    MethodNotAllowed,
    /// 406.
    NotAcceptable,
    /// 413.
    RequestEntityTooLarge,
    /// 415.
    UnsupportedMediaType,
    /// 500.
    InternalError,
    /// 410, a resource version or continue token is too old.
    Expired,
    /// 503.
    ServiceUnavailable,
    /// Any other text.
    Custom(String),
}

/// Every named reason with its text.
const NAMES: &[(Reason, &str)] = &[
    (Reason::Unknown, ""),
    (Reason::Unauthorized, "Unauthorized"),
    (Reason::Forbidden, "Forbidden"),
    (Reason::NotFound, "NotFound"),
    (Reason::AlreadyExists, "AlreadyExists"),
    (Reason::Conflict, "Conflict"),
    (Reason::Gone, "Gone"),
    (Reason::Invalid, "Invalid"),
    (Reason::ServerTimeout, "ServerTimeout"),
    (Reason::StorageReadError, "StorageReadError"),
    (Reason::Timeout, "Timeout"),
    (Reason::TooManyRequests, "TooManyRequests"),
    (Reason::BadRequest, "BadRequest"),
    (Reason::MethodNotAllowed, "MethodNotAllowed"),
    (Reason::NotAcceptable, "NotAcceptable"),
    (Reason::RequestEntityTooLarge, "RequestEntityTooLarge"),
    (Reason::UnsupportedMediaType, "UnsupportedMediaType"),
    (Reason::InternalError, "InternalError"),
    (Reason::Expired, "Expired"),
    (Reason::ServiceUnavailable, "ServiceUnavailable"),
];

impl Reason {
    /// The text in the answer.
    pub fn as_str(&self) -> &str {
        match self {
            Reason::Custom(text) => text,
            named => NAMES.iter().find(|(reason, _)| reason == named).map_or("", |(_, text)| text),
        }
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Reason {
        NAMES
            .iter()
            .find(|(_, name)| *name == text)
            .map_or_else(|| Reason::Custom(text.to_owned()), |(reason, _)| reason.clone())
    }
}
