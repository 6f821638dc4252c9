//! Role-based access control, evaluated on the newest snapshot of the store: a new binding counts from its commit on.
//!
//! Roles and bindings are compiled once per stored revision and kept with the entry ([`store::Entry::slot`]), so a request costs a walk
//! over compiled bindings and no decoding. Nothing has to be invalidated: a changed object is another entry.
//! Upstream: plugin/pkg/auth/authorizer/rbac.

pub mod bootstrap;
pub mod escalation;
mod rule;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

use api::go_text::quote;
use json::Value;
use store::{Entry, Snapshot, Store};

pub use rule::{Binding, Role, Rule, Subject};

use super::{Attributes, Decision, Reasons};
use crate::authentication::UserInfo;

/// Where roles and bindings come from.
pub trait Policies: Send + Sync {
    /// Shows every ClusterRoleBinding (namespace ""), or every RoleBinding of a namespace.
    fn bindings(&self, namespace: &str, visit: &mut dyn FnMut(&Binding) -> ControlFlow<()>);
    /// A ClusterRole (namespace "") or Role.
    fn role(&self, namespace: &str, name: &str) -> Option<Arc<Role>>;
}

fn decoded(entry: &Entry) -> Value {
    // An entry that does not decode grants nothing; the engine reports it where it is read.
    json::from_slice(&entry.value).unwrap_or_default()
}

impl Policies for Snapshot {
    fn bindings(&self, namespace: &str, visit: &mut dyn FnMut(&Binding) -> ControlFlow<()>) {
        let prefix = if namespace.is_empty() {
            "/registry/clusterrolebindings/".to_owned()
        } else {
            format!("/registry/rolebindings/{namespace}/")
        };
        for entry in self.range(&prefix, None) {
            let binding = entry.slot(|entry| Binding::read(&decoded(entry)));
            if visit(&binding).is_break() {
                return;
            }
        }
    }

    fn role(&self, namespace: &str, name: &str) -> Option<Arc<Role>> {
        let key = if namespace.is_empty() {
            format!("/registry/clusterroles/{name}")
        } else {
            format!("/registry/roles/{namespace}/{name}")
        };
        Some(self.get(&key)?.slot(|entry| Role { rules: Rule::read_all(&decoded(entry)) }))
    }
}

impl Policies for Store {
    fn bindings(&self, namespace: &str, visit: &mut dyn FnMut(&Binding) -> ControlFlow<()>) {
        self.snapshot().bindings(namespace, visit);
    }

    fn role(&self, namespace: &str, name: &str) -> Option<Arc<Role>> {
        self.snapshot().role(namespace, name)
    }
}

/// The authorizer.
#[derive(Clone)]
pub struct Rbac {
    policies: Arc<dyn Policies>,
}

impl std::fmt::Debug for Rbac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rbac").finish_non_exhaustive()
    }
}

/// Looks at a binding of a user, the subject that makes it so, and the rules it gives.
type Visitor<'a> = dyn FnMut(&Binding, &Subject, &[Rule]) -> ControlFlow<()> + 'a;

impl Rbac {
    pub fn new(policies: Arc<dyn Policies>) -> Rbac {
        Rbac { policies }
    }

    /// Decides, with upstream's reason where one is wanted. Never denies: what no rule allows is left to others.
    pub fn decide(&self, request: &Attributes, reasons: Reasons) -> Decision {
        let mut allowed = None;
        let errors = self.visit(&request.user, &request.namespace, &mut |binding, subject, rules| {
            if !rules.iter().any(|rule| rule.allows(request)) {
                return ControlFlow::Continue(());
            }
            let reason = match reasons {
                Reasons::OfRefusals => String::new(),
                Reasons::OfAll => format!("RBAC: allowed by {}", binding.describe(subject)),
            };
            allowed = Some(Decision { reason, ..Decision::allow() });
            ControlFlow::Break(())
        });
        allowed.unwrap_or_else(|| {
            Decision::no_opinion(aggregate(&errors).map(|errors| format!("RBAC: {errors}")).unwrap_or_default())
        })
    }

    /// Every rule the user has in a namespace (cluster-wide ones included), and what could not be resolved.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let mut all = Vec::new();
        let errors = self.visit(user, namespace, &mut |_, _, rules| {
            all.extend_from_slice(rules);
            ControlFlow::Continue(())
        });
        (all, errors)
    }

    /// The rules of the role a binding in `namespace` ("" for cluster bindings) refers to.
    pub fn referenced(&self, kind: &str, name: &str, namespace: &str) -> Result<Arc<Role>, String> {
        let (found, resource) = match kind {
            "ClusterRole" => (self.policies.role("", name), "clusterrole"),
            "Role" => (self.policies.role(namespace, name).filter(|_| !namespace.is_empty()), "role"),
            _ => return Err(format!("unsupported role reference kind: {}", quote(kind))),
        };
        found.ok_or_else(|| format!("{resource}.rbac.authorization.k8s.io {} not found", quote(name)))
    }

    fn visit(&self, user: &UserInfo, namespace: &str, visitor: &mut Visitor<'_>) -> Vec<String> {
        let mut errors = Vec::new();
        let stopped = Cell::new(false);
        let mut look = |binding: &Binding| {
            let Some(subject) = binding.applies_to(user) else { return ControlFlow::Continue(()) };
            match self.referenced(&binding.role_kind, &binding.role_name, &binding.namespace) {
                Ok(role) => {
                    let flow = visitor(binding, subject, &role.rules);
                    stopped.set(flow.is_break());
                    flow
                }
                Err(error) => {
                    errors.push(error);
                    ControlFlow::Continue(())
                }
            }
        };
        self.policies.bindings("", &mut look);
        if !stopped.get() && !namespace.is_empty() {
            self.policies.bindings(namespace, &mut look);
        }
        errors
    }
}

/// Several errors in one text, each once. Upstream: utilerrors.NewAggregate.
pub(super) fn aggregate(errors: &[String]) -> Option<String> {
    let mut unique: Vec<&str> = Vec::new();
    for error in errors {
        if !unique.contains(&error.as_str()) {
            unique.push(error);
        }
    }
    match unique[..] {
        [] => None,
        [one] => Some(one.to_owned()),
        _ => Some(format!("[{}]", unique.join(", "))),
    }
}
