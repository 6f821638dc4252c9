//! Field paths and validation errors: what a validator returns and what a 422 answer lists as causes.
//!
//! [`Path`] names a place in an object, [`Error`] says what is wrong there, [`ErrorList`] collects them all: validation never
//! stops at the first. Texts are exactly upstream's, since clients and tests match them.
//!
//! Upstream: k8s.io/apimachinery/pkg/util/validation/field.

mod error;
mod path;

pub use error::{BadValue, Error, ErrorList, ErrorType, aggregate};
pub use path::Path;

#[cfg(test)]
mod tests;
