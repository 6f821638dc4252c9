//! A policy compiled for its validation: what does not compile, as errors of the fields it stands in.
//! Upstream: validateCELCondition, findValidatingPolicyPreexistingExpressions.

use api::field::{Error, ErrorList};
use json::Value;

use super::conditions::{Expression, Variable};
use super::definition::{Mutation, Mutations, Validations};
use super::known::Known;
use super::match_conditions::MatchConditions;
use crate::registry::fields::At;

/// A policy, compiled as it is written.
pub(crate) struct Compiled(Own);

enum Own {
    Validating(Validations),
    Mutating(Mutations),
}

impl Compiled {
    /// Of a spec; expressions that stood in the same place before are stored ones.
    pub(crate) fn new(mutating: bool, spec: &Value, old: Option<&Value>) -> Compiled {
        let known = old.map_or_else(Known::nothing, Known::of_policy);
        Compiled(match mutating {
            true => Own::Mutating(Mutations::compile(spec, &known)),
            false => Own::Validating(Validations::compile(spec, &known)),
        })
    }

    /// The match conditions.
    pub(crate) fn conditions(&self) -> &MatchConditions {
        match &self.0 {
            Own::Validating(own) => &own.match_conditions,
            Own::Mutating(own) => &own.match_conditions,
        }
    }

    /// Reports `variables[index]`, which stands at `at`.
    pub(crate) fn variable(&self, index: usize, at: &At<'_>, errors: &mut ErrorList) {
        let variables: &[Variable] = match &self.0 {
            Own::Validating(own) => &own.variables,
            Own::Mutating(own) => &own.variables,
        };
        report(&at.field("expression"), variables.get(index).map(|variable| &variable.expression), errors);
    }

    /// Reports `validations[index]`.
    pub(crate) fn validation(&self, index: usize, at: &At<'_>, errors: &mut ErrorList) {
        let Own::Validating(own) = &self.0 else { return };
        let Some(validation) = own.validations.get(index) else { return };
        report(&at.field("expression"), Some(&validation.expression), errors);
        report(&at.field("messageExpression"), validation.message_expression.as_ref(), errors);
    }

    /// Reports `auditAnnotations[index]`.
    pub(crate) fn annotation(&self, index: usize, at: &At<'_>, errors: &mut ErrorList) {
        let Own::Validating(own) = &self.0 else { return };
        let expression = own.audit_annotations.get(index).map(|(_, expression)| expression);
        report(&at.field("valueExpression"), expression, errors);
    }

    /// Reports `mutations[index]`.
    pub(crate) fn mutation(&self, index: usize, at: &At<'_>, errors: &mut ErrorList) {
        let Own::Mutating(own) = &self.0 else { return };
        match own.mutations.get(index) {
            Some(Mutation::Apply(expression)) => {
                report(&at.field("applyConfiguration").field("expression"), Some(expression), errors);
            }
            Some(Mutation::JsonPatch(expression)) => {
                report(&at.field("jsonPatch").field("expression"), Some(expression), errors);
            }
            None => {}
        }
    }
}

/// What is empty is told of elsewhere.
pub(crate) fn report(at: &At<'_>, expression: Option<&Expression>, errors: &mut ErrorList) {
    let Some(Expression { text, program: Err(why) }) = expression else { return };
    if !text.trim().is_empty() {
        errors.push(Error::invalid(&at.path, text.as_str(), why.as_str()));
    }
}
