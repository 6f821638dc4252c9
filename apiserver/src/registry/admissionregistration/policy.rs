//! ValidatingAdmissionPolicies and MutatingAdmissionPolicies, which differ in what they hold.
//!
//! Expressions that do not compile are faults of their fields; those that are stored already may use what the release before does
//! not know. Upstream: ValidateValidatingAdmissionPolicy, ValidateMutatingAdmissionPolicy and their updates.

use std::collections::HashSet;

use api::field::{Error, ErrorList};
use api::meta;
use api::names;
use json::{Value, json};

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::{one_of, same};
use super::matching::{match_resources, param_kind};
use super::webhook_configuration::conditions;
use super::{rights, static_names};
use crate::admission::policy::Compiled;
use crate::context::RequestContext;

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
/// What mutating policies are for.
const MUTATED: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
const MOST_ANNOTATIONS: usize = 20;
const LONGEST_ANNOTATION_EXPRESSION: usize = 5 * 1024;

/// The semantics of both kinds.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionPolicy {
    /// Is it the mutating kind?
    pub mutating: bool,
}

impl Strategy for AdmissionPolicy {
    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = self.faults(new, None);
        errors.extend(static_names::refused(new));
        if errors.is_empty() { rights::param_kind(ctx, new, None) } else { errors }
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let errors = self.faults(new, Some(old));
        if errors.is_empty() { rights::param_kind(ctx, new, Some(old)) } else { errors }
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, _old: &Value) -> Vec<String> {
        static_names::warning(new).into_iter().collect()
    }
}

impl AdmissionPolicy {
    fn faults(self, new: &Value, old: Option<&Value>) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        let spec = root.field("spec");
        let failure_policy = spec.field("failurePolicy");
        if failure_policy.is_set() {
            one_of(&failure_policy, &["Fail", "Ignore"], &mut errors);
        } else {
            errors.push(failure_policy.required(""));
        }
        if spec.field("paramKind").is_set() {
            param_kind(&spec.field("paramKind"), &mut errors);
        }
        self.constraints(&spec.field("matchConstraints"), &mut errors);
        let compiled = Compiled::new(self.mutating, spec.value, old.map(|old| &old["spec"]));
        // What they may say depends on whether there are parameters.
        let are_kept = |old: &Value| {
            ["paramKind", "matchConditions"].iter().all(|field| same(&old["spec"][*field], spec.get(field)))
        };
        if !old.is_some_and(are_kept) {
            conditions(&spec.field("matchConditions"), compiled.conditions(), &mut errors);
        }
        for (index, variable) in spec.field("variables").items().enumerate() {
            self::variable(&variable, &mut errors);
            compiled.variable(index, &variable, &mut errors);
        }
        if self.mutating {
            mutations(&spec, &compiled, &mut errors);
        } else {
            validations(&spec, meta::name(new), &compiled, &mut errors);
        }
        errors
    }

    fn constraints(self, constraints: &At<'_>, errors: &mut ErrorList) {
        if !constraints.is_set() {
            errors.push(constraints.required(""));
            return;
        }
        match_resources(constraints, errors);
        let rules = constraints.field("resourceRules");
        if rules.is_empty() {
            errors.push(rules.required(""));
        }
        if !self.mutating {
            return;
        }
        for operation in rules.items().flat_map(|rule| rule.field("operations").items()) {
            if !MUTATED.contains(&operation.str()) {
                let path = rules.field("operations").path;
                errors.push(Error::not_supported(&path, operation.str(), MUTATED));
            }
        }
    }
}

fn unspecified(field: &At<'_>, errors: &mut ErrorList) {
    if field.str().trim().is_empty() {
        let name = field.path.to_string();
        let name = name.rsplit('.').next().unwrap_or_default();
        errors.push(field.required(format!("{name} is not specified")));
    }
}

fn variable(variable: &At<'_>, errors: &mut ErrorList) {
    let name = variable.field("name");
    unspecified(&name, errors);
    if !name.str().trim().is_empty() && !is_identifier(name.str()) {
        errors.push(name.invalid_str("must be a valid CEL identifier"));
    }
    unspecified(&variable.field("expression"), errors);
}

fn is_identifier(name: &str) -> bool {
    let is_reserved = expressions::schema::escape(name).is_some_and(|escaped| escaped == format!("__{name}__"));
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !is_reserved && name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

fn broken(text: &str) -> bool {
    text.contains(['\n', '\r'])
}

fn validations(spec: &At<'_>, name: &str, compiled: &Compiled, errors: &mut ErrorList) {
    let (list, annotations) = (spec.field("validations"), spec.field("auditAnnotations"));
    if list.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        errors.push(list.required(detail));
        errors.push(annotations.required(detail));
        return;
    }
    for (index, validation) in list.items().enumerate() {
        unspecified(&validation.field("expression"), errors);
        compiled.validation(index, &validation, errors);
        for field in ["messageExpression", "message"].map(|field| validation.field(field)) {
            if !field.str().is_empty() && field.str().trim().is_empty() {
                errors.push(field.invalid_str("must be non-empty if specified"));
            }
        }
        let message = validation.field("message");
        if broken(message.str().trim()) {
            errors.push(message.invalid_str("must not contain line breaks"));
        }
        let reason = validation.field("reason");
        if reason.is_set() {
            one_of(&reason, &REASONS, errors);
        }
    }
    if annotations.slice().len() > MOST_ANNOTATIONS {
        // Upstream shows its own type, whose fields have no other names.
        let fields = |own: At<'_>| json!({"Key": own.text("key"), "ValueExpression": own.text("valueExpression")});
        let shown: Vec<Value> = annotations.items().map(fields).collect();
        let why = format!("must not have more than {MOST_ANNOTATIONS} auditAnnotations");
        errors.push(Error::invalid(&annotations.path, shown, why));
    }
    let mut seen = HashSet::new();
    for (index, annotation) in annotations.items().enumerate() {
        let key = annotation.field("key");
        if name.is_empty() {
            errors.push(key.invalid_str("requires metadata.name be non-empty"));
        } else {
            let whole = format!("{name}/{}", key.str());
            let faults = names::is_qualified_name(&whole);
            errors.extend(faults.into_iter().map(|why| Error::invalid(&key.path, whole.as_str(), why)));
        }
        let expression = annotation.field("valueExpression");
        unspecified(&expression, errors);
        compiled.annotation(index, &annotation, errors);
        if expression.str().trim().len() > LONGEST_ANNOTATION_EXPRESSION {
            errors
                .push(expression.required(format!("must not exceed {LONGEST_ANNOTATION_EXPRESSION} bytes in length")));
        }
        if !seen.insert(key.str()) {
            errors.push(key.duplicate());
        }
    }
}

fn mutations(spec: &At<'_>, compiled: &Compiled, errors: &mut ErrorList) {
    let list = spec.field("mutations");
    if list.is_empty() {
        errors.push(list.required("mutations must contain at least one item"));
    }
    for (index, mutation) in list.items().enumerate() {
        let kind = mutation.field("patchType");
        let (own, other) = match kind.str() {
            "" => {
                errors.push(kind.required(""));
                continue;
            }
            "JSONPatch" => ("jsonPatch", "applyConfiguration"),
            "ApplyConfiguration" => ("applyConfiguration", "jsonPatch"),
            _ => {
                errors.push(kind.not_supported(&["ApplyConfiguration", "JSONPatch"]));
                continue;
            }
        };
        let (own, unwanted) = (mutation.field(own), mutation.field(other));
        if !own.is_set() {
            errors.push(own.required(format!("must be specified when patchType is {}", kind.str())));
        } else if own.field("expression").str().trim().is_empty() {
            errors.push(own.field("expression").required(""));
        }
        compiled.mutation(index, &mutation, errors);
        if unwanted.is_set() {
            let detail = format!("must not be specified when patchType is {}", kind.str());
            errors.push(Error::invalid(&unwanted.path, format!("{{{other}}}"), detail));
        }
    }
    let reinvocation = spec.field("reinvocationPolicy");
    if reinvocation.str().is_empty() {
        errors.push(reinvocation.required(""));
    } else {
        one_of(&reinvocation, &["IfNeeded", "Never"], errors);
    }
}
