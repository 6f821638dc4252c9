//! A policy compiled for its validation: what does not compile, as errors of the fields it stands in.
//! Upstream: validateCELCondition, findValidatingPolicyPreexistingExpressions.

use api::field::{Error, ErrorList};
use serde_json::Value;

use super::conditions::{Expression, Variable};
use super::definition::{Mutation, Mutations, Validations};
use super::match_conditions::MatchConditions;
use crate::registry::fields::At;

/// A policy, compiled as it is written.
pub(crate) struct Compiled(Own);

enum Own {
    Validating(Validations),
    Mutating(Mutations),
}

/// Which expressions are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    MatchConditions,
    Variables,
    Validations,
    Mutations,
}

impl Compiled {
    /// Of a spec; where it is as it was, its expressions are stored ones.
    pub(crate) fn new(mutating: bool, spec: &Value, old: Option<&Value>) -> Compiled {
        let stored = old == Some(spec);
        Compiled(match mutating {
            true => Own::Mutating(Mutations::compile(spec, stored)),
            false => Own::Validating(Validations::compile(spec, stored)),
        })
    }

    /// The errors of some of its expressions; `spec` is where they stand.
    pub(crate) fn report(&self, spec: &At<'_>, texts: Texts, errors: &mut ErrorList) {
        let (variables, conditions): (&[Variable], &MatchConditions) = match &self.0 {
            Own::Validating(own) => (&own.variables, &own.match_conditions),
            Own::Mutating(own) => (&own.variables, &own.match_conditions),
        };
        match (texts, &self.0) {
            (Texts::MatchConditions, _) => {
                for (at, expression) in spec.field("matchConditions").items().zip(conditions.expressions()) {
                    report(&at.field("expression"), expression, errors);
                }
            }
            (Texts::Variables, _) => {
                for (at, variable) in spec.field("variables").items().zip(variables) {
                    report(&at.field("expression"), &variable.expression, errors);
                }
            }
            (Texts::Validations, Own::Validating(own)) => {
                for (at, validation) in spec.field("validations").items().zip(&own.validations) {
                    report(&at.field("expression"), &validation.expression, errors);
                    if let Some(message) = &validation.message_expression {
                        report(&at.field("messageExpression"), message, errors);
                    }
                }
                for (at, (_, expression)) in spec.field("auditAnnotations").items().zip(&own.audit_annotations) {
                    report(&at.field("valueExpression"), expression, errors);
                }
            }
            (Texts::Mutations, Own::Mutating(own)) => {
                for (at, mutation) in spec.field("mutations").items().zip(&own.mutations) {
                    match mutation {
                        Mutation::Apply(expression) => {
                            report(&at.field("applyConfiguration").field("expression"), expression, errors);
                        }
                        Mutation::JsonPatch(expression) => {
                            report(&at.field("jsonPatch").field("expression"), expression, errors);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// The errors of the match conditions of a webhook.
pub(crate) fn report_conditions(conditions: &At<'_>, errors: &mut ErrorList) {
    let compiled = MatchConditions::of_webhook(conditions.value, false);
    for (at, expression) in conditions.items().zip(compiled.expressions()) {
        report(&at.field("expression"), expression, errors);
    }
}

/// What is empty is told of elsewhere.
fn report(at: &At<'_>, expression: &Expression, errors: &mut ErrorList) {
    if let Err(why) = &expression.program
        && !expression.text.trim().is_empty()
    {
        errors.push(Error::invalid(&at.path, expression.text.as_str(), why.as_str()));
    }
}
