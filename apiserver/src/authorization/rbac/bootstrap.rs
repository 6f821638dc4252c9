//! Upstream's default roles and bindings, from the table `bootstrap_policy.txt`, and what has to be written so that a cluster has them.
//!
//! Roles that exist keep what was added to them and get what is missing, unless their annotation
//! `rbac.authorization.kubernetes.io/autoupdate` is "false". Upstream: bootstrappolicy, component-helpers auth/rbac/reconciliation.

use api::meta;
use json::{Map, Value, json};

use super::escalation::uncovered;
use super::rule::Rule;
use crate::registry::fields::{items, set, text};

const POLICY: &str = include_str!("bootstrap_policy.txt");
const GROUP: &str = "rbac.authorization.k8s.io";
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Every default role and binding, as created on an empty store.
pub fn policy() -> Vec<Value> {
    let mut objects: Vec<Value> = Vec::new();
    for line in POLICY.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => objects.push(header(line)),
            Some(line) => {
                if let Some(rules) = objects.last_mut().and_then(|role| role["rules"].as_array_mut()) {
                    rules.push(rule(line).to_json());
                }
            }
        }
    }
    fill_aggregated(&mut objects);
    objects
}

/// The rules of one default ClusterRole.
pub fn cluster_role_rules(name: &str) -> Vec<Rule> {
    let role = policy().into_iter().find(|object| meta::kind(object) == "ClusterRole" && meta::name(object) == name);
    role.map(|role| Rule::read_all(&role)).unwrap_or_default()
}

fn header(line: &str) -> Value {
    let mut words = line.split(' ');
    let kind = words.next().unwrap_or_default();
    let namespace = (!kind.starts_with("Cluster")).then(|| words.next().unwrap_or_default());
    let name = words.next().unwrap_or_default();
    let mut labels = Map::from_iter([("kubernetes.io/bootstrapping".to_owned(), Value::from("rbac-defaults"))]);
    let mut object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}},
    });
    if let Some(namespace) = namespace {
        meta::set_namespace(&mut object, namespace);
    }
    if kind.ends_with("Role") {
        object["rules"] = json!([]);
    }
    let role_kind = kind.trim_end_matches("Binding");
    let mut subjects = Vec::new();
    while let Some(word) = words.next() {
        if let Some(into) = word.strip_prefix('+') {
            labels.insert(aggregation_label(into), "true".into());
        } else if let Some(from) = word.strip_prefix('<') {
            object["aggregationRule"] =
                json!({"clusterRoleSelectors": [{"matchLabels": {aggregation_label(from): "true"}}]});
        } else if word == "=" {
            object["roleRef"] = json!({"apiGroup": GROUP, "kind": role_kind, "name": words.next()});
        } else {
            subjects.push(subject(word));
        }
    }
    if !subjects.is_empty() {
        object["subjects"] = subjects.into();
    }
    object["metadata"]["labels"] = labels.into();
    object
}

fn aggregation_label(role: &str) -> String {
    format!("{GROUP}/aggregate-to-{role}")
}

fn subject(word: &str) -> Value {
    let (kind, name) = word.split_once(':').unwrap_or(("User", word));
    match (kind, name.split_once('/')) {
        ("ServiceAccount", Some((namespace, name))) => json!({"kind": kind, "name": name, "namespace": namespace}),
        _ => json!({"apiGroup": GROUP, "kind": kind, "name": name}),
    }
}

fn rule(line: &str) -> Rule {
    let list = |word: Option<&str>| -> Vec<String> {
        let items = word.into_iter().flat_map(|word| word.split(','));
        items.map(|item| if item == "core" { String::new() } else { item.to_owned() }).collect()
    };
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [verbs, urls] => Rule { verbs: list(Some(verbs)), non_resource_urls: list(Some(urls)), ..Rule::default() },
        [verbs, groups, resources, ..] => Rule {
            verbs: list(Some(verbs)),
            api_groups: list(Some(groups)),
            resources: list(Some(resources)),
            resource_names: list(words.get(3).copied()),
            ..Rule::default()
        },
        _ => Rule::default(),
    }
}

/// Gives admin, edit and view the rules that the aggregation controller would, so that they mean something before it has run.
fn fill_aggregated(objects: &mut [Value]) {
    // view feeds edit, edit feeds admin: three rounds are more than enough.
    for _ in 0..3 {
        for index in 0..objects.len() {
            let selectors = items(&objects[index]["aggregationRule"], "clusterRoleSelectors");
            let Some(label) =
                selectors.first().and_then(|selector| selector["matchLabels"].as_object()?.keys().next().cloned())
            else {
                continue;
            };
            let mut rules: Vec<Value> = Vec::new();
            for source in objects.iter().filter(|object| meta::label(object, &label) == Some("true")) {
                for rule in items(source, "rules") {
                    if !rules.contains(rule) {
                        rules.push(rule.clone());
                    }
                }
            }
            objects[index]["rules"] = rules.into();
        }
    }
}

/// What reconciliation makes of an existing role or binding.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// It has all it must have.
    Unchanged,
    /// Write this instead.
    Update(Value),
    /// Its roleRef, which cannot change, is another: delete it and create the default one.
    Recreate,
}

/// Compares an existing object with the default of the same name.
pub fn reconcile(existing: &Value, expected: &Value) -> Reconciled {
    if meta::annotation(existing, AUTOUPDATE) == Some("false") {
        return Reconciled::Unchanged;
    }
    let mut result = existing.clone();
    for map in ["labels", "annotations"] {
        for (key, value) in expected["metadata"][map].as_object().into_iter().flatten() {
            let (present, value) = (&result["metadata"][map], value.as_str().unwrap_or_default());
            if present.get(key).is_none() {
                match map {
                    "labels" => meta::set_label(&mut result, key, value),
                    _ => meta::set_annotation(&mut result, key, value),
                }
            }
        }
    }
    if expected.get("roleRef").is_some() {
        let same = |key| text(&existing["roleRef"], key) == text(&expected["roleRef"], key);
        if !(same("kind") && same("name")) {
            return Reconciled::Recreate;
        }
        let mut subjects = items(existing, "subjects").to_vec();
        let key = |subject: &Value| ["kind", "name", "namespace"].map(|key| text(subject, key).to_owned());
        let missing = items(expected, "subjects")
            .iter()
            .filter(|wanted| !items(existing, "subjects").iter().any(|own| key(own) == key(wanted)));
        let missing: Vec<Value> = missing.cloned().collect();
        if !missing.is_empty() {
            subjects.extend(missing);
            set(&mut result, "subjects", subjects);
        }
    } else if expected.get("aggregationRule").is_some() {
        // Its rules are the aggregation controller's.
        if existing.get("aggregationRule").is_none_or(Value::is_null) {
            set(&mut result, "aggregationRule", expected["aggregationRule"].clone());
        }
    } else {
        let missing = uncovered(&Rule::read_all(existing), &Rule::read_all(expected));
        if !missing.is_empty() {
            let rules = items(existing, "rules").iter().cloned().chain(missing.iter().map(Rule::to_json));
            set(&mut result, "rules", rules.collect::<Vec<_>>());
        }
    }
    if result == *existing { Reconciled::Unchanged } else { Reconciled::Update(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_policy_is_upstreams() {
        let golden = include_str!("../../../testdata/rbac_bootstrap.jsonl");
        let mut ours = policy().into_iter();
        for line in golden.lines() {
            let mut theirs: Value = json::from_str(line).unwrap();
            let mut own = ours.next().unwrap();
            if theirs.get("aggregationRule").is_some() {
                theirs["rules"] = json!([]);
                own["rules"] = json!([]);
            }
            assert_eq!(own, theirs, "{line}");
        }
        assert_eq!(ours.next(), None);
    }

    #[test]
    fn aggregated_roles_start_with_their_rules() {
        let view = cluster_role_rules("view");
        let admin = cluster_role_rules("admin");
        assert!(!view.is_empty() && admin.len() > view.len());
        assert!(view.iter().all(|rule| admin.contains(rule)));
    }

    #[test]
    fn reconciling_adds_what_is_missing_and_takes_nothing_away() {
        let expected = policy()
            .into_iter()
            .find(|object| meta::name(object) == "system:kube-dns" && object.get("rules").is_some())
            .unwrap();
        assert_eq!(reconcile(&expected, &expected), Reconciled::Unchanged);
        let mut less = expected.clone();
        less["rules"] = json!([{"apiGroups": ["x"], "resources": ["y"], "verbs": ["z"]}]);
        let Reconciled::Update(repaired) = reconcile(&less, &expected) else { panic!("no update") };
        assert!(uncovered(&Rule::read_all(&repaired), &Rule::read_all(&expected)).is_empty());
        assert_eq!(repaired["rules"][0], less["rules"][0]);
        meta::set_annotation(&mut less, AUTOUPDATE, "false");
        assert_eq!(reconcile(&less, &expected), Reconciled::Unchanged);
    }
}
