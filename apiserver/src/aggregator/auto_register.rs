//! APIServices of what this server serves itself: one for each built-in group-version, one for each that custom resources are in.
//!
//! [`plan`] compares what is to be with what is. Built-in ones are looked after once, at the start, and are the administrator's
//! from then on; those of custom resources come and go with them.
//! Upstream: kube-aggregator/pkg/controllers/autoregister, pkg/controlplane/controller/crdregistration.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use api::meta;
use api::scheme::Scheme;
use futures::stream::{self, StreamExt};
use http::{Method, Request};
use json::{Value, json};
use serde::Deserialize;
use store::{Entry, Store};

use super::PREFIX;
use crate::context::Objects;

const DEFINITIONS: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
const LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Value of the label: looked after at the start.
const ON_START: &str = "onstart";
/// Value of the label: looked after always.
const ALWAYS: &str = "true";
/// Writes under way at the same time.
const PARALLEL: usize = 32;
/// After a write that failed.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

/// Where groups stand among one another. Upstream: controlplane.DefaultGenericAPIServicePriorities and its kin.
const GROUPS: [(&str, i64); 20] = [
    ("", 18000),
    ("apps", 17800),
    ("events.k8s.io", 17750),
    ("authentication.k8s.io", 17700),
    ("authorization.k8s.io", 17600),
    ("autoscaling", 17500),
    ("batch", 17400),
    ("certificates.k8s.io", 17300),
    ("networking.k8s.io", 17200),
    ("policy", 17100),
    ("rbac.authorization.k8s.io", 17000),
    ("storage.k8s.io", 16800),
    ("apiextensions.k8s.io", 16700),
    ("admissionregistration.k8s.io", 16700),
    ("scheduling.k8s.io", 16600),
    ("coordination.k8s.io", 16500),
    ("node.k8s.io", 16300),
    ("discovery.k8s.io", 16200),
    ("resource.k8s.io", 16200),
    ("flowcontrol.apiserver.k8s.io", 16100),
];
const STORAGE_MIGRATION: (&str, i64) = ("storagemigration.k8s.io", 15800);
/// Versions whose place in their group is not 15.
const VERSIONS: [(&str, &str, i64); 4] = [
    ("", "v1", 1),
    ("autoscaling", "v2", 30),
    ("flowcontrol.apiserver.k8s.io", "v1", 21),
    ("resource.k8s.io", "v1", 21),
];
/// Group and version priority of custom resources.
const CUSTOM: (i64, i64) = (1000, 100);

/// Priority of a built-in group; None for the aggregator's own, which has no APIService.
pub(super) fn group_priority(group: &str) -> Option<i64> {
    GROUPS.iter().chain([&STORAGE_MIGRATION]).find(|(own, _)| *own == group).map(|(_, priority)| *priority)
}

/// What is to be done.
#[derive(Debug, PartialEq)]
enum Write {
    Create(Value),
    Update(Value),
    Delete { name: String, uid: String },
}

/// What is wanted of one APIService.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    spec: Value,
    label: &'static str,
}

fn wanted(group: &str, version: &str, priorities: (i64, i64), label: &'static str) -> (String, Wanted) {
    let mut spec = json!({"version": version, "groupPriorityMinimum": priorities.0, "versionPriority": priorities.1});
    if !group.is_empty() {
        spec["group"] = group.into();
    }
    (format!("{version}.{group}"), Wanted { spec, label })
}

fn builtin(scheme: &Scheme) -> BTreeMap<String, Wanted> {
    let versions = scheme.group_versions().iter().filter_map(|own| {
        let (group, version) = (own.group.as_ref(), own.version.as_ref());
        let place = VERSIONS.iter().find(|(g, v, _)| (*g, *v) == (group, version)).map_or(15, |(_, _, place)| *place);
        Some(wanted(group, version, (group_priority(group)?, place), ON_START))
    });
    versions.collect()
}

/// Slot: what a definition serves, read without its schemas, which are most of it.
#[derive(Default, Deserialize)]
struct Definition {
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
struct Spec {
    #[serde(default)]
    group: String,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    name: String,
    #[serde(default)]
    served: bool,
}

impl Definition {
    fn read(entry: &Entry) -> Definition {
        json::from_slice(&entry.value).unwrap_or_default()
    }
}

fn custom(definitions: &[Arc<Definition>]) -> BTreeMap<String, Wanted> {
    let mut all = BTreeMap::new();
    for Definition { spec } in definitions.iter().map(AsRef::as_ref) {
        for version in spec.versions.iter().filter(|version| version.served) {
            all.extend([wanted(&spec.group, &version.name, CUSTOM, ALWAYS)]);
        }
    }
    all
}

/// `at_start`: the built-in ones are in `wanted`, and those that were once built in go.
fn plan(wanted: &BTreeMap<String, Wanted>, present: &[Arc<Value>], at_start: bool) -> Vec<Write> {
    let mut writes = Vec::new();
    let names: HashSet<&str> = present.iter().map(|own| meta::name(own)).collect();
    for (name, wanted) in wanted {
        if !names.contains(name.as_str()) {
            writes.push(Write::Create(json!({
                "kind": "APIService",
                "apiVersion": "apiregistration.k8s.io/v1",
                "metadata": {"name": name, "labels": {LABEL: wanted.label}},
                "spec": wanted.spec,
            })));
        }
    }
    for own in present {
        let managed = meta::label(own, LABEL);
        if managed != Some(ALWAYS) && !(at_start && managed == Some(ON_START)) {
            continue;
        }
        let name = meta::name(own);
        match wanted.get(name) {
            None => writes.push(Write::Delete { name: name.to_owned(), uid: meta::uid(own).to_owned() }),
            Some(wanted) if wanted.spec == own["spec"] => {}
            Some(wanted) => {
                let mut new = Value::clone(own);
                new["spec"] = wanted.spec.clone();
                writes.push(Write::Update(new));
            }
        }
    }
    writes
}

/// Looks after them. Never ends.
pub(super) async fn run(store: Arc<Store>, objects: Arc<dyn Objects>, client: kube::Client) {
    let mut at_start = true;
    loop {
        let seen = store.revision();
        let mut wanted = if at_start { builtin(Scheme::builtin()) } else { BTreeMap::new() };
        let definitions = store.snapshot();
        let definitions = definitions.range(DEFINITIONS, None).map(|entry| entry.slot(Definition::read));
        for (name, own) in custom(&definitions.collect::<Vec<_>>()) {
            wanted.entry(name).or_insert(own);
        }
        let present = objects.list("apiregistration.k8s.io", "apiservices", "");
        let writes = plan(&wanted, &present, at_start);
        let done = stream::iter(writes).map(|write| carry_out(write, &client)).buffer_unordered(PARALLEL);
        let all_done = done.all(|done| async move { done }).await;
        if !all_done {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        at_start = false;
        let (definitions, services) = (store.watch(DEFINITIONS, seen), store.watch(PREFIX, seen));
        let (Ok(mut definitions), Ok(mut services)) = (definitions, services) else { continue };
        // Whatever comes is a reason to look again; so is the end of a watch, but not at once.
        let changed = tokio::select! {
            changed = definitions.next() => changed,
            changed = services.next() => changed,
        };
        if changed.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// Did it happen, or has somebody else been there first?
async fn carry_out(write: Write, client: &kube::Client) -> bool {
    const PATH: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
    let (method, path, body) = match &write {
        Write::Create(object) => (Method::POST, PATH.to_owned(), object.clone()),
        Write::Update(object) => (Method::PUT, format!("{PATH}/{}", meta::name(object)), object.clone()),
        Write::Delete { name, uid } => {
            (Method::DELETE, format!("{PATH}/{name}"), json!({"preconditions": {"uid": uid}}))
        }
    };
    let request = Request::builder().method(method).uri(path).header(http::header::CONTENT_TYPE, "application/json");
    let Ok(request) = request.body(body.to_string().into_bytes()) else { return true };
    match client.request::<Value>(request).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => true,
        Err(error) => {
            tracing::warn!(%error, ?write, "an APIService could not be written");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, label: &str, spec: &Value) -> Arc<Value> {
        Arc::new(json!({"metadata": {"name": name, "uid": "u", "labels": {LABEL: label}}, "spec": spec}))
    }

    #[test]
    fn every_builtin_group_has_its_place() {
        let without: Vec<_> = Scheme::builtin()
            .group_versions()
            .iter()
            .filter(|own| group_priority(&own.group).is_none() && own.group != "apiregistration.k8s.io")
            .collect();
        assert!(without.is_empty(), "{without:?}");
        assert_eq!(builtin(Scheme::builtin())["v2.autoscaling"].spec["versionPriority"], 30);
    }

    #[test]
    fn builtin_ones_are_made_at_the_start_and_left_alone_later() {
        let wanted = BTreeMap::from([wanted("apps", "v1", (17800, 15), ON_START)]);
        assert!(
            matches!(plan(&wanted, &[], true).as_slice(), [Write::Create(made)] if made["metadata"]["name"] == "v1.apps")
        );
        let changed = [service("v1.apps", ON_START, &json!({"version": "v1", "group": "apps", "versionPriority": 3}))];
        assert!(matches!(plan(&wanted, &changed, true).as_slice(), [Write::Update(_)]));
        assert_eq!(plan(&BTreeMap::new(), &changed, false), Vec::new());
        let gone = [service("v1beta1.apps", ON_START, &Value::Null)];
        assert!(matches!(plan(&BTreeMap::new(), &gone, true).as_slice(), [Write::Delete { .. }]));
    }

    #[test]
    fn those_of_custom_resources_come_and_go_with_them() {
        let definition = json!({"kind": "CustomResourceDefinition", "spec": {"group": "a.example.com", "versions": [
            {"name": "v1", "served": true, "schema": {}}, {"name": "v2", "served": false}]}});
        let wanted = custom(&[Arc::new(json::from_value(definition).unwrap())]);
        assert_eq!(wanted.keys().collect::<Vec<_>>(), ["v1.a.example.com"]);
        let old = [service("v1.b.example.com", ALWAYS, &Value::Null), service("v3.c.example.com", "", &Value::Null)];
        let writes = plan(&wanted, &old, false);
        assert!(matches!(&writes[0], Write::Create(made) if made["spec"]["groupPriorityMinimum"] == 1000));
        assert_eq!(writes[1..], [Write::Delete { name: "v1.b.example.com".to_owned(), uid: "u".to_owned() }]);
    }
}
