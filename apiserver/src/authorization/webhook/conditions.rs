//! `matchConditions` of an authorization webhook: it is asked only about requests of which they all hold.
//! Upstream: k8s.io/apiserver/pkg/authorization/cel.

use expressions::{Environment, Program, Type, Value};
use json::{Value as Json, json};

use crate::authorization::Attributes;
use crate::authorization::rbac::aggregate;

/// Compiled conditions.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    all: Vec<(String, Program)>,
}

/// What they say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::authorization) enum Matching {
    Holds,
    /// One is false.
    Fails,
    /// None is, but some have no value.
    Errs(String),
}

impl Conditions {
    /// Of expressions that were validated.
    pub(super) fn compile(expressions: &[String]) -> Result<Conditions, String> {
        let compiled = |text: &String| compile(text).map(|program| (text.clone(), program));
        Ok(Conditions { all: expressions.iter().map(compiled).collect::<Result<_, _>>()? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn of(&self, request: &Attributes, spec: &Json) -> Matching {
        let shown = shown(request, spec);
        let mut errors = Vec::new();
        for (text, program) in &self.all {
            match program.evaluate(&[Value::untyped(&shown)]).result {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Bool(false)) => return Matching::Fails,
                Ok(_) => errors.push(format!(
                    "cel evaluation error: expression '{text}' eval result type should be bool but got another"
                )),
                Err(why) => errors.push(format!("cel evaluation error: expression '{text}' resulted in error: {why}")),
            }
        }
        aggregate(&errors).map_or(Matching::Holds, Matching::Errs)
    }
}

/// An expression that must be true or false.
pub(in crate::authorization) fn compile(text: &str) -> Result<Program, String> {
    let checked = environment().check(text).map_err(|error| format!("compilation failed: {error}"))?;
    let output = checked.output();
    if *output != Type::Bool {
        return Err(format!("must evaluate to bool but got {}", output.declared_name()));
    }
    checked.program().map_err(|error| format!("program instantiation failed: {error}"))
}

/// `request`, a SubjectAccessReviewSpec of v1. Upstream: buildRequestType.
fn environment() -> Environment {
    let object = |name: &str| Type::Object(name.into());
    let texts = || Type::list(Type::String);
    let selector =
        [("rawSelector", Type::String), ("requirements", Type::list(object("kubernetes.SelectorRequirement")))];
    Environment::for_stored()
        .object(
            "kubernetes.SelectorRequirement",
            [("key", Type::String), ("operator", Type::String), ("values", texts())],
        )
        .object("kubernetes.FieldSelectorAttributes", selector.clone())
        .object("kubernetes.LabelSelectorAttributes", selector)
        .object(
            "kubernetes.ResourceAttributes",
            [
                ("namespace", Type::String),
                ("verb", Type::String),
                ("group", Type::String),
                ("version", Type::String),
                ("resource", Type::String),
                ("subresource", Type::String),
                ("name", Type::String),
                ("fieldSelector", object("kubernetes.FieldSelectorAttributes")),
                ("labelSelector", object("kubernetes.LabelSelectorAttributes")),
            ],
        )
        .object("kubernetes.NonResourceAttributes", [("path", Type::String), ("verb", Type::String)])
        .object(
            "kubernetes.SubjectAccessReviewSpec",
            [
                ("resourceAttributes", object("kubernetes.ResourceAttributes")),
                ("nonResourceAttributes", object("kubernetes.NonResourceAttributes")),
                ("user", Type::String),
                ("groups", texts()),
                ("extra", Type::map(Type::String, texts())),
                ("uid", Type::String),
            ],
        )
        .variable("request", object("kubernetes.SubjectAccessReviewSpec"))
}

/// The request as expressions see it: as the review has it, and all texts also where they are empty.
fn shown(request: &Attributes, spec: &Json) -> Json {
    let user = &request.user;
    let mut shown = json!({"user": user.name, "groups": user.groups, "uid": user.uid, "extra": user.extra});
    if !request.is_resource_request {
        shown["nonResourceAttributes"] = json!({"verb": request.verb, "path": request.path});
        return shown;
    }
    let mut attributes = json!({
        "namespace": request.namespace,
        "verb": request.verb,
        "group": request.api_group,
        "version": request.api_version,
        "resource": request.resource,
        "subresource": request.subresource,
        "name": request.name,
    });
    for selector in ["fieldSelector", "labelSelector"] {
        if let Some(own) = spec["resourceAttributes"].get(selector) {
            attributes[selector] = own.clone();
        }
    }
    shown["resourceAttributes"] = attributes;
    shown
}
