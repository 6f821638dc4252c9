//! `Status`, the one error that goes out to clients: code, reason, message and details exactly as upstream builds them.
//!
//! Everything a handler can answer with instead of an object is made by a constructor here, so that code, reason and text are
//! decided in one place. [`Status::to_json`] gives the bytes upstream serves. Internal errors of modules are not this type:
//! they are turned into one where the answer is decided.
//!
//! Upstream: k8s.io/apimachinery/pkg/api/errors, metav1.Status.

mod constructors;
mod encode;
mod reason;

pub use constructors::OBJECT_MODIFIED;
pub use reason::Reason;

use std::fmt;

/// Whether an operation went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `status: Success`, as a deletion answers.
    Success,
    /// `status: Failure`.
    Failure,
}

/// The answer to a request that has no object to answer with. Upstream: metav1.Status.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Success or Failure.
    pub outcome: Outcome,
    /// HTTP status code.
    pub code: u16,
    /// Machine-readable reason.
    pub reason: Reason,
    /// Text for people; clients match it more than they should.
    pub message: String,
    /// What it is about.
    pub details: Option<Box<Details>>,
}

/// What a status is about. Upstream: metav1.StatusDetails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// Name of the object.
    pub name: String,
    /// Its API group.
    pub group: String,
    /// Its kind; for most errors the resource (`pods`), for validation errors the kind (`Pod`), as upstream.
    pub kind: String,
    /// Its uid.
    pub uid: String,
    /// Single faults.
    pub causes: Vec<Cause>,
    /// When to try again; also the Retry-After header. 0 is unset.
    pub retry_after_seconds: u32,
}

/// One fault among several. Upstream: metav1.StatusCause.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable reason, as `FieldValueInvalid`.
    pub reason: String,
    /// Text without the field.
    pub message: String,
    /// The field it is about.
    pub field: String,
}

impl Status {
    /// Adds a cause.
    #[must_use]
    pub fn with_cause(
        mut self,
        reason: impl Into<String>,
        message: impl Into<String>,
        field: impl Into<String>,
    ) -> Status {
        let cause = Cause { reason: reason.into(), message: message.into(), field: field.into() };
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// Sets the seconds to wait before the next try.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Status {
        self.details.get_or_insert_default().retry_after_seconds = seconds;
        self
    }

    /// The Retry-After header's value, if the client should try again.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0)
    }

    /// Whether a cause with this reason is among the details. Upstream: apierrors.HasStatusCause.
    pub fn has_cause(&self, reason: &str) -> bool {
        self.details.as_ref().is_some_and(|details| details.causes.iter().any(|cause| cause.reason == reason))
    }

    /// Reason NotFound. Upstream: apierrors.IsNotFound.
    pub fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }

    /// Reason AlreadyExists.
    pub fn is_already_exists(&self) -> bool {
        self.reason == Reason::AlreadyExists
    }

    /// Reason Conflict.
    pub fn is_conflict(&self) -> bool {
        self.reason == Reason::Conflict
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests;
