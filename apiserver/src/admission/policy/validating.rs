//! ValidatingAdmissionPolicy: all policies bound to a request are evaluated, and the first refusal counts.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/policy/validating.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use api::status::{Cause, Reason, Status};
use expressions::{MATCH_CONDITIONS_BUDGET, RUNTIME_COST_BUDGET, Value as Cel};
use futures::future::BoxFuture;
use json::{Value, json};

use super::conditions::{Evaluator, Inputs, OUT_OF_BUDGET, request};
use super::definition::{Policy, Validation, Validations};
use super::match_conditions::Verdict;
use super::{Invocation, Policies, Selected, namespace_of, select};
use crate::admission::metrics::{Conditions, Evaluated, Metrics, Step};
use crate::admission::plugins::forbidden;
use crate::admission::webhook::Asked;
use crate::admission::{AsyncValidating, Attributes, Operation};

/// Longest text a messageExpression may give. Upstream: MaxEvaluatedMessageExpressionSizeBytes.
const MAX_MESSAGE: usize = 5 * 1024;
/// Longest value of an audit annotation.
const MAX_ANNOTATION: usize = 10 * 1024;
/// Most failures one audit annotation tells of.
const MAX_FAILURES: usize = 50;

/// See the module header.
#[derive(Debug)]
pub(crate) struct ValidatingAdmissionPolicy(pub(crate) Policies);

impl AsyncValidating for ValidatingAdmissionPolicy {
    fn handles(&self, _: Operation) -> bool {
        true
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, object: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        let bound = self.0.bound::<Validations>(attributes);
        if bound.is_empty() {
            return Box::pin(std::future::ready(Ok(())));
        }
        Box::pin(async move {
            let Some(asked) = self.0.0.asked(attributes) else { return Ok(()) };
            let Selected { invocations, misconfigured } = select(bound, &asked, object).await;
            let mut outcome = Outcome::of(Some(&self.0.0.metrics), attributes.operation);
            for wrong in misconfigured.iter().filter(|wrong| !wrong.policy.ignores_failures) {
                let binding = wrong.binding.as_ref().map(|binding| binding.name.as_str());
                outcome.deny(&wrong.policy.name, binding, &wrong.why, None);
            }
            if !invocations.is_empty() {
                let Some(namespace) = namespace_of(&asked) else {
                    let group_resource = api::meta::GroupResource::new("", "namespaces");
                    return Err(Status::not_found(&group_resource, &attributes.ctx.target.namespace));
                };
                for invocation in &invocations {
                    let shown = asked.served(object, &invocation.resource).await?;
                    let old = asked.served(attributes.old.unwrap_or(&Value::Null), &invocation.resource).await?;
                    let about = About { asked: &asked, namespace: &namespace };
                    if attributes.ctx.may_wait() {
                        // What has to be asked is asked before anything is counted.
                        let rehearse =
                            || about.evaluate(invocation, &shown, &old, &mut Outcome::of(None, attributes.operation));
                        attributes.ctx.settled(rehearse).await;
                    }
                    about.evaluate(invocation, &shown, &old, &mut outcome);
                }
            }
            outcome.published(attributes);
            outcome.refusal(attributes, object)
        })
    }
}

/// What is the same for all policies about a request.
struct About<'a> {
    asked: &'a Asked<'a>,
    namespace: &'a Value,
}

impl About<'_> {
    /// Upstream: validator.Validate.
    fn evaluate(&self, invocation: &Invocation<Validations>, object: &Value, old: &Value, outcome: &mut Outcome<'_>) {
        let policy = &invocation.policy;
        let own = &policy.own;
        let request = request(self.asked, &invocation.resource, &invocation.kind, object);
        let null = Value::Null;
        let inputs = |namespace| Inputs {
            object,
            old,
            namespace,
            request: &request,
            authorizer: Some(&self.asked.authorizer),
            params: policy.param_kind.as_ref().map(|_| invocation.params.as_deref().unwrap_or(&null)),
        };
        if !own.match_conditions.is_empty() {
            let mut verdict = Verdict::Holds;
            let began = Instant::now();
            Evaluator::run(&own.variables, &inputs(&null), MATCH_CONDITIONS_BUDGET, &mut |evaluator| {
                verdict = own.match_conditions.verdict(evaluator);
            });
            outcome.matched(policy, &verdict, began);
            match verdict {
                Verdict::Holds => {}
                Verdict::Errs(why) if !policy.ignores_failures => {
                    return outcome.decide(invocation, 0, &why, None, began.elapsed());
                }
                Verdict::Fails(_) | Verdict::Errs(_) => return,
            }
        }
        let inputs = inputs(self.namespace);
        Evaluator::run(&own.variables, &inputs, RUNTIME_COST_BUDGET, &mut |evaluator| {
            for (index, validation) in own.validations.iter().enumerate() {
                let began = Instant::now();
                let decided = match evaluator.evaluate(&validation.expression) {
                    Ok(Ok(Cel::Bool(true))) => continue,
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(why)) => Err(why),
                    Err(_) => {
                        // Nothing that was decided before counts.
                        outcome.forget(invocation);
                        outcome.fail(invocation, index, OUT_OF_BUDGET, began.elapsed());
                        return;
                    }
                };
                match decided {
                    Ok(()) => {
                        let message = message(validation, evaluator);
                        let took = began.elapsed();
                        outcome.decide(invocation, index, &message, validation.reason.as_deref(), took);
                    }
                    Err(why) => outcome.fail(invocation, index, &why, began.elapsed()),
                }
            }
        });
        Evaluator::run(&own.variables, &inputs, RUNTIME_COST_BUDGET, &mut |evaluator| {
            for (key, expression) in &own.audit_annotations {
                let began = Instant::now();
                match evaluator.evaluate(expression) {
                    Ok(Ok(Cel::String(value))) => outcome.annotate(policy, key, value.trim()),
                    Ok(Ok(_)) => {}
                    Ok(Err(why)) if !policy.ignores_failures => {
                        outcome.deny(&policy.name, Some(&invocation.binding.name), &why, None);
                        outcome.count(invocation, &why, "deny", began.elapsed());
                    }
                    Ok(Err(_)) => {}
                    Err(_) => return outcome.fail(invocation, 0, OUT_OF_BUDGET, began.elapsed()),
                }
            }
        });
    }
}

/// What a refusal says: what messageExpression gives, else the message, else the expression itself.
fn message(validation: &Validation, evaluator: &mut Evaluator<'_>) -> String {
    if let Some(expression) = &validation.message_expression
        && let Ok(Ok(Cel::String(text))) = evaluator.evaluate(expression)
    {
        let text = text.trim();
        if !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n') {
            return text.to_owned();
        }
    }
    match validation.message.trim() {
        "" => format!("failed expression: {}", validation.expression.text.trim()),
        message => message.to_owned(),
    }
}

/// A refusal.
struct Denial {
    policy: String,
    binding: Option<String>,
    message: String,
    reason: Option<String>,
}

/// What came of all policies.
struct Outcome<'m> {
    /// None where nothing counts.
    metrics: Option<&'m Metrics>,
    operation: Operation,
    denials: Vec<Denial>,
    warnings: Vec<(String, String)>,
    /// For the audit log, in its form.
    failures: Vec<Value>,
    /// Values of audit annotations, by policy and key.
    annotations: BTreeMap<(String, String), Vec<String>>,
}

impl<'m> Outcome<'m> {
    fn of(metrics: Option<&'m Metrics>, operation: Operation) -> Outcome<'m> {
        let (denials, warnings, failures) = (Vec::new(), Vec::new(), Vec::new());
        Outcome { metrics, operation, denials, warnings, failures, annotations: BTreeMap::new() }
    }

    /// Match conditions were looked at.
    fn matched(&self, policy: &Policy<Validations>, verdict: &Verdict, began: Instant) {
        let (kind, step, operation) = ("policy", Step::Validate, self.operation);
        let conditions = Conditions { name: &policy.name, kind, step, operation };
        let Some(metrics) = self.metrics else { return };
        metrics.matched(&conditions, began.elapsed(), matches!(verdict, Verdict::Errs(_)), false);
    }

    fn count(&self, invocation: &Invocation<Validations>, message: &str, action: &str, took: Duration) {
        let (policy, binding) = (&invocation.policy.name, &invocation.binding.name);
        let Some(metrics) = self.metrics else { return };
        metrics.validated(policy, binding, Evaluated::failed(message), action, took);
    }

    fn deny(&mut self, policy: &str, binding: Option<&str>, message: &str, reason: Option<&str>) {
        self.denials.push(Denial {
            policy: policy.to_owned(),
            binding: binding.map(str::to_owned),
            message: message.to_owned(),
            reason: reason.map(str::to_owned),
        });
    }

    /// An expression without a value, by the policy's failurePolicy.
    fn fail(&mut self, invocation: &Invocation<Validations>, index: usize, why: &str, took: Duration) {
        if invocation.policy.ignores_failures {
            self.count(invocation, why, "allow", took);
        } else {
            self.decide(invocation, index, why, None, took);
        }
    }

    /// A refusal, to be treated as the binding says.
    fn decide(
        &mut self,
        invocation: &Invocation<Validations>,
        index: usize,
        message: &str,
        reason: Option<&str>,
        took: Duration,
    ) {
        let (policy, binding) = (&invocation.policy.name, &invocation.binding);
        for action in &binding.actions {
            self.count(invocation, message, &action.to_lowercase(), took);
            match action.as_str() {
                "Deny" => self.deny(policy, Some(&binding.name), message, reason),
                "Warn" => {
                    let warning = format!(
                        "Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{}': {message}",
                        binding.name
                    );
                    self.warnings.push((policy.clone(), warning));
                }
                "Audit" => self.failures.push(json!({
                    "message": message,
                    "policy": policy,
                    "binding": binding.name,
                    "expressionIndex": index,
                    "validationActions": binding.actions,
                })),
                _ => {}
            }
        }
    }

    /// Takes back what this policy and binding decided.
    fn forget(&mut self, invocation: &Invocation<Validations>) {
        let (policy, binding) = (&invocation.policy.name, &invocation.binding.name);
        self.denials.retain(|denial| denial.policy != *policy || denial.binding.as_ref() != Some(binding));
        self.warnings.retain(|(own, _)| own != policy);
        self.failures.retain(|failure| failure["policy"] != **policy || failure["binding"] != **binding);
    }

    fn annotate(&mut self, policy: &Policy<Validations>, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        let end = (0..=MAX_ANNOTATION.min(value.len())).rev().find(|end| value.is_char_boundary(*end)).unwrap_or(0);
        let values = self.annotations.entry((policy.name.clone(), key.to_owned())).or_default();
        let value = value[..end].to_owned();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    /// Warnings to the client, annotations to the audit log.
    fn published(&self, attributes: Attributes<'_>) {
        for (_, warning) in &self.warnings {
            attributes.ctx.warn(warning.as_str());
        }
        for ((policy, key), values) in &self.annotations {
            attributes.ctx.audit_annotation(&format!("{policy}/{key}"), values.join(", "));
        }
        if !self.failures.is_empty() {
            let failures = Value::Array(self.failures.iter().take(MAX_FAILURES).cloned().collect());
            attributes
                .ctx
                .audit_annotation("validation.policy.admission.k8s.io/validation_failure", failures.to_string());
        }
    }

    fn refusal(&self, attributes: Attributes<'_>, object: &Value) -> Result<(), Status> {
        let Some(denial) = self.denials.first() else { return Ok(()) };
        let message = match &denial.binding {
            Some(binding) => format!(
                "ValidatingAdmissionPolicy '{}' with binding '{binding}' denied request: {}",
                denial.policy, denial.message
            ),
            None => format!("ValidatingAdmissionPolicy '{}' denied request: {}", denial.policy, denial.message),
        };
        let mut status = forbidden(attributes, object, &message);
        let (reason, code) = match denial.reason.as_deref() {
            Some("Forbidden") => (Reason::Forbidden, 403),
            Some("Unauthorized") => (Reason::Unauthorized, 401),
            Some("RequestEntityTooLarge") => (Reason::RequestEntityTooLarge, 413),
            _ => (Reason::Invalid, 422),
        };
        status.reason = reason;
        status.code = code;
        status.details.get_or_insert_default().causes.push(Cause { message, ..Cause::default() });
        Err(status)
    }
}
