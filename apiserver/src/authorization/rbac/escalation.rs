//! Nobody gives out more than they have: checked when a role or binding is created or changed.
//!
//! Exempt are members of system:masters, whoever may `escalate` the role or `bind` the role referred to, and changes of
//! nothing but what the garbage collector needs.
//! Upstream: pkg/registry/rbac/{escalation_check.go,*/policybased}, component-helpers auth/rbac/validation.

use std::collections::BTreeSet;

use api::meta::{self, GroupResource};
use api::status::Status;
use json::Value;

use super::rule::{Rule, quoted, url_matches};
use super::{Rbac, aggregate};
use crate::admission::{self, Mutating, Operation};
use crate::authentication::SYSTEM_PRIVILEGED_GROUP;
use crate::context::RequestContext;
use crate::registry::fields::{items, text};

const GROUP: &str = "rbac.authorization.k8s.io";

/// The check, in the place of a last mutating admission plugin: upstream does it between admission and validation.
pub struct EscalationCheck {
    /// The rules that may not be exceeded.
    pub rbac: Rbac,
}

impl std::fmt::Debug for EscalationCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EscalationCheck").finish_non_exhaustive()
    }
}

impl Mutating for EscalationCheck {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: admission::Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        self.check(attributes.ctx, attributes.old, object)
    }
}

impl EscalationCheck {
    fn check(&self, ctx: &RequestContext, old: Option<&Value>, new: &Value) -> Result<(), Status> {
        let target = &ctx.target;
        if target.group != GROUP || !target.subresource.is_empty() || ctx.user.in_group(SYSTEM_PRIVILEGED_GROUP) {
            return Ok(());
        }
        if old.is_some_and(|old| only_collectable_fields_change(old, new)) {
            return Ok(());
        }
        let refused =
            |why: &str| Err(Status::forbidden(&GroupResource::new(GROUP, &target.resource), meta::name(new), &why));
        let namespace = &target.namespace;
        match target.resource.as_str() {
            "roles" | "clusterroles" => {
                if may(ctx, "escalate", &target.resource, namespace, &target.name) {
                    return Ok(());
                }
                if let Err(why) = self.confirm(ctx, &Rule::read_all(new)) {
                    return refused(&why);
                }
                let aggregates = |role: &Value| !items(&role["aggregationRule"], "clusterRoleSelectors").is_empty();
                if (aggregates(new) || old.is_some_and(aggregates)) && self.confirm(ctx, &Rule::everything()).is_err() {
                    return refused("must have cluster-admin privileges to use the aggregationRule");
                }
                Ok(())
            }
            "rolebindings" | "clusterrolebindings" => {
                let (kind, name) = (text(&new["roleRef"], "kind"), text(&new["roleRef"], "name"));
                let resource = match kind {
                    "ClusterRole" => "clusterroles",
                    "Role" => "roles",
                    // Validation refuses it.
                    _ => return Ok(()),
                };
                if may(ctx, "bind", resource, namespace, name) {
                    return Ok(());
                }
                let Ok(role) = self.rbac.referenced(kind, name, namespace) else {
                    // Upstream says the role's name, and calls it a binding.
                    return Err(Status::not_found(&GroupResource::new(GROUP, &ctx.target.resource), name));
                };
                self.confirm(ctx, &role.rules).or_else(|why| refused(&why))
            }
            _ => Ok(()),
        }
    }

    /// Has the user all these rights already? Upstream: validation.ConfirmNoEscalation.
    fn confirm(&self, ctx: &RequestContext, wanted: &[Rule]) -> Result<(), String> {
        let (own, errors) = self.rbac.rules_for(&ctx.user, &ctx.target.namespace);
        let missing = uncovered(&own, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let lines: BTreeSet<String> = compact(missing).iter().map(Rule::compact).collect();
        let mut message = format!(
            "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            api::go_text::quote(&ctx.user.name),
            quoted(&ctx.user.groups),
            lines.into_iter().collect::<Vec<_>>().join("\n")
        );
        if let Some(errors) = aggregate(&errors) {
            message.push_str(&format!("; resolution errors: [{errors}]"));
        }
        Err(message)
    }
}

/// Is the user exempt by name: may they `escalate` or `bind` this role?
fn may(ctx: &RequestContext, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let mut question = ctx.question(verb, GROUP, resource);
    namespace.clone_into(&mut question.namespace);
    name.clone_into(&mut question.name);
    ctx.may(&question)
}

/// Is nothing changed but what the garbage collector needs? Upstream: rbacregistry.IsOnlyMutatingGCFields.
pub(crate) fn only_collectable_fields_change(old: &Value, new: &Value) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = meta::metadata_mut(&mut object) {
            for field in ["ownerReferences", "finalizers", "managedFields"] {
                metadata.shift_remove(field);
            }
        }
        object
    };
    stripped(old) == stripped(new)
}

/// Every right of `wanted`, taken apart, that no rule of `own` gives.
pub(super) fn uncovered(own: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    wanted.iter().flat_map(atoms).filter(|atom| !own.iter().any(|rule| covers(rule, atom))).collect()
}

/// Rules of one group, resource, verb and at most one name each.
fn atoms(rule: &Rule) -> Vec<Rule> {
    let one = |text: &String| vec![text.clone()];
    let mut atoms = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let atom =
                    Rule { verbs: one(verb), api_groups: one(group), resources: one(resource), ..Rule::default() };
                if rule.resource_names.is_empty() {
                    atoms.push(atom);
                } else {
                    atoms.extend(
                        rule.resource_names.iter().map(|name| Rule { resource_names: one(name), ..atom.clone() }),
                    );
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        atoms.extend(rule.verbs.iter().map(|verb| Rule {
            verbs: one(verb),
            non_resource_urls: one(url),
            ..Rule::default()
        }));
    }
    atoms
}

fn covers(owner: &Rule, atom: &Rule) -> bool {
    let all =
        |own: &[String], wanted: &[String]| wanted.iter().all(|item| own.iter().any(|own| own == "*" || own == item));
    let resource = |wanted: &String| {
        let of_any_parent = wanted.split_once('/').map(|(_, sub)| format!("*/{sub}"));
        owner.resources.iter().any(|own| own == "*" || own == wanted || Some(own) == of_any_parent.as_ref())
    };
    let names = if atom.resource_names.is_empty() {
        owner.resource_names.is_empty()
    } else {
        owner.resource_names.is_empty() || atom.resource_names.iter().all(|name| owner.resource_names.contains(name))
    };
    all(&owner.verbs, &atom.verbs)
        && all(&owner.api_groups, &atom.api_groups)
        && atom.resources.iter().all(resource)
        && names
        && atom.non_resource_urls.iter().all(|url| owner.non_resource_urls.iter().any(|own| url_matches(own, url)))
}

/// Joins the verbs of atoms that are otherwise equal. Upstream: validation.CompactRules.
fn compact(atoms: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for atom in atoms {
        let same = |rule: &&mut Rule| {
            atom.non_resource_urls.is_empty()
                && rule.api_groups == atom.api_groups
                && rule.resources == atom.resources
                && rule.resource_names == atom.resource_names
                && rule.non_resource_urls.is_empty()
        };
        match rules.iter_mut().find(same) {
            Some(rule) => rule.verbs.extend(atom.verbs),
            None => rules.push(atom),
        }
    }
    rules
}
