//! MutatingAdmissionPolicy: policies change the object one after the other, each sees what those before made of it.
//!
//! When one changes the object, the policies before it that ask for it (reinvocationPolicy IfNeeded) look at it again, once.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/policy/mutating.

use std::time::Instant;

use api::managed_fields;
use api::patch::json::Patch;
use api::status::{Cause, Reason, Status};
use expressions::{List, MATCH_CONDITIONS_BUDGET, Message, RUNTIME_COST_BUDGET, Value as Cel};
use futures::future::BoxFuture;
use json::{Value, json};

use super::conditions::{Evaluator, Expression, Inputs, OUT_OF_BUDGET, request};
use super::definition::{Mutation, Mutations};
use super::match_conditions::Verdict;
use super::{Invocation, Policies, Selected, namespace_of, select};
use crate::admission::metrics::{Conditions, Evaluated, Metrics, Step};
use crate::admission::plugins::forbidden;
use crate::admission::webhook::{Asked, keep_entries_readable};
use crate::admission::{AsyncMutating, Attributes, Operation, Round};
use crate::registry::managed_fields::place;
use crate::registry::resource::Resource;

/// See the module header.
#[derive(Debug)]
pub(crate) struct MutatingAdmissionPolicy(pub(crate) Policies);

const NAME: &str = "MutatingAdmissionPolicy";

impl AsyncMutating for MutatingAdmissionPolicy {
    fn handles(&self, operation: Operation) -> bool {
        // There is nothing to change in what goes.
        operation != Operation::Delete
    }

    fn admit<'a>(
        &'a self,
        attributes: Attributes<'a>,
        object: &'a mut Value,
        round: &'a mut Round,
    ) -> BoxFuture<'a, Result<(), Status>> {
        let bound = self.0.bound::<Mutations>(attributes);
        if bound.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            let Some(asked) = self.0.0.asked(attributes) else { return Ok(()) };
            let Selected { invocations, misconfigured } = select(bound, &asked, object).await;
            let mut errors = Vec::new();
            for wrong in misconfigured.iter().filter(|wrong| !wrong.policy.ignores_failures) {
                errors.push(text(
                    &wrong.policy.name,
                    wrong.binding.as_ref().map(|binding| binding.name.as_str()),
                    &wrong.why,
                ));
            }
            if !invocations.is_empty() {
                let Some(namespace) = namespace_of(&asked) else {
                    let group_resource = api::meta::GroupResource::new("", "namespaces");
                    return Err(Status::not_found(&group_resource, &attributes.ctx.target.namespace));
                };
                let entries = object["metadata"].get("managedFields").cloned();
                let about = About { asked: &asked, namespace: &namespace, metrics: &self.0.0.metrics };
                let before = object.clone();
                errors.extend(about.all(&invocations, object, round).await?);
                if *object != before {
                    keep_entries_readable(attributes, object, entries);
                }
            }
            refusal(attributes, object, errors)
        })
    }
}

/// What is the same for all policies about a request.
struct About<'a> {
    asked: &'a Asked<'a>,
    namespace: &'a Value,
    metrics: &'a Metrics,
}

impl About<'_> {
    /// Changes the object by all policies; returns what went wrong.
    async fn all(
        &self,
        invocations: &[Invocation<Mutations>],
        object: &mut Value,
        round: &mut Round,
    ) -> Result<Vec<String>, Status> {
        let mut errors = Vec::new();
        round.begin(NAME, object);
        for invocation in invocations {
            let policy = &invocation.policy;
            let key = key(invocation);
            let shown = self.asked.served(object, &invocation.resource).await?.into_owned();
            let old = self.asked.attributes.old.unwrap_or(&Value::Null);
            let old = self.asked.served(old, &invocation.resource).await?;
            let wrong = |why: &str| text(&policy.name, Some(&invocation.binding.name), why);
            match self.verdict(invocation, &shown, &old).await {
                Verdict::Holds => {}
                Verdict::Errs(why) if !policy.ignores_failures => {
                    errors.push(wrong(&why));
                    continue;
                }
                Verdict::Fails(_) | Verdict::Errs(_) => continue,
            }
            if !round.is_due(NAME, &key) {
                continue;
            }
            let mut current = shown;
            let before = current.clone();
            for mutation in &policy.own.mutations {
                if current.is_null() {
                    continue;
                }
                let began = Instant::now();
                let ctx = self.asked.attributes.ctx;
                let mutated = ctx.settled(|| self.mutated(invocation, mutation, &current, &old)).await;
                let outcome = mutated.as_ref().map_or_else(|why| Evaluated::failed(why), |_| Evaluated::Value);
                self.metrics.mutated(&policy.name, &invocation.binding.name, outcome, began.elapsed());
                match mutated {
                    Ok(changed) => {
                        let decoded = self.asked.decoded(changed, &invocation.kind, &invocation.resource).await;
                        let decoded = decoded.map_err(|why| Status::internal_error(&why))?;
                        current = self.asked.served(&decoded, &invocation.resource).await?.into_owned();
                        *object = decoded;
                    }
                    Err(why) if !policy.ignores_failures => errors.push(wrong(&why)),
                    Err(_) => {}
                }
            }
            round.asked(NAME, &key, policy.own.is_reinvocable, current != before);
        }
        round.end(NAME, object);
        Ok(errors)
    }

    fn inputs<'i>(
        &'i self,
        invocation: &'i Invocation<Mutations>,
        request: &'i Value,
        object: &'i Value,
        old: &'i Value,
        namespace: &'i Value,
    ) -> Inputs<'i> {
        const NULL: &Value = &Value::Null;
        let params = invocation.policy.param_kind.as_ref().map(|_| invocation.params.as_deref().unwrap_or(NULL));
        Inputs { object, old, namespace, request, authorizer: Some(&self.asked.authorizer), params }
    }

    fn request(&self, invocation: &Invocation<Mutations>, object: &Value) -> Value {
        request(self.asked, &invocation.resource, &invocation.kind, object)
    }

    async fn verdict(&self, invocation: &Invocation<Mutations>, object: &Value, old: &Value) -> Verdict {
        let own = &invocation.policy.own;
        let mut verdict = Verdict::Holds;
        if !own.match_conditions.is_empty() {
            let request = self.request(invocation, object);
            let inputs = self.inputs(invocation, &request, object, old, &Value::Null);
            let began = Instant::now();
            let evaluate = || {
                let mut verdict = Verdict::Holds;
                Evaluator::run(&own.variables, &inputs, MATCH_CONDITIONS_BUDGET, &mut |evaluator| {
                    verdict = own.match_conditions.verdict(evaluator);
                });
                verdict
            };
            verdict = self.asked.attributes.ctx.settled(evaluate).await;
            let (name, kind, operation) = (&invocation.policy.name, "policy", self.asked.attributes.operation);
            let conditions = Conditions { name, kind, step: Step::Validate, operation };
            self.metrics.matched(&conditions, began.elapsed(), matches!(verdict, Verdict::Errs(_)), false);
        }
        verdict
    }

    /// The object as one mutation makes it, not decoded yet.
    fn mutated(
        &self,
        invocation: &Invocation<Mutations>,
        mutation: &Mutation,
        object: &Value,
        old: &Value,
    ) -> Result<Value, String> {
        let request = self.request(invocation, object);
        let inputs = self.inputs(invocation, &request, object, old, self.namespace);
        let mut result = Err(OUT_OF_BUDGET.to_owned());
        Evaluator::run(&invocation.policy.own.variables, &inputs, RUNTIME_COST_BUDGET, &mut |evaluator| {
            result = match mutation {
                Mutation::Apply(expression) => {
                    evaluated(evaluator, expression, &mut |value| applied(value, object, &invocation.resource))
                }
                Mutation::JsonPatch(expression) => {
                    evaluated(evaluator, expression, &mut |value| patched(value, object))
                }
            };
        });
        result
    }
}

/// What becomes of an expression's value.
fn evaluated(
    evaluator: &mut Evaluator<'_>,
    expression: &Expression,
    then: &mut dyn FnMut(&Cel<'_>) -> Result<Value, String>,
) -> Result<Value, String> {
    if let Err(why) = &expression.program {
        return Err(why.clone());
    }
    match evaluator.evaluate(expression) {
        Ok(Ok(value)) => then(&value),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(OUT_OF_BUDGET.to_owned()),
    }
}

/// `Object{}` put over the object as an applied configuration. Upstream: patch.applyConfigPatcher.
fn applied(value: &Cel<'_>, object: &Value, resource: &Resource) -> Result<Value, String> {
    names_match(value, "Object").map_err(|why| format!("type mismatch: {why}"))?;
    let mut configuration =
        value.to_json().ok_or_else(|| "unsupported return type from ApplyConfiguration expression".to_owned())?;
    configuration["apiVersion"] = object["apiVersion"].clone();
    configuration["kind"] = object["kind"].clone();
    managed_fields::merge_patch(place(resource), object, &configuration)
        .map_err(|why| format!("error applying patch: {why}"))
}

/// `JSONPatch{}`s done to the object. Upstream: patch.jsonPatcher.
fn patched(value: &Cel<'_>, object: &Value) -> Result<Value, String> {
    let Cel::List(list) = value else {
        return Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned());
    };
    let operations = operations(list)?;
    let patch = Patch::decode(Value::Array(operations), false).map_err(|why| format!("JSON Patch: {why}"))?;
    match patch.apply(object.clone()) {
        Ok(patched) => Ok(patched),
        // A test that fails is no error: nothing is patched.
        Err(why) if why.to_string().ends_with("test failed") => Ok(object.clone()),
        Err(why) => Err(format!("JSON Patch: {why}")),
    }
}

fn operations(list: &List<'_>) -> Result<Vec<Value>, String> {
    let mut operations = Vec::with_capacity(list.len());
    for item in list.iter() {
        let Ok(Cel::Message(operation)) = item else {
            return Err("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".to_owned());
        };
        operations.push(self::operation(&operation)?);
    }
    Ok(operations)
}

fn operation(message: &Message<'_>) -> Result<Value, String> {
    let text = |name: &str| match message.fields.get(name) {
        Some(Cel::String(text)) => text.to_string(),
        _ => String::new(),
    };
    let mut operation = json!({"op": text("op"), "path": text("path")});
    let from = text("from");
    if !from.is_empty() {
        operation["from"] = Value::from(from);
    }
    if let Some(value) = message.fields.get("value") {
        if let Cel::Message(own) = value {
            names_match(value, &own.name).map_err(|why| format!("type mismatch: {why}"))?;
        }
        operation["value"] = value
            .to_json()
            .ok_or_else(|| "JSONPath valueExpression evaluated to a type that could not marshal to JSON".to_owned())?;
    }
    Ok(operation)
}

/// `Object.spec.selector{}` belongs into the field spec.selector and nowhere else.
/// Upstream: dynamic.ObjectVal.CheckTypeNamesMatchFieldPathNames.
fn names_match(value: &Cel<'_>, path: &str) -> Result<(), String> {
    let quote = api::go_text::quote;
    match value {
        Cel::Message(message) => {
            if *message.name != *path {
                return Err(format!(
                    "unexpected type name {}, expected {}, which matches field name path from root Object type",
                    quote(&message.name),
                    quote(path)
                ));
            }
            message.fields.iter().try_for_each(|(name, value)| names_match(value, &format!("{path}.{name}")))
        }
        Cel::List(list) => list.iter().filter_map(Result::ok).try_for_each(|item| names_match(&item, path)),
        _ => Ok(()),
    }
}

/// Tells an invocation from all others.
fn key(invocation: &Invocation<Mutations>) -> String {
    let params = invocation.params.as_deref();
    let of = |read: fn(&Value) -> &str| params.map(read).unwrap_or_default();
    let (namespace, name) = (of(api::meta::namespace), of(api::meta::name));
    format!("{}/{}/{namespace}/{name}", invocation.policy.name, invocation.binding.name)
}

fn text(policy: &str, binding: Option<&str>, why: &str) -> String {
    match binding {
        Some(binding) => format!("policy '{policy}' with binding '{binding}' denied request: {why}"),
        None => format!("policy {} denied request: {why}", api::go_text::quote(policy)),
    }
}

fn refusal(attributes: Attributes<'_>, object: &Value, errors: Vec<String>) -> Result<(), Status> {
    let Some(first) = errors.first() else { return Ok(()) };
    let mut status = forbidden(attributes, object, "admission request denied by policy");
    status.message = first.clone();
    status.reason = Reason::Invalid;
    let details = status.details.get_or_insert_default();
    details.causes.extend(errors.into_iter().map(|message| Cause { message, ..Cause::default() }));
    Err(status)
}
