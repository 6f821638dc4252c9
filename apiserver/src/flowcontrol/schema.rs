//! FlowSchemas: to which flow of which priority level a request belongs.
//! Upstream: flowcontrol/rule.go, apis/flowcontrol/bootstrap.

use std::collections::HashMap;
use std::sync::Arc;

use api::meta;
use json::Value;

use super::Level;
use super::dispatch::Queueing;
use super::shares::Share;
use crate::authentication::{UserInfo, service_account};
use crate::filters::request_info::RequestInfo;
use crate::registry::fields::text;

/// A request's flow. Upstream: the two UIDs of request and response headers, and the flow identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) schema: Arc<str>,
    pub(crate) schema_uid: Arc<str>,
    pub(crate) level: Arc<str>,
    pub(crate) level_uid: Arc<str>,
    pub(crate) exempt: bool,
    /// How many seats one request may take; 0 is no limit of the level's own.
    pub(crate) widest: u32,
    /// Tells flows of one schema apart: user, namespace, or nothing.
    pub(crate) distinguisher: String,
}

/// One FlowSchema with what a flow needs of its level.
#[derive(Debug)]
pub(super) struct Schema {
    precedence: i64,
    flow: Flow,
    distinguisher: Distinguisher,
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy)]
enum Distinguisher {
    None,
    User,
    Namespace,
}

#[derive(Debug)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Debug)]
enum Subject {
    User(String),
    Group(String),
    ServiceAccount { namespace: String, name: String },
}

#[derive(Debug)]
struct ResourceRule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    namespaces: Vec<String>,
    cluster_scope: bool,
}

#[derive(Debug)]
struct PathRule {
    verbs: Vec<String>,
    paths: Vec<String>,
}

/// The level and schema that takes who is taken by no other, and those of masters.
pub(super) const CATCH_ALL: &str = "catch-all";
pub(super) const EXEMPT: &str = "exempt";

impl Level {
    /// The levels of these objects, and those that are there without an object.
    pub(super) fn all(objects: &[Arc<Value>]) -> Vec<Level> {
        let mut levels: Vec<Level> = objects.iter().map(|object| Level::of(object)).collect();
        for (name, exempt, shares) in [(EXEMPT, true, 0), (CATCH_ALL, false, 5)] {
            if !levels.iter().any(|level| level.name.as_ref() == name) {
                let share = Share { shares, lendable_percent: 0, borrowing_limit_percent: None };
                levels.push(Level { name: name.into(), uid: String::new(), exempt, share, queueing: None, widest: 0 });
            }
        }
        levels
    }

    fn of(object: &Value) -> Level {
        let spec = &object["spec"];
        let exempt = text(spec, "type") == "Exempt";
        let own = if exempt { &spec["exempt"] } else { &spec["limited"] };
        let number =
            |value: &Value, default: u32| value.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(default);
        let queuing = &own["limitResponse"]["queuing"];
        let queueing = (text(&own["limitResponse"], "type") == "Queue").then(|| Queueing {
            queues: number(&queuing["queues"], 64).max(1),
            hand_size: number(&queuing["handSize"], 8).max(1),
            queue_length_limit: number(&queuing["queueLengthLimit"], 50).max(1),
        });
        Level {
            name: meta::name(object).into(),
            uid: meta::uid(object).to_owned(),
            exempt,
            share: Share {
                shares: number(&own["nominalConcurrencyShares"], if exempt { 0 } else { 30 }),
                lendable_percent: number(&own["lendablePercent"], 0),
                borrowing_limit_percent: own["borrowingLimitPercent"].as_u64().and_then(|n| u32::try_from(n).ok()),
            },
            queueing,
            widest: 0,
        }
    }
}

impl Schema {
    /// In the order they are asked; those whose level is not there are left out.
    pub(super) fn all(objects: &[Arc<Value>], levels: &HashMap<&str, &Level>) -> Vec<Schema> {
        let mut schemas: Vec<Schema> = objects.iter().filter_map(|object| Schema::of(object, levels)).collect();
        let built_in = [
            (EXEMPT, 1, Subject::Group("system:masters".to_owned())),
            (CATCH_ALL, 10_000, Subject::Group("*".to_owned())),
        ];
        for (name, precedence, subject) in built_in {
            if let Some(level) = levels.get(name)
                && !schemas.iter().any(|schema| schema.flow.schema.as_ref() == name)
            {
                let rule = Rule {
                    subjects: vec![subject],
                    resources: vec![ResourceRule::any()],
                    paths: vec![PathRule::any()],
                };
                schemas.push(Schema {
                    precedence,
                    flow: level.flow(name, ""),
                    distinguisher: Distinguisher::User,
                    rules: vec![rule],
                });
            }
        }
        schemas.sort_by(|a, b| (a.precedence, &a.flow.schema).cmp(&(b.precedence, &b.flow.schema)));
        schemas
    }

    fn of(object: &Value, levels: &HashMap<&str, &Level>) -> Option<Schema> {
        let spec = &object["spec"];
        let level = levels.get(text(&spec["priorityLevelConfiguration"], "name"))?;
        Some(Schema {
            precedence: spec["matchingPrecedence"].as_i64().unwrap_or(1000),
            flow: level.flow(meta::name(object), meta::uid(object)),
            distinguisher: match text(&spec["distinguisherMethod"], "type") {
                "ByUser" => Distinguisher::User,
                "ByNamespace" => Distinguisher::Namespace,
                _ => Distinguisher::None,
            },
            rules: items(&spec["rules"]).iter().map(Rule::of).collect(),
        })
    }

    pub(super) fn matches(&self, user: &UserInfo, info: &RequestInfo) -> bool {
        self.rules.iter().any(|rule| rule.matches(user, info))
    }

    pub(super) fn flow(&self, user: &UserInfo, info: &RequestInfo) -> Flow {
        let distinguisher = match self.distinguisher {
            Distinguisher::None => String::new(),
            Distinguisher::User => user.name.clone(),
            Distinguisher::Namespace => info.namespace.clone(),
        };
        Flow { distinguisher, ..self.flow.clone() }
    }
}

impl Level {
    fn flow(&self, schema: &str, schema_uid: &str) -> Flow {
        Flow {
            schema: schema.into(),
            schema_uid: schema_uid.into(),
            level: self.name.clone(),
            level_uid: self.uid.as_str().into(),
            exempt: self.exempt,
            widest: self.widest,
            distinguisher: String::new(),
        }
    }
}

impl Rule {
    fn of(value: &Value) -> Rule {
        Rule {
            subjects: items(&value["subjects"]).iter().filter_map(Subject::of).collect(),
            resources: items(&value["resourceRules"]).iter().map(ResourceRule::of).collect(),
            paths: items(&value["nonResourceRules"]).iter().map(PathRule::of).collect(),
        }
    }

    fn matches(&self, user: &UserInfo, info: &RequestInfo) -> bool {
        self.subjects.iter().any(|subject| subject.is(user))
            && match info.is_resource_request {
                true => self.resources.iter().any(|rule| rule.matches(info)),
                false => self.paths.iter().any(|rule| rule.matches(info)),
            }
    }
}

impl Subject {
    fn of(value: &Value) -> Option<Subject> {
        let name = |of: &str| text(&value[of], "name").to_owned();
        Some(match text(value, "kind") {
            "User" => Subject::User(name("user")),
            "Group" => Subject::Group(name("group")),
            "ServiceAccount" => Subject::ServiceAccount {
                namespace: text(&value["serviceAccount"], "namespace").to_owned(),
                name: name("serviceAccount"),
            },
            _ => return None,
        })
    }

    fn is(&self, user: &UserInfo) -> bool {
        match self {
            Subject::User(name) => name == "*" || *name == user.name,
            Subject::Group(name) => name == "*" || user.in_group(name),
            Subject::ServiceAccount { namespace, name } => service_account::split_user_name(&user.name)
                .is_some_and(|(of, own)| of == namespace && (name == "*" || own == name)),
        }
    }
}

impl ResourceRule {
    fn any() -> ResourceRule {
        let all = || vec!["*".to_owned()];
        ResourceRule { verbs: all(), groups: all(), resources: all(), namespaces: all(), cluster_scope: true }
    }

    fn of(value: &Value) -> ResourceRule {
        ResourceRule {
            verbs: texts(&value["verbs"]),
            groups: texts(&value["apiGroups"]),
            resources: texts(&value["resources"]),
            namespaces: texts(&value["namespaces"]),
            cluster_scope: value["clusterScope"] == true,
        }
    }

    fn matches(&self, info: &RequestInfo) -> bool {
        let resource = || {
            self.resources.iter().any(|own| match own.split_once('/') {
                None => own == "*" || (info.subresource.is_empty() && *own == info.resource),
                Some((resource, subresource)) => resource == info.resource && subresource == info.subresource,
            })
        };
        has(&self.verbs, &info.verb)
            && resource()
            && has(&self.groups, &info.api_group)
            && if info.namespace.is_empty() { self.cluster_scope } else { has(&self.namespaces, &info.namespace) }
    }
}

impl PathRule {
    fn any() -> PathRule {
        PathRule { verbs: vec!["*".to_owned()], paths: vec!["*".to_owned()] }
    }

    fn of(value: &Value) -> PathRule {
        PathRule { verbs: texts(&value["verbs"]), paths: texts(&value["nonResourceURLs"]) }
    }

    fn matches(&self, info: &RequestInfo) -> bool {
        // A path means everything below it too, whether it ends in a star or not.
        let below = |own: &str| {
            let folder = own.trim_end_matches('*').trim_end_matches('/');
            info.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        has(&self.verbs, &info.verb) && self.paths.iter().any(|own| own == "*" || *own == info.path || below(own))
    }
}

fn has(own: &[String], wanted: &str) -> bool {
    own.iter().any(|own| own == "*" || own == wanted)
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<String> {
    items(value).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
