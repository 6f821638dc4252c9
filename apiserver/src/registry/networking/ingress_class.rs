//! IngressClasses: which controller serves an ingress. Upstream: ValidateIngressClass.

use api::field::{Error, ErrorList};
use api::names;
use json::Value;

use super::super::fields::{At, at};
use super::super::strategy::Strategy;
use super::super::validation::{dns_label, immutable, one_of};
use super::typed_reference;
use crate::context::RequestContext;

const MAX_CONTROLLER: usize = 250;

/// The semantics of ingress classes.
#[derive(Debug, Clone, Copy)]
pub struct IngressClass;

impl Strategy for IngressClass {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        let controller = spec.field("controller");
        if controller.str().len() > MAX_CONTROLLER {
            errors.push(Error::too_long(&controller.path, MAX_CONTROLLER));
        }
        errors.extend(names::is_domain_prefixed_path(&controller.path, controller.str()));
        let parameters = spec.field("parameters");
        if parameters.is_set() {
            self::parameters(&parameters, &mut errors);
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        immutable(&At::root(new).field("spec").field("controller"), at(old, &["spec", "controller"]), &mut errors);
        errors
    }
}

fn parameters(at: &At<'_>, errors: &mut ErrorList) {
    typed_reference(at, errors);
    let (scope, namespace) = (at.field("scope"), at.field("namespace"));
    match (scope.str(), namespace.is_set()) {
        ("", _) if !scope.is_set() => errors.push(scope.required("")),
        ("Namespace", true) => dns_label(&namespace, errors),
        ("Namespace", false) => errors.push(namespace.required("`parameters.scope` is set to 'Namespace'")),
        ("Cluster", true) => errors.push(namespace.forbidden("`parameters.scope` is set to 'Cluster'")),
        _ => one_of(&scope, &["Cluster", "Namespace"], errors),
    }
}
