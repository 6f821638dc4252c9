//! ResourceQuotas. Upstream: ValidateResourceQuota.

use api::field::{Error, ErrorList};
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::resources::{is_huge_page, quantity_value, resource_name};
use super::super::validation::{qualified_name, required_text, same};
use crate::context::RequestContext;

const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];
const NOT_QUOTA: [&str; 1] = ["storage"];

/// The semantics of resource quotas.
#[derive(Debug, Clone, Copy)]
pub struct ResourceQuota;

impl Strategy for ResourceQuota {
    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let spec = At::root(new).field("spec");
        amounts(&spec.field("hard"), &mut errors);
        let scopes = spec.field("scopes");
        for scope in scopes.items() {
            qualified_name(&scope, &mut errors);
            if !SCOPES.contains(&scope.str()) {
                errors.push(Error::invalid(&scopes.path, scopes.bad(), "unsupported scope"));
            } else if spec.field("hard").entries().any(|(name, _)| !counts_in(scope.str(), name)) {
                errors.push(scopes.invalid("unsupported scope applied to resource"));
            }
        }
        let has = |scope: &str| scopes.slice().iter().any(|own| own == scope);
        for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
            if has(one) && has(other) {
                errors.push(scopes.invalid("conflicting scopes"));
            }
        }
        for expression in spec.field("scopeSelector").field("matchExpressions").items() {
            let operator = expression.field("operator");
            let values = At::new(
                expression.get("values"),
                spec.path.child("scopeSelector").child("matchExpressions").child("values"),
            );
            required_text(&expression.field("scopeName"), &mut errors);
            match operator.str() {
                "In" | "NotIn" if values.is_empty() => {
                    errors.push(
                        values.required(
                            "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                        ),
                    );
                }
                "Exists" | "DoesNotExist" if !values.is_empty() => {
                    errors.push(
                        values.invalid(
                            "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector",
                        ),
                    );
                }
                "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
                _ => errors.push(operator.invalid_str("not a valid selector operator")),
            }
        }
        errors
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let scopes = At::root(new).field("spec").field("scopes");
        if !same(scopes.value, &old["spec"]["scopes"]) {
            errors.push(scopes.invalid(super::super::validation::FIELD_IMMUTABLE));
        }
        errors
    }

    fn validate_status(&self, new: &Value, _old: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let status = At::root(new).field("status");
        for kind in ["hard", "used"] {
            amounts(&status.field(kind), &mut errors);
        }
        errors
    }
}

/// Upstream: IsResourceQuotaScopeValidForResource.
fn counts_in(scope: &str, resource: &str) -> bool {
    match scope {
        "BestEffort" => resource == "pods",
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => {
            let bare = resource.trim_start_matches("requests.").trim_start_matches("limits.");
            resource == "pods"
                || matches!(bare, "cpu" | "memory" | "ephemeral-storage")
                || bare.starts_with("hugepages-")
                || bare.contains('/')
        }
        _ => true,
    }
}

fn amounts(at: &At<'_>, errors: &mut ErrorList) {
    for (name, amount) in at.entries() {
        let fine = resource_name(name, &amount, errors);
        let unknown = !fine || NOT_QUOTA.contains(&name) && !is_huge_page(name);
        if !name.contains('/') && unknown {
            errors.push(Error::invalid(&amount.path, name, "must be a standard resource for quota"));
        }
        quantity_value(name, &amount, errors);
    }
}
