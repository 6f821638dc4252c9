//! `matchConditions`: expressions that must all hold before anything else is looked at.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions.

use expressions::{Environment, Type, Value};
use serde_json::Value as Json;

use super::conditions::{Evaluator, Expression, OUT_OF_BUDGET};

/// Compiled conditions.
#[derive(Debug, Default)]
pub(crate) struct MatchConditions {
    conditions: Vec<Condition>,
}

#[derive(Debug)]
struct Condition {
    name: String,
    expression: Expression,
}

/// What the conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Holds,
    /// The condition of this name does not hold.
    Fails(String),
    /// None is false, but some have no value.
    Errs(String),
}

impl MatchConditions {
    /// Of `matchConditions`.
    pub(crate) fn compile(environment: &Environment, conditions: &Json) -> MatchConditions {
        let conditions = conditions.as_array().into_iter().flatten().map(|condition| Condition {
            name: condition["name"].as_str().unwrap_or_default().to_owned(),
            expression: Expression::compile(
                environment,
                condition["expression"].as_str().unwrap_or_default(),
                &[Type::Bool],
            ),
        });
        MatchConditions { conditions: conditions.collect() }
    }

    /// Are there none?
    pub(crate) fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// All, in their order.
    pub(crate) fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.conditions.iter().map(|condition| &condition.expression)
    }

    /// Evaluates all.
    pub(crate) fn verdict(&self, evaluator: &mut Evaluator<'_>) -> Verdict {
        let mut errors: Vec<String> = Vec::new();
        let mut first_false = None;
        for condition in &self.conditions {
            match evaluator.evaluate(&condition.expression) {
                Ok(Ok(Value::Bool(true))) => {}
                Ok(Ok(_)) => first_false = first_false.or_else(|| Some(condition.name.clone())),
                Ok(Err(why)) => {
                    if !errors.contains(&why) {
                        errors.push(why);
                    }
                }
                Err(_) => return Verdict::Errs(OUT_OF_BUDGET.to_owned()),
            }
        }
        match (first_false, errors.as_slice()) {
            (Some(name), _) => Verdict::Fails(name),
            (None, []) => Verdict::Holds,
            (None, [one]) => Verdict::Errs(one.clone()),
            (None, several) => Verdict::Errs(format!("[{}]", several.join(", "))),
        }
    }
}
