//! The three patch formats whose result is computed from the object and the patch alone: JSON patch ([`json`]), JSON merge
//! patch ([`merge`]) and strategic merge patch ([`strategic`]).
//!
//! All take the current object and give the patched one; neither is validated, defaulted or pruned here: the result is
//! decoded like any other body. Server-side apply is not here: it needs field ownership.
//!
//! Upstream: k8s.io/apiserver/pkg/endpoints/handlers/patch.go and the libraries below it.

pub mod json;
pub mod merge;
pub mod strategic;

use crate::meta::GroupResource;
use crate::status::Status;

/// Most operations a JSON patch may have.
pub const MAX_JSON_PATCH_OPERATIONS: usize = 10_000;

/// Why a patch was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// The patch is not of its format: 400 with this text.
    #[error("{0}")]
    Malformed(String),
    /// A JSON patch of this many operations: 413.
    #[error("The allowed maximum operations in a JSON patch is {MAX_JSON_PATCH_OPERATIONS}, got {0}")]
    TooManyOperations(usize),
    /// The patch does not fit the object: 422, whose text does not say why, as upstream.
    #[error("{0}")]
    NotApplicable(String),
    /// Anything else: 500 with this text and no reason, as upstream.
    #[error("{0}")]
    Failed(String),
}

impl From<Error> for Status {
    fn from(error: Error) -> Status {
        let text = error.to_string();
        match error {
            Error::Malformed(_) => Status::bad_request(text),
            Error::TooManyOperations(_) => Status::request_entity_too_large(&text),
            Error::NotApplicable(_) => Status::generic(422, "", &GroupResource::default(), "", &text),
            Error::Failed(_) => Status::unknown(500, text),
        }
    }
}

#[cfg(test)]
mod tests;
