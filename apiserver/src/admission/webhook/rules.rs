//! Which requests a rule is about, and what else a webhook or policy is chosen by.
//! Upstream: k8s.io/apiserver/pkg/admission/plugin/webhook/predicates/rules, plugin/policy/matching.

use api::selector::label::Selector;
use json::Value;

/// What a webhook, a policy or a binding is for.
#[derive(Debug)]
pub(in crate::admission) struct Matching {
    /// One of them must match; without any, where that is allowed, everything does.
    pub(in crate::admission) rules: Vec<Rule>,
    /// Do no rules at all match everything?
    pub(in crate::admission) is_open: bool,
    /// What these match is left alone.
    pub(in crate::admission) excluded: Vec<Rule>,
    /// matchPolicy Equivalent.
    pub(in crate::admission) matches_equivalents: bool,
    pub(in crate::admission) namespace_selector: Result<Selector, String>,
    pub(in crate::admission) object_selector: Result<Selector, String>,
}

impl Matching {
    /// What a webhook is for.
    pub(super) fn of_webhook(hook: &Value) -> Matching {
        Matching::read(hook, "rules", false)
    }

    /// `matchConstraints` of a policy, `matchResources` of a binding.
    pub(in crate::admission) fn of_policy(resources: &Value) -> Matching {
        Matching::read(resources, "resourceRules", true)
    }

    fn read(object: &Value, rules: &str, is_open: bool) -> Matching {
        let read = |key: &str| object[key].as_array().into_iter().flatten().map(Rule::read).collect();
        let selector = |key: &str| Selector::from_object(object.get(key)).map_err(|error| error.to_string());
        Matching {
            rules: read(rules),
            is_open,
            excluded: read("excludeResourceRules"),
            matches_equivalents: object["matchPolicy"] == "Equivalent",
            namespace_selector: selector("namespaceSelector"),
            object_selector: selector("objectSelector"),
        }
    }
}

/// `scope` of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Cluster,
    Namespaced,
    /// One nobody knows matches nothing.
    Unknown,
}

/// A RuleWithOperations.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    operations: Vec<String>,
    groups: Vec<String>,
    versions: Vec<String>,
    /// Resource and subresource ("" is the resource itself).
    resources: Vec<(String, String)>,
    /// Only objects of these names, if any.
    names: Vec<String>,
    scope: Scope,
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) operation: &'a str,
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) resource: &'a str,
    pub(crate) subresource: &'a str,
    /// "" for what is in none; for a namespace itself its own name.
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

impl Rule {
    pub(crate) fn read(rule: &Value) -> Rule {
        let texts = |key: &str| -> Vec<String> {
            rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let resources = texts("resources").into_iter().map(|own| match own.split_once('/') {
            Some((resource, subresource)) => (resource.to_owned(), subresource.to_owned()),
            None => (own, String::new()),
        });
        Rule {
            operations: texts("operations"),
            groups: texts("apiGroups"),
            versions: texts("apiVersions"),
            resources: resources.collect(),
            names: texts("resourceNames"),
            scope: match rule["scope"].as_str().unwrap_or("*") {
                "*" => Scope::All,
                "Cluster" => Scope::Cluster,
                "Namespaced" => Scope::Namespaced,
                _ => Scope::Unknown,
            },
        }
    }

    pub(crate) fn matches(&self, subject: Subject<'_>) -> bool {
        let is = |own: &str, asked: &str| own == "*" || own == asked;
        self.in_scope(subject)
            && (self.names.is_empty() || self.names.iter().any(|own| own == subject.name))
            && self.operations.iter().any(|own| is(own, subject.operation))
            && self.groups.iter().any(|own| is(own, subject.group))
            && self.versions.iter().any(|own| is(own, subject.version))
            && self
                .resources
                .iter()
                .any(|(resource, subresource)| is(resource, subject.resource) && is(subresource, subject.subresource))
    }

    fn in_scope(&self, subject: Subject<'_>) -> bool {
        let is_namespace = (subject.group, subject.version, subject.resource) == ("", "v1", "namespaces");
        let of_cluster = is_namespace || subject.namespace.is_empty();
        match self.scope {
            Scope::All => true,
            Scope::Cluster => of_cluster,
            Scope::Namespaced => !of_cluster,
            Scope::Unknown => false,
        }
    }
}
