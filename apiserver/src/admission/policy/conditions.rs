//! Expressions of policies: what they must give, and how they are evaluated for a request. What they may name is in
//! [`expressions::admission`].
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/cel.

use std::sync::OnceLock;

use api::meta::{self, GroupVersionKind};
use expressions::{
    Authorization, AuthorizationRequest, Authorize, AuthorizeDecision, Environment, Failure, Lazy, Meter, Program,
    Type, Value,
};
use json::{Value as Json, json};

use crate::admission::webhook::Asked;
use crate::authentication::UserInfo;
use crate::authorization::Attributes as AuthorizerAttributes;
use crate::context::RequestContext;
use crate::registry::resource::Resource;

/// An expression and what became of it.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) text: String,
    /// The error is upstream's, complete.
    pub(crate) program: Result<Program, String>,
}

impl Expression {
    /// Compiles an expression that must give one of these types; anything will do where there are none.
    pub(crate) fn compile(environment: &Environment, text: &str, gives: &[Type]) -> Expression {
        Expression { text: text.to_owned(), program: compile(environment, text, gives) }
    }
}

fn compile(environment: &Environment, text: &str, gives: &[Type]) -> Result<Program, String> {
    let checked = environment.check(text).map_err(|error| format!("compilation failed: {error}"))?;
    let output = checked.output();
    if !gives.is_empty() && !gives.contains(output) {
        let given = output.declared_name();
        return Err(match gives {
            [one] => format!("must evaluate to {} but got {given}", one.declared_name()),
            several => {
                let names: Vec<String> = several.iter().map(Type::declared_name).collect();
                format!("must evaluate to one of [{}] but got {given}", names.join(" "))
            }
        });
    }
    checked.program().map_err(|error| format!("program instantiation failed: {error}"))
}

/// All that expressions are told of a request, as JSON where it is made for them.
#[derive(Debug)]
pub(crate) struct Inputs<'a> {
    pub(crate) object: &'a Json,
    pub(crate) old: &'a Json,
    pub(crate) namespace: &'a Json,
    pub(crate) request: &'a Json,
    pub(crate) authorizer: Option<&'a RequestAuthorizer<'a>>,
    pub(crate) params: Option<&'a Json>,
}

impl<'a> Inputs<'a> {
    /// The values of the variables, in the order [`expressions::admission::environment`] declares them.
    fn values(&self, scope: &'a dyn Lazy) -> Vec<Value<'a>> {
        let authorizer = self.authorizer;
        let resource =
            |authorizer: &'a RequestAuthorizer<'a>| Authorization::resource(authorizer, authorizer.resource.clone());
        vec![
            Value::untyped(self.object),
            Value::untyped(self.old),
            Value::untyped(self.namespace),
            Value::untyped(self.request),
            Value::Lazy(scope),
            authorizer.map_or(Value::Null, |authorizer| Value::Authorization(Authorization::new(authorizer))),
            authorizer.map_or(Value::Null, |authorizer| Value::Authorization(resource(authorizer))),
            self.params.map_or(Value::Null, Value::untyped),
        ]
    }
}

/// A variable of a policy.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) expression: Expression,
}

/// A variable, with those before it. It is evaluated, and paid for, where it is first used.
#[derive(Debug)]
struct Scope<'a> {
    previous: &'a dyn Lazy,
    variable: &'a Variable,
    inputs: &'a Inputs<'a>,
    result: OnceLock<Result<Value<'a>, String>>,
}

impl<'a> Scope<'a> {
    fn value(&self, cost: &mut Meter) -> Result<Value<'a>, Failure> {
        let mut spent = 0;
        let result = self.result.get_or_init(|| {
            let name = api::go_text::quote(&self.variable.name);
            let program = match &self.variable.expression.program {
                Ok(program) => program,
                Err(why) => return Err(format!("composited variable {name} fails to compile: {why}")),
            };
            let evaluation = program.evaluate(&self.inputs.values(self.previous));
            spent = evaluation.cost;
            evaluation.result.map_err(|why| format!("composited variable {name} fails to evaluate: {why}"))
        });
        cost.spend(spent)?;
        result.clone().map_err(Failure::message)
    }
}

impl Lazy for Scope<'_> {
    fn field<'s>(&'s self, name: &str, cost: &mut Meter) -> Option<Result<Value<'s>, Failure>> {
        if self.variable.name == name { Some(self.value(cost)) } else { self.previous.field(name, cost) }
    }
}

/// What is before the first variable.
#[derive(Debug)]
struct NoVariables;

impl Lazy for NoVariables {
    fn field<'s>(&'s self, _: &str, _: &mut Meter) -> Option<Result<Value<'s>, Failure>> {
        None
    }
}

/// Evaluates expressions for one request, with the variables they name.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    values: Vec<Value<'a>>,
    remaining: u64,
}

/// There is nothing left to pay with.
pub(crate) const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl<'a> Evaluator<'a> {
    /// Runs `with` on an evaluator that knows the variables and may spend `budget`.
    pub(crate) fn run(
        variables: &[Variable],
        inputs: &Inputs<'_>,
        budget: u64,
        with: &mut dyn FnMut(&mut Evaluator<'_>),
    ) {
        nested(variables, &NoVariables, inputs, budget, with);
    }

    /// The value of an expression, or why it has none. Stop where the budget is spent.
    pub(crate) fn evaluate<'e>(&mut self, expression: &'e Expression) -> Result<Result<Value<'e>, String>, OutOfBudget>
    where
        'a: 'e,
    {
        let program = match &expression.program {
            Ok(program) => program,
            Err(why) => return Ok(Err(format!("compilation error: {why}"))),
        };
        let evaluation = program.evaluate(&self.values);
        self.remaining = self.remaining.checked_sub(evaluation.cost).ok_or(OutOfBudget)?;
        Ok(evaluation.result.map_err(|why| format!("expression '{}' resulted in error: {why}", expression.text)))
    }
}

/// Evaluation ends here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutOfBudget;

fn nested<'a>(
    variables: &'a [Variable],
    scope: &'a dyn Lazy,
    inputs: &'a Inputs<'a>,
    budget: u64,
    with: &mut dyn FnMut(&mut Evaluator<'_>),
) {
    match variables.split_first() {
        None => with(&mut Evaluator { values: inputs.values(scope), remaining: budget }),
        Some((variable, rest)) => {
            let next = Scope { previous: scope, variable, inputs, result: OnceLock::new() };
            nested(rest, &next, inputs, budget, with);
        }
    }
}

/// `request`, in the version an expression sees. Upstream: CreateAdmissionRequest.
pub(crate) fn request(asked: &Asked<'_>, resource: &Resource, kind: &GroupVersionKind, object: &Json) -> Json {
    let ctx = asked.attributes.ctx;
    let kind_of = |kind: &GroupVersionKind| json!({"group": kind.group, "version": kind.version, "kind": kind.kind});
    let plural = |resource: &Resource| json!({"group": resource.info.group, "version": resource.info.version, "resource": resource.info.plural});
    let mut user = json!({"username": ctx.user.name});
    if !ctx.user.uid.is_empty() {
        user["uid"] = json!(ctx.user.uid);
    }
    if !ctx.user.groups.is_empty() {
        user["groups"] = json!(ctx.user.groups);
    }
    if !ctx.user.extra.is_empty() {
        user["extra"] = json!(ctx.user.extra);
    }
    let mut request = json!({
        "kind": kind_of(kind),
        "resource": plural(resource),
        "requestKind": kind_of(&asked.kind),
        "requestResource": plural(&asked.resource),
        "operation": asked.attributes.operation.as_str(),
        "userInfo": user,
        "dryRun": ctx.dry_run,
        "options": asked.attributes.options,
    });
    let target = &ctx.target;
    let name = if target.name.is_empty() { meta::name(object) } else { &target.name };
    let optional = [
        ("name", name),
        ("namespace", asked.namespace()),
        ("subResource", &target.subresource),
        ("requestSubResource", &target.subresource),
    ];
    for (field, value) in optional.into_iter().filter(|(_, value)| !value.is_empty()) {
        request[field] = json!(value);
    }
    request
}

/// The fields of a namespace that expressions see. Upstream: CreateNamespaceObject.
pub(crate) fn namespace_object(namespace: &Json) -> Json {
    let mut shown = json!({"metadata": {}, "spec": namespace["spec"], "status": namespace["status"]});
    let fields = [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "finalizers",
    ];
    for field in fields {
        if let Some(value) = namespace["metadata"].get(field) {
            shown["metadata"][field] = value.clone();
        }
    }
    shown
}

/// The authorizer as expressions ask it: for the user of the request.
#[derive(Debug)]
pub(crate) struct RequestAuthorizer<'a> {
    ctx: &'a RequestContext,
    resource: AuthorizationRequest,
}

impl<'a> RequestAuthorizer<'a> {
    /// For the user and the resource of a request.
    pub(crate) fn new(ctx: &'a RequestContext) -> RequestAuthorizer<'a> {
        let target = &ctx.target;
        let resource = AuthorizationRequest {
            group: target.group.clone(),
            resource: target.resource.clone(),
            subresource: target.subresource.clone(),
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            ..AuthorizationRequest::default()
        };
        RequestAuthorizer { ctx, resource }
    }
}

impl Authorize for RequestAuthorizer<'_> {
    fn authorize(&self, request: &AuthorizationRequest) -> AuthorizeDecision {
        let user = match &request.service_account {
            Some((namespace, name)) => UserInfo::new(
                format!("system:serviceaccount:{namespace}:{name}"),
                &["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")],
            ),
            None => self.ctx.user.clone(),
        };
        let decision = self.ctx.authorize(&AuthorizerAttributes {
            user,
            verb: request.verb.clone(),
            api_group: request.group.clone(),
            api_version: "*".to_owned(),
            resource: request.resource.clone(),
            subresource: request.subresource.clone(),
            namespace: request.namespace.clone(),
            name: request.name.clone(),
            path: request.path.clone().unwrap_or_default(),
            is_resource_request: request.path.is_none(),
            field_selector: request.field_selector.clone(),
            label_selector: request.label_selector.clone(),
        });
        AuthorizeDecision { allowed: decision.is_allowed(), reason: decision.reason, error: decision.error }
    }
}
