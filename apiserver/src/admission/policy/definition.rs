//! Policies and bindings, compiled. Upstream: validating.compilePolicy, mutating.compilePolicy.

use expressions::admission::{Declared, declare, environment};
use expressions::{Environment, Type};
use json::Value;

use super::Kind;
use super::conditions::{Expression, Variable};
use super::known::{Known, Place};
use super::match_conditions::MatchConditions;
use super::params::{ParamKind, ParamRef};
use crate::admission::webhook::Matching;

/// A policy, with what is its kind's own.
#[derive(Debug)]
pub(super) struct Policy<K> {
    pub(super) name: String,
    pub(super) matching: Matching,
    pub(super) param_kind: Option<ParamKind>,
    /// failurePolicy Ignore.
    pub(super) ignores_failures: bool,
    pub(super) own: K,
}

impl<K: Kind> Policy<K> {
    pub(super) fn compile(stored: &Value) -> Policy<K> {
        let spec = &stored["spec"];
        let kind = spec.get("paramKind").filter(|kind| !kind.is_null());
        Policy {
            name: api::meta::name(stored).to_owned(),
            matching: Matching::of_policy(&spec["matchConstraints"]),
            param_kind: kind.map(|kind| ParamKind { api_version: text(kind, "apiVersion"), kind: text(kind, "kind") }),
            ignores_failures: spec["failurePolicy"] == "Ignore",
            own: K::compile(spec),
        }
    }
}

/// A binding.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) policy: String,
    pub(super) matching: Option<Matching>,
    pub(super) param_ref: Option<ParamRef>,
    /// `Deny`, `Warn`, `Audit`.
    pub(super) actions: Vec<String>,
}

impl Binding {
    pub(super) fn read(stored: &Value) -> Binding {
        let spec = &stored["spec"];
        let given = |key: &str| spec.get(key).filter(|value| !value.is_null());
        let actions = spec["validationActions"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Binding {
            name: api::meta::name(stored).to_owned(),
            policy: text(spec, "policyName"),
            matching: given("matchResources").map(Matching::of_policy),
            param_ref: given("paramRef").map(ParamRef::read),
            actions: actions.map(str::to_owned).collect(),
        }
    }
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

fn items<'v>(object: &'v Value, key: &str) -> impl Iterator<Item = &'v Value> {
    object[key].as_array().into_iter().flatten()
}

/// The type of `params`, where there are any.
fn params(spec: &Value) -> Option<Type> {
    spec.get("paramKind").filter(|kind| !kind.is_null()).map(|_| Type::Dyn)
}

/// The variables of a policy; each is declared for what comes after it.
fn variables(spec: &Value, environments: &mut [&mut Environment]) -> Vec<Variable> {
    let mut variables = Vec::new();
    for variable in items(spec, "variables") {
        let name = text(variable, "name");
        let Some(environment) = environments.first() else { break };
        let expression = Expression::compile(environment, variable["expression"].as_str().unwrap_or_default(), &[]);
        let of = expression.program.as_ref().map_or(Type::Dyn, |program| program.output().clone());
        for environment in environments.iter_mut() {
            declare(environment, &name, of.clone());
        }
        variables.push(Variable { name, expression });
    }
    variables
}

/// What a ValidatingAdmissionPolicy demands.
#[derive(Debug)]
pub(super) struct Validations {
    pub(super) variables: Vec<Variable>,
    pub(super) match_conditions: MatchConditions,
    pub(super) validations: Vec<Validation>,
    pub(super) audit_annotations: Vec<(String, Expression)>,
}

/// One of `validations`.
#[derive(Debug)]
pub(super) struct Validation {
    pub(super) expression: Expression,
    pub(super) message: String,
    pub(super) message_expression: Option<Expression>,
    pub(super) reason: Option<String>,
}

impl Validations {
    /// Of a spec, each expression as one that is known already or new may speak.
    pub(super) fn compile(spec: &Value, known: &Known) -> Validations {
        let has_variables = spec["variables"].as_array().is_some_and(|variables| !variables.is_empty());
        let declared = Declared { params: params(spec), variables: has_variables, ..Declared::default() };
        // Messages may not ask the authorizer.
        let mut full = environment(&Declared { authorizer: true, patches: false, ..declared.clone() }, known.is_all());
        let mut plain =
            environment(&Declared { authorizer: false, patches: false, ..declared.clone() }, known.is_all());
        let variables = variables(spec, &mut [&mut full, &mut plain]);
        let compile = |environment: &Environment, place: Place, text: &str, gives: &[Type]| {
            Expression::compile(&known.environment(environment, place, text), text, gives)
        };
        let validations = items(spec, "validations").map(|validation| Validation {
            expression: compile(
                &full,
                Place::Validation,
                validation["expression"].as_str().unwrap_or_default(),
                &[Type::Bool],
            ),
            message: text(validation, "message"),
            message_expression: validation["messageExpression"]
                .as_str()
                .filter(|text| !text.is_empty())
                .map(|text| compile(&plain, Place::Message, text, &[Type::String])),
            reason: validation["reason"].as_str().map(str::to_owned),
        });
        let annotations = items(spec, "auditAnnotations").map(|annotation| {
            let expression = annotation["valueExpression"].as_str().unwrap_or_default();
            let gives = [Type::String, Type::Null];
            (text(annotation, "key"), compile(&full, Place::AuditAnnotation, expression, &gives))
        });
        Validations {
            validations: validations.collect(),
            audit_annotations: annotations.collect(),
            match_conditions: MatchConditions::compile(&full, &spec["matchConditions"], known),
            variables,
        }
    }
}

/// What a MutatingAdmissionPolicy does.
#[derive(Debug)]
pub(super) struct Mutations {
    pub(super) variables: Vec<Variable>,
    pub(super) match_conditions: MatchConditions,
    pub(super) mutations: Vec<Mutation>,
    /// reinvocationPolicy IfNeeded.
    pub(super) is_reinvocable: bool,
}

/// One of `mutations`.
#[derive(Debug)]
pub(super) enum Mutation {
    /// Gives an `Object{}`.
    Apply(Expression),
    /// Gives a list of `JSONPatch{}`.
    JsonPatch(Expression),
}

impl Mutations {
    /// Of a spec, each expression as one that is known already or new may speak.
    pub(super) fn compile(spec: &Value, known: &Known) -> Mutations {
        let declared = Declared { params: params(spec), authorizer: true, ..Declared::default() };
        let has_variables = spec["variables"].as_array().is_some_and(|variables| !variables.is_empty());
        let mut plain = environment(&Declared { variables: has_variables, ..declared.clone() }, known.is_all());
        // Here `variables` is there whether there are any or not.
        let mut patches = environment(&Declared { variables: true, patches: true, ..declared }, known.is_all());
        let variables = variables(spec, &mut [&mut plain, &mut patches]);
        let mutations = items(spec, "mutations").map(|mutation| {
            let compile = |place: Place, key: &str, gives: &[Type]| {
                let text = mutation[key]["expression"].as_str().unwrap_or_default();
                Expression::compile(&known.environment(&patches, place, text), text, gives)
            };
            if mutation["patchType"] == "JSONPatch" {
                let gives = [Type::list(Type::Object("JSONPatch".into()))];
                Mutation::JsonPatch(compile(Place::JsonPatch, "jsonPatch", &gives))
            } else {
                let gives = [Type::Object("Object".into())];
                Mutation::Apply(compile(Place::ApplyConfiguration, "applyConfiguration", &gives))
            }
        });
        Mutations {
            mutations: mutations.collect(),
            match_conditions: MatchConditions::compile(&plain, &spec["matchConditions"], known),
            is_reinvocable: spec["reinvocationPolicy"] == "IfNeeded",
            variables,
        }
    }
}
