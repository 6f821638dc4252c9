//! Questions to the authorizer: `authorizer.group('').resource('pods').check('get').allowed()`.
//!
//! Who is asked is passed in ([`Authorize`]); it must answer at once. Upstream: k8s.io/apiserver/pkg/cel/library/authz.go.

use std::fmt;
use std::sync::Arc;

use super::{Outcome, Row, no_overload};
use crate::eval::Failure;
use crate::value::Value;

pub(super) const ROWS: &[Row] = &[
    (
        "authorizer_path",
        "(kubernetes.authorization.Authorizer).path(string) -> kubernetes.authorization.PathCheck",
        path,
    ),
    (
        "authorizer_group",
        "(kubernetes.authorization.Authorizer).group(string) -> kubernetes.authorization.GroupCheck",
        group,
    ),
    (
        "authorizer_serviceaccount",
        "(kubernetes.authorization.Authorizer).serviceAccount(string, string) -> kubernetes.authorization.Authorizer",
        service_account,
    ),
    (
        "groupcheck_resource",
        "(kubernetes.authorization.GroupCheck).resource(string) -> kubernetes.authorization.ResourceCheck",
        resource,
    ),
    (
        "resourcecheck_subresource",
        "(kubernetes.authorization.ResourceCheck).subresource(string) -> kubernetes.authorization.ResourceCheck",
        |args| narrowed(args, |request, text| request.subresource = text),
    ),
    (
        "resourcecheck_namespace",
        "(kubernetes.authorization.ResourceCheck).namespace(string) -> kubernetes.authorization.ResourceCheck",
        |args| narrowed(args, |request, text| request.namespace = text),
    ),
    (
        "resourcecheck_name",
        "(kubernetes.authorization.ResourceCheck).name(string) -> kubernetes.authorization.ResourceCheck",
        |args| narrowed(args, |request, text| request.name = text),
    ),
    (
        "authorizer_fieldselector",
        "(kubernetes.authorization.ResourceCheck).fieldSelector(string) -> kubernetes.authorization.ResourceCheck",
        |args| narrowed(args, |request, text| request.field_selector = text),
    ),
    (
        "authorizer_labelselector",
        "(kubernetes.authorization.ResourceCheck).labelSelector(string) -> kubernetes.authorization.ResourceCheck",
        |args| narrowed(args, |request, text| request.label_selector = text),
    ),
    (
        "pathcheck_check",
        "(kubernetes.authorization.PathCheck).check(string) -> kubernetes.authorization.Decision",
        check,
    ),
    (
        "resourcecheck_check",
        "(kubernetes.authorization.ResourceCheck).check(string) -> kubernetes.authorization.Decision",
        check,
    ),
    ("decision_errored", "(kubernetes.authorization.Decision).errored() -> bool", |args| {
        decided(args, |decision| Value::Bool(decision.error.is_some()))
    }),
    ("decision_error", "(kubernetes.authorization.Decision).error() -> string", |args| {
        decided(args, |decision| Value::text(decision.error.clone().unwrap_or_default()))
    }),
    ("decision_allowed", "(kubernetes.authorization.Decision).allowed() -> bool", |args| {
        decided(args, |decision| Value::Bool(decision.allowed))
    }),
    ("decision_reason", "(kubernetes.authorization.Decision).reason() -> string", |args| {
        decided(args, |decision| Value::text(decision.reason.as_str()))
    }),
];

/// Who may what. Must answer without waiting.
pub trait Authorize: fmt::Debug + Sync {
    /// Decides for the user of the request, or for the service account named in it.
    fn authorize(&self, request: &AuthorizationRequest) -> AuthorizeDecision;
}

/// What is asked. What is not about a resource has a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// Namespace and name, where another than the user of the request is meant.
    pub service_account: Option<(String, String)>,
    pub path: Option<String>,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    pub field_selector: String,
    pub label_selector: String,
    pub verb: String,
}

/// The answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizeDecision {
    pub allowed: bool,
    pub reason: String,
    pub error: Option<String>,
}

/// A question that is being put together, or its answer.
#[derive(Debug, Clone)]
pub enum Authorization<'a> {
    Authorizer(&'a dyn Authorize, Arc<AuthorizationRequest>),
    Group(&'a dyn Authorize, Arc<AuthorizationRequest>),
    Path(&'a dyn Authorize, Arc<AuthorizationRequest>),
    Resource(&'a dyn Authorize, Arc<AuthorizationRequest>),
    Decision(Arc<AuthorizeDecision>),
}

impl<'a> Authorization<'a> {
    /// The variable `authorizer`.
    pub fn new(authorize: &'a dyn Authorize) -> Authorization<'a> {
        Authorization::Authorizer(authorize, Arc::default())
    }

    /// A variable for one resource: `authorizer.requestResource`.
    pub fn resource(authorize: &'a dyn Authorize, request: AuthorizationRequest) -> Authorization<'a> {
        Authorization::Resource(authorize, Arc::new(request))
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Authorization::Authorizer(..) => "kubernetes.authorization.Authorizer",
            Authorization::Group(..) => "kubernetes.authorization.GroupCheck",
            Authorization::Path(..) => "kubernetes.authorization.PathCheck",
            Authorization::Resource(..) => "kubernetes.authorization.ResourceCheck",
            Authorization::Decision(_) => "kubernetes.authorization.Decision",
        }
    }
}

/// The request with one more part.
fn with(request: &AuthorizationRequest, change: impl FnOnce(&mut AuthorizationRequest)) -> Arc<AuthorizationRequest> {
    let mut request = request.clone();
    change(&mut request);
    Arc::new(request)
}

fn path<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Authorization(Authorization::Authorizer(authorize, request)), Value::String(path)] = args else {
        return no_overload();
    };
    if path.trim().is_empty() {
        return Err(Failure::message("path must not be empty"));
    }
    let request = with(request, |request| request.path = Some(path.to_string()));
    Ok(Value::Authorization(Authorization::Path(*authorize, request)))
}

fn group<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Authorization(Authorization::Authorizer(authorize, request)), Value::String(group)] = args else {
        return no_overload();
    };
    let request = with(request, |request| request.group = group.to_string());
    Ok(Value::Authorization(Authorization::Group(*authorize, request)))
}

fn service_account<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [
        Value::Authorization(Authorization::Authorizer(authorize, request)),
        Value::String(namespace),
        Value::String(name),
    ] = args
    else {
        return no_overload();
    };
    if !api::names::name_is_dns_subdomain(name, false).is_empty() {
        return Err(Failure::message("Invalid service account name"));
    }
    if !api::names::name_is_dns_label(namespace, false).is_empty() {
        return Err(Failure::message("Invalid service account namespace"));
    }
    let request = with(request, |request| request.service_account = Some((namespace.to_string(), name.to_string())));
    Ok(Value::Authorization(Authorization::Authorizer(*authorize, request)))
}

fn resource<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [Value::Authorization(Authorization::Group(authorize, request)), Value::String(resource)] = args else {
        return no_overload();
    };
    if resource.trim().is_empty() {
        return Err(Failure::message("resource must not be empty"));
    }
    let request = with(request, |request| request.resource = resource.to_string());
    Ok(Value::Authorization(Authorization::Resource(*authorize, request)))
}

fn narrowed<'a>(args: &[Value<'a>], change: fn(&mut AuthorizationRequest, String)) -> Outcome<'a> {
    let [Value::Authorization(Authorization::Resource(authorize, request)), Value::String(text)] = args else {
        return no_overload();
    };
    let request = with(request, |request| change(request, text.to_string()));
    Ok(Value::Authorization(Authorization::Resource(*authorize, request)))
}

fn check<'a>(args: &[Value<'a>]) -> Outcome<'a> {
    let [
        Value::Authorization(Authorization::Path(authorize, request) | Authorization::Resource(authorize, request)),
        verb,
    ] = args
    else {
        return no_overload();
    };
    let Value::String(verb) = verb else { return no_overload() };
    let request = with(request, |request| request.verb = verb.to_string());
    Ok(Value::Authorization(Authorization::Decision(Arc::new(authorize.authorize(&request)))))
}

fn decided<'a>(args: &[Value<'a>], read: fn(&AuthorizeDecision) -> Value<'static>) -> Outcome<'a> {
    let [Value::Authorization(Authorization::Decision(decision))] = args else { return no_overload() };
    Ok(read(decision))
}
