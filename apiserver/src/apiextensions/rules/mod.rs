//! `x-kubernetes-validations`: what a schema demands in CEL.
//!
//! [`Rules::compile`] is called once a version, when its schema is first needed; [`Rules::validate`] on each create and
//! update, of the status too, behind everything else, and not on an object whose shape is wrong already. [`check_definition`] is
//! for definitions: what does not compile or costs too much is refused there.
//! Upstream: apiextensions-apiserver/pkg/apiserver/schema/cel.

mod check;
mod compile;
mod evaluate;
#[cfg(test)]
mod tests;

pub(crate) use check::check_definition;
pub(super) use compile::field_path;

use api::field::ErrorList;
use api::structural::Node;
use expressions::RUNTIME_COST_BUDGET;
use json::Value;

use self::compile::Place;

/// The compiled rules of a version.
#[derive(Debug)]
pub struct Rules {
    root: Place,
}

impl Rules {
    /// The rules of a schema (`openAPIV3Schema` as it was written, and compiled); None if it has none.
    pub fn compile(schema: &Value, node: Option<&Node>) -> Option<Rules> {
        node?;
        Place::compile(schema, true, true).map(|root| Rules { root })
    }

    /// What the rules say of an object; `old` is the one it replaces.
    pub fn validate(&self, _node: &Node, new: &Value, old: Option<&Value>) -> ErrorList {
        evaluate::evaluate(&self.root, new, old, RUNTIME_COST_BUDGET)
    }
}
