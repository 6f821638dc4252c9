//! The audit policy: which requests are logged, and how much of them.
//! Upstream: k8s.io/apiserver/pkg/audit/policy.

mod file;

use self::file::{File, Resources};
use super::Stage;
use crate::authorization::Attributes;

/// How much is logged; each level holds what the one before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

impl Level {
    const ALL: [Level; 4] = [Level::None, Level::Metadata, Level::Request, Level::RequestResponse];

    fn named(name: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.as_str() == name)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Level::None => "None",
            Level::Metadata => "Metadata",
            Level::Request => "Request",
            Level::RequestResponse => "RequestResponse",
        }
    }
}

/// What the policy says of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) level: Level,
    pub(super) omit_stages: Vec<Stage>,
    pub(super) omit_managed_fields: bool,
}

/// See the module header.
#[derive(Debug)]
pub(super) struct Policy {
    rules: Vec<Rule>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
}

/// A rule of the file, as it is applied.
#[derive(Debug)]
struct Rule {
    text: file::Rule,
    level: Level,
    omit_stages: Vec<Stage>,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Result<Policy, String> {
        let File { rules, omit_stages, omit_managed_fields } = File::read(text)?;
        let stages = |names: &[String]| -> Vec<Stage> { names.iter().filter_map(|name| Stage::named(name)).collect() };
        let everywhere = stages(&omit_stages);
        let rule = |text: file::Rule| Rule {
            level: Level::named(&text.level).unwrap_or(Level::None),
            omit_stages: [stages(&text.omit_stages), everywhere.clone()].concat(),
            text,
        };
        Ok(Policy { rules: rules.into_iter().map(rule).collect(), omit_stages: everywhere, omit_managed_fields })
    }

    /// The first rule that is about the request says; no rule is no event.
    pub(super) fn decide(&self, request: &Attributes) -> Decision {
        match self.rules.iter().find(|rule| rule.text.matches(request)) {
            Some(rule) => Decision {
                level: rule.level,
                omit_stages: rule.omit_stages.clone(),
                omit_managed_fields: rule.text.omit_managed_fields.unwrap_or(self.omit_managed_fields),
            },
            None => Decision {
                level: Level::None,
                omit_stages: self.omit_stages.clone(),
                omit_managed_fields: self.omit_managed_fields,
            },
        }
    }
}

impl file::Rule {
    fn matches(&self, request: &Attributes) -> bool {
        let is_any = |list: &[String], own: &str| list.is_empty() || list.iter().any(|item| item == own);
        let in_group =
            || self.user_groups.is_empty() || self.user_groups.iter().any(|group| request.user.in_group(group));
        if !is_any(&self.users, &request.user.name) || !in_group() || !is_any(&self.verbs, &request.verb) {
            return false;
        }
        if !self.namespaces.is_empty() || !self.resources.is_empty() {
            return request.is_resource_request
                && is_any(&self.namespaces, &request.namespace)
                && (self.resources.is_empty() || self.resources.iter().any(|one| one.matches(request)));
        }
        let is_below = |path: &str| {
            path == "*"
                || path == request.path
                || path.strip_suffix('*').is_some_and(|start| request.path.starts_with(start.trim_end_matches('*')))
        };
        self.paths.is_empty() || (!request.is_resource_request && self.paths.iter().any(|path| is_below(path)))
    }
}

impl Resources {
    fn matches(&self, request: &Attributes) -> bool {
        if self.group != "*" && self.group != request.api_group {
            return false;
        }
        let named = self.resource_names.is_empty() || self.resource_names.contains(&request.name);
        self.resources.is_empty()
            || named
                && self.resources.iter().any(|own| match own.split_once('/') {
                    None => own == "*" || (request.subresource.is_empty() && *own == request.resource),
                    Some((resource, "*")) => resource == request.resource,
                    Some((resource, subresource)) => {
                        subresource == request.subresource && (resource == "*" || resource == request.resource)
                    }
                })
    }
}
