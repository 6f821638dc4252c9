//! CEL, the Common Expression Language, as Kubernetes speaks it: checked for types beforehand, with Kubernetes' libraries, at
//! bounded cost.
//!
//! An [`Environment`] declares what an expression may name. It makes a [`Checked`] expression of a text (or upstream's error, with
//! the line and a mark), whose cost can be estimated, and a [`Program`] of that, which is evaluated over [`Value`]s that borrow
//! from the objects they come from. A [`Schema`] tells the types and sizes of an object's fields.
//!
//! Pure: no I/O, no clock, no store; nothing panics on input, depth is bounded. What the words mean to admission or to custom
//! resources is known there (`apiserver`), not here.
//!
//! Upstream: cel-go, k8s.io/apiserver/pkg/cel.

pub mod admission;
mod check;
mod environment;
mod eval;
mod library;
mod moment;
pub mod schema;
mod source;
mod syntax;
#[cfg(test)]
mod tests;
mod types;
mod value;

pub use check::{SchemaSizes, SizeEstimate, Sizes, UnknownSizes};
pub use environment::{Checked, CompileError, Environment};
pub use eval::{Evaluation, Failure, MATCH_CONDITIONS_BUDGET, Meter, PER_CALL_LIMIT, Program, RUNTIME_COST_BUDGET};
pub use library::{Authorization, AuthorizationRequest, Authorize, AuthorizeDecision, Cidr, Format, Semver, Url};
pub use moment::Moment;
pub use schema::Schema;
pub use source::Issue;
pub use types::Type;
pub use value::{Lazy, List, Map, Message, Text, Value};
