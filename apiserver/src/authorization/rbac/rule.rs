//! Roles, bindings and rules in the form they are evaluated in, read from the stored objects once per revision.
//! Upstream: pkg/apis/rbac/v1/evaluation_helpers.go, pkg/registry/rbac/validation/rule.go.

use api::go_text::quote;
use api::meta;
use json::Value;

use crate::authentication::{UserInfo, service_account};
use crate::authorization::Attributes;
use crate::registry::fields::{items, text};

/// What is allowed. Upstream: rbacv1.PolicyRule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    pub verbs: Vec<String>,
    pub api_groups: Vec<String>,
    pub resources: Vec<String>,
    pub resource_names: Vec<String>,
    pub non_resource_urls: Vec<String>,
}

/// A Role or ClusterRole.
#[derive(Debug, Default)]
pub struct Role {
    pub rules: Vec<Rule>,
}

/// A RoleBinding or ClusterRoleBinding (whose namespace is "").
#[derive(Debug)]
pub struct Binding {
    pub namespace: String,
    pub name: String,
    pub role_kind: String,
    pub role_name: String,
    pub subjects: Vec<Subject>,
}

/// To whom a role is given.
#[derive(Debug)]
pub enum Subject {
    User(String),
    Group(String),
    ServiceAccount {
        /// "" is the binding's own.
        namespace: String,
        name: String,
        /// The user name it stands for; "" where no namespace is known.
        user: String,
    },
    /// A kind nobody matches.
    Unknown,
}

fn strings(object: &Value, key: &str) -> Vec<String> {
    items(object, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Rule {
    /// What allows all there is.
    pub fn everything() -> [Rule; 2] {
        let all = || vec!["*".to_owned()];
        [
            Rule { verbs: all(), api_groups: all(), resources: all(), ..Rule::default() },
            Rule { verbs: all(), non_resource_urls: all(), ..Rule::default() },
        ]
    }

    pub fn read(rule: &Value) -> Rule {
        Rule {
            verbs: strings(rule, "verbs"),
            api_groups: strings(rule, "apiGroups"),
            resources: strings(rule, "resources"),
            resource_names: strings(rule, "resourceNames"),
            non_resource_urls: strings(rule, "nonResourceURLs"),
        }
    }

    /// The rules of an object that has `rules`.
    pub fn read_all(object: &Value) -> Vec<Rule> {
        items(object, "rules").iter().map(Rule::read).collect()
    }

    /// As the API writes it, empty lists left out.
    pub fn to_json(&self) -> Value {
        let mut rule = Value::Object(json::Map::new());
        let lists = [
            ("apiGroups", &self.api_groups),
            ("nonResourceURLs", &self.non_resource_urls),
            ("resourceNames", &self.resource_names),
            ("resources", &self.resources),
            ("verbs", &self.verbs),
        ];
        for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            rule[key] = list.iter().map(String::as_str).collect();
        }
        rule
    }

    /// Does this rule allow the request? Upstream: rbac.RuleAllows.
    pub fn allows(&self, request: &Attributes) -> bool {
        if !one_of(&self.verbs, &request.verb) {
            return false;
        }
        if !request.is_resource_request {
            return self.non_resource_urls.iter().any(|url| url_matches(url, &request.path));
        }
        one_of(&self.api_groups, &request.api_group)
            && self.resources.iter().any(|resource| resource_matches(resource, &request.resource, &request.subresource))
            && (self.resource_names.is_empty() || self.resource_names.contains(&request.name))
    }

    /// How escalation errors show it. Upstream: rbacv1helpers.CompactString.
    pub fn compact(&self) -> String {
        let lists = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ];
        let parts: Vec<String> = lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(name, list)| format!("{name}:{}", quoted(list)))
            .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

/// `["a" "b"]`, as Go prints a list of quoted strings.
pub(super) fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|item| quote(item)).collect();
    format!("[{}]", quoted.join(" "))
}

fn one_of(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == "*" || item == wanted)
}

fn resource_matches(rule: &str, resource: &str, subresource: &str) -> bool {
    if rule == "*" {
        return true;
    }
    if subresource.is_empty() {
        return rule == resource;
    }
    match rule.split_once('/') {
        Some(("*", own)) => own == subresource,
        Some((parent, own)) => parent == resource && own == subresource,
        None => false,
    }
}

pub(super) fn url_matches(rule: &str, path: &str) -> bool {
    rule == "*" || rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}

impl Binding {
    pub fn read(object: &Value) -> Binding {
        let namespace = meta::namespace(object);
        let reference = &object["roleRef"];
        Binding {
            namespace: namespace.to_owned(),
            name: meta::name(object).to_owned(),
            role_kind: text(reference, "kind").to_owned(),
            role_name: text(reference, "name").to_owned(),
            subjects: items(object, "subjects").iter().map(|subject| Subject::read(subject, namespace)).collect(),
        }
    }

    /// The first subject that is this user.
    pub fn applies_to(&self, user: &UserInfo) -> Option<&Subject> {
        self.subjects.iter().find(|subject| match subject {
            Subject::User(name) => *name == user.name,
            Subject::Group(name) => user.in_group(name),
            Subject::ServiceAccount { user: name, .. } => !name.is_empty() && *name == user.name,
            Subject::Unknown => false,
        })
    }

    /// `ClusterRoleBinding "x" of ClusterRole "y" to Group "z"`, as reasons for an allowed request say it.
    pub fn describe(&self, subject: &Subject) -> String {
        let (kind, name) = if self.namespace.is_empty() {
            ("ClusterRoleBinding", self.name.clone())
        } else {
            ("RoleBinding", format!("{}/{}", self.name, self.namespace))
        };
        let subject = match subject {
            Subject::User(name) => format!("User {}", quote(name)),
            Subject::Group(name) => format!("Group {}", quote(name)),
            Subject::ServiceAccount { namespace, name, .. } => {
                let namespace = if namespace.is_empty() { &self.namespace } else { namespace };
                format!("ServiceAccount {}", quote(&format!("{name}/{namespace}")))
            }
            Subject::Unknown => String::new(),
        };
        format!("{kind} {} of {} {} to {subject}", quote(&name), self.role_kind, quote(&self.role_name))
    }
}

impl Subject {
    fn read(subject: &Value, binding_namespace: &str) -> Subject {
        let name = text(subject, "name").to_owned();
        match text(subject, "kind") {
            "User" => Subject::User(name),
            "Group" => Subject::Group(name),
            "ServiceAccount" => {
                let namespace = text(subject, "namespace").to_owned();
                let effective = if namespace.is_empty() { binding_namespace } else { &namespace };
                let user =
                    if effective.is_empty() { String::new() } else { service_account::user_name(effective, &name) };
                Subject::ServiceAccount { namespace, name, user }
            }
            _ => Subject::Unknown,
        }
    }
}
