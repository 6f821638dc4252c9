//! `matchConditions`: expressions that must all hold before anything else is looked at.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions.

use api::meta::GroupVersionKind;
use expressions::admission::{Declared, environment};
use expressions::{Environment, MATCH_CONDITIONS_BUDGET, Type, Value};
use json::Value as Json;

use super::conditions::{Evaluator, Expression, Inputs, OUT_OF_BUDGET, request};
use super::known::{Known, Place};
use crate::admission::webhook::Asked;
use crate::registry::resource::Resource;

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
    pub(crate) fn compile(environment: &Environment, conditions: &Json, known: &Known) -> MatchConditions {
        let conditions = conditions.as_array().into_iter().flatten().map(|condition| {
            let text = condition["expression"].as_str().unwrap_or_default();
            let environment = known.environment(environment, Place::MatchCondition, text);
            Condition {
                name: condition["name"].as_str().unwrap_or_default().to_owned(),
                expression: Expression::compile(&environment, text, &[Type::Bool]),
            }
        });
        MatchConditions { conditions: conditions.collect() }
    }

    /// Those of a webhook, which know no parameters and no variables.
    pub(crate) fn of_webhook(conditions: &Json, known: &Known) -> MatchConditions {
        let declared = Declared { authorizer: true, ..Declared::default() };
        match conditions.as_array() {
            Some(list) if !list.is_empty() => {
                MatchConditions::compile(&environment(&declared, known.is_all()), conditions, known)
            }
            _ => MatchConditions::default(),
        }
    }

    /// What they say of a request, by an object and the one before it in the version that is looked at.
    pub(in crate::admission) fn verdict_on(
        &self,
        asked: &Asked<'_>,
        (resource, kind): (&Resource, &GroupVersionKind),
        (object, old): (&Json, &Json),
    ) -> Verdict {
        let request = request(asked, resource, kind, object);
        let namespace = &Json::Null;
        let authorizer = Some(&asked.authorizer);
        let inputs = Inputs { object, old, namespace, request: &request, authorizer, params: None };
        let mut verdict = Verdict::Holds;
        Evaluator::run(&[], &inputs, MATCH_CONDITIONS_BUDGET, &mut |evaluator| verdict = self.verdict(evaluator));
        verdict
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
