//! ABAC: policies of a file, one JSON object a line, read once at the start. A policy that matches allows; none refuses.
//!
//! There are two forms, the one of `abac.authorization.kubernetes.io/v1beta1` and an older one without version, where what is
//! left out means everything.
//! Upstream: pkg/auth/authorizer/abac, pkg/apis/abac.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use json::Value;

use super::rbac::Rule;
use super::{Attributes, Decision, Unreadable};
use crate::authentication::{ALL_AUTHENTICATED, UserInfo};
use crate::webhook::review::{self, Fields, Malformed};

const API_VERSION: &str = "abac.authorization.kubernetes.io/v1beta1";
const KIND: &str = "Policy";

/// Why a policy file cannot be used. Upstream: abac.policyLoadError.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("error reading policy file {path}, line {line}: {text}: {why}", path = path.display())]
    Line { path: PathBuf, line: usize, text: String, why: String },
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Policy {
    user: String,
    group: String,
    readonly: bool,
    api_group: String,
    resource: String,
    namespace: String,
    path: String,
}

/// The authorizer.
#[derive(Debug, Clone, Default)]
pub(super) struct Abac {
    policies: Vec<Policy>,
}

impl Abac {
    pub(super) fn read(path: &Path) -> Result<Abac, Error> {
        let text = super::text_of(path)?;
        Abac::parse(&text).map_err(|(line, text, why)| Error::Line { path: path.to_owned(), line, text, why })
    }

    /// The error is the number of a line, the line, and what is wrong with it.
    fn parse(text: &str) -> Result<Abac, (usize, String, String)> {
        let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
        let lines = lines.filter(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'));
        let policy =
            |(at, line): (usize, &str)| Policy::parse(line).map_err(|why| (at, line.to_owned(), why.to_string()));
        Ok(Abac { policies: lines.map(policy).collect::<Result<_, _>>()? })
    }

    pub(super) fn decide(&self, request: &Attributes) -> Decision {
        match self.policies.iter().any(|policy| policy.allows(request)) {
            true => Decision::allow(),
            false => Decision::no_opinion("No policy matched."),
        }
    }

    /// What the policies about a user say of a namespace. Upstream: PolicyList.RulesFor.
    pub(super) fn rules_for(&self, user: &UserInfo, namespace: &str) -> Vec<Rule> {
        let concerned =
            |policy: &&Policy| policy.is_about(user) && (policy.namespace == "*" || policy.namespace == namespace);
        self.policies.iter().filter(concerned).flat_map(Policy::rules).collect()
    }
}

impl Policy {
    fn parse(line: &str) -> Result<Policy, Malformed> {
        let object = review::parse(line.as_bytes())?;
        match (api::meta::api_version(&object), api::meta::kind(&object)) {
            (API_VERSION, KIND) => Policy::versioned(&object),
            ("", "" | KIND) => Policy::unversioned(&object),
            (version, kind) => Err(review::unregistered(version, kind)),
        }
    }

    fn versioned(object: &Value) -> Result<Policy, Malformed> {
        let Some(spec) = Fields::of(object, "spec", "Policy.spec")? else { return Ok(Policy::default()) };
        let text = |name: &str| spec.text(name).map(|text| text.unwrap_or_default().to_owned());
        let policy = Policy {
            user: text("user")?,
            group: text("group")?,
            readonly: spec.bool("readonly")?,
            api_group: text("apiGroup")?,
            resource: text("resource")?,
            namespace: text("namespace")?,
            path: text("nonResourcePath")?,
        };
        Ok(policy.for_everybody_who_is_known(false))
    }

    fn unversioned(object: &Value) -> Result<Policy, Malformed> {
        let Some(fields) = Fields::of_all(object, "Policy") else { return Ok(Policy::default()) };
        let text = |name: &str| fields.text(name).map(|text| text.unwrap_or_default().to_owned());
        let or_all = |text: String| if text.is_empty() { "*".to_owned() } else { text };
        let (namespace, resource) = (text("namespace")?, text("resource")?);
        let policy = Policy {
            user: text("user")?,
            group: text("group")?,
            readonly: fields.bool("readonly")?,
            api_group: "*".to_owned(),
            path: if namespace.is_empty() && resource.is_empty() { "*".to_owned() } else { String::new() },
            resource: or_all(resource),
            namespace: or_all(namespace),
        };
        Ok(policy.for_everybody_who_is_known(true))
    }

    /// `*` is whoever is known; so is nobody at all, where `nobody_is_all`.
    fn for_everybody_who_is_known(mut self, nobody_is_all: bool) -> Policy {
        if self.user == "*" || self.group == "*" || (nobody_is_all && self.user.is_empty() && self.group.is_empty()) {
            self.user.clear();
            ALL_AUTHENTICATED.clone_into(&mut self.group);
        }
        self
    }

    fn allows(&self, request: &Attributes) -> bool {
        self.is_about(&request.user)
            && (!self.readonly || request.is_read_only())
            && if request.is_resource_request { self.covers(request) } else { self.covers_path(&request.path) }
    }

    /// Who is named must be the user, and one of the groups; somebody must be named.
    fn is_about(&self, user: &UserInfo) -> bool {
        let is_named = !self.user.is_empty() || !self.group.is_empty();
        is_named
            && (self.user.is_empty() || self.user == user.name)
            && (self.group.is_empty() || user.in_group(&self.group))
    }

    fn covers(&self, request: &Attributes) -> bool {
        let is = |own: &str, asked: &str| own == "*" || own == asked;
        is(&self.namespace, &request.namespace)
            && is(&self.resource, &request.resource)
            && is(&self.api_group, &request.api_group)
    }

    fn covers_path(&self, path: &str) -> bool {
        self.path == path || (self.path.ends_with('*') && path.starts_with(self.path.trim_end_matches('*')))
    }

    fn rules(&self) -> Vec<Rule> {
        let one = |text: &String| vec![text.clone()];
        let verbs: &[&str] = if self.readonly { &["get", "list", "watch"] } else { &["*"] };
        let verbs: Vec<String> = verbs.iter().map(|verb| (*verb).to_owned()).collect();
        let mut rules = Vec::new();
        if !self.resource.is_empty() {
            let (api_groups, resources) = (one(&self.api_group), one(&self.resource));
            rules.push(Rule { verbs: verbs.clone(), api_groups, resources, ..Rule::default() });
        }
        if !self.path.is_empty() {
            rules.push(Rule { verbs, non_resource_urls: one(&self.path), ..Rule::default() });
        }
        rules
    }
}
