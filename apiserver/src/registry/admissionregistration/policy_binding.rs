//! ValidatingAdmissionPolicyBindings and MutatingAdmissionPolicyBindings.
//! Upstream: validateValidatingAdmissionPolicyBinding, validateMutatingAdmissionPolicyBinding.

use std::collections::HashSet;

use api::field::ErrorList;
use api::names;
use json::Value;

use super::super::fields::At;
use super::super::strategy::Strategy;
use super::super::validation::one_of;
use super::matching::{match_resources, param_ref};
use super::{rights, static_names};
use crate::context::RequestContext;

/// The semantics of both kinds.
#[derive(Debug, Clone, Copy)]
pub struct AdmissionPolicyBinding {
    /// Is it the mutating kind?
    pub mutating: bool,
}

impl Strategy for AdmissionPolicyBinding {
    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = self.faults(new);
        errors.extend(static_names::refused(new));
        if errors.is_empty() { rights::param_ref(ctx, new, self.mutating) } else { errors }
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, _old: &Value) -> ErrorList {
        let errors = self.faults(new);
        if errors.is_empty() { rights::param_ref(ctx, new, self.mutating) } else { errors }
    }

    fn warnings_on_update(&self, _ctx: &RequestContext, new: &Value, _old: &Value) -> Vec<String> {
        static_names::warning(new).into_iter().collect()
    }
}

impl AdmissionPolicyBinding {
    fn faults(self, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        let root = At::root(new);
        let spec = root.field("spec");
        let policy = spec.field("policyName");
        if policy.str().is_empty() {
            errors.push(policy.required(""));
        } else {
            errors.extend(
                names::name_is_dns_subdomain(policy.str(), false).into_iter().map(|why| policy.invalid_str(why)),
            );
        }
        if spec.field("paramRef").is_set() {
            param_ref(&spec.field("paramRef"), &mut errors);
        }
        if spec.field("matchResources").is_set() {
            match_resources(&spec.field("matchResources"), &mut errors);
        }
        if !self.mutating {
            actions(&spec.field("validationActions"), &mut errors);
        }
        errors
    }
}

fn actions(list: &At<'_>, errors: &mut ErrorList) {
    let mut seen = HashSet::new();
    for action in list.items() {
        one_of(&action, &["Audit", "Deny", "Warn"], errors);
        if !seen.insert(action.str()) {
            errors.push(action.duplicate());
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        errors.push(list.invalid("must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"));
    }
    if seen.is_empty() {
        errors.push(list.required(""));
    }
}
