//! The audit policy: which requests are logged, and how much of them.
//! Upstream: k8s.io/apiserver/pkg/audit/policy, apis/audit/validation.

use serde::Deserialize;

use super::Stage;
use crate::authorization::Attributes;

/// How much is logged; each level holds what the one before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) enum Level {
    None,
    Metadata,
    Request,
    RequestResponse,
}

impl Level {
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
    rules: Vec<(RuleText, Vec<Stage>)>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: bool,
}

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PolicyText {
    api_version: String,
    kind: String,
    #[serde(default)]
    rules: Vec<RuleText>,
    #[serde(default)]
    omit_stages: Vec<String>,
    #[serde(default)]
    omit_managed_fields: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuleText {
    level: Level,
    #[serde(default)]
    users: Vec<String>,
    #[serde(default)]
    user_groups: Vec<String>,
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    resources: Vec<Resources>,
    #[serde(default)]
    namespaces: Vec<String>,
    #[serde(default, rename = "nonResourceURLs")]
    paths: Vec<String>,
    #[serde(default)]
    omit_stages: Vec<String>,
    omit_managed_fields: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    #[serde(default)]
    group: String,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}

impl Policy {
    pub(super) fn parse(text: &str) -> Result<Policy, String> {
        let file: PolicyText = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        if file.api_version != "audit.k8s.io/v1" || file.kind != "Policy" {
            return Err(format!("unknown group version field {}, Kind={} in policy", file.api_version, file.kind));
        }
        if file.rules.is_empty() {
            return Err("loaded illegal policy with 0 rules".to_owned());
        }
        let mut rules = Vec::new();
        for (at, rule) in file.rules.into_iter().enumerate() {
            rule.check().map_err(|why| format!("rules[{at}].{why}"))?;
            let mut omitted = stages(&rule.omit_stages).map_err(|why| format!("rules[{at}].omitStages{why}"))?;
            omitted.extend(stages(&file.omit_stages).map_err(|why| format!("omitStages{why}"))?);
            rules.push((rule, omitted));
        }
        let omit_stages = stages(&file.omit_stages).map_err(|why| format!("omitStages{why}"))?;
        Ok(Policy { rules, omit_stages, omit_managed_fields: file.omit_managed_fields })
    }

    /// The first rule that is about the request says; no rule is no event.
    pub(super) fn decide(&self, request: &Attributes) -> Decision {
        match self.rules.iter().find(|(rule, _)| rule.matches(request)) {
            Some((rule, omit_stages)) => Decision {
                level: rule.level,
                omit_stages: omit_stages.clone(),
                omit_managed_fields: rule.omit_managed_fields.unwrap_or(self.omit_managed_fields),
            },
            None => Decision {
                level: Level::None,
                omit_stages: self.omit_stages.clone(),
                omit_managed_fields: self.omit_managed_fields,
            },
        }
    }
}

impl RuleText {
    /// What no rule can mean.
    fn check(&self) -> Result<(), String> {
        for (at, path) in self.paths.iter().enumerate().filter(|(_, path)| *path != "*") {
            if !path.starts_with('/') {
                return Err(format!(
                    "nonResourceURLs[{at}]: Invalid value: {path:?}: non-resource URL rules must begin with a '/' character"
                ));
            }
            if path[..path.len() - 1].contains('*') {
                return Err(format!(
                    "nonResourceURLs[{at}]: Invalid value: {path:?}: non-resource URL wildcards '*' must be the final character of the rule"
                ));
            }
        }
        let of_resources = !self.resources.is_empty() || !self.namespaces.is_empty();
        if of_resources && !self.paths.is_empty() {
            return Err(
                "nonResourceURLs: rules cannot apply to both regular resources and non-resource URLs".to_owned()
            );
        }
        match self.resources.iter().any(|one| !one.resource_names.is_empty() && one.resources.is_empty()) {
            true => Err("resources.resourceNames: using resourceNames requires at least one resource".to_owned()),
            false => Ok(()),
        }
    }

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

fn stages(names: &[String]) -> Result<Vec<Stage>, String> {
    const ALL: [Stage; 4] = [Stage::RequestReceived, Stage::ResponseStarted, Stage::ResponseComplete, Stage::Panic];
    let stage = |(at, name): (usize, &String)| {
        ALL.into_iter().find(|stage| stage.as_str() == name).ok_or_else(|| {
            format!("[{at}]: Invalid value: {name:?}: allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic")
        })
    };
    names.iter().enumerate().map(stage).collect()
}
