//! Other servers' group-versions among our own in discovery.
//!
//! `/apis` and `/apis/GROUP` tell of what APIServices there are; the aggregated document also of their resources, as their server
//! told last, and says `Stale` of one that cannot be asked.
//! Upstream: kube-aggregator/pkg/apiserver/{handler_apis,handler_discovery}.go.

use std::cmp::Reverse;

use json::{Map, Value, json};

use super::auto_register::group_priority;
use super::service::{ApiService, Remote};
use super::{Aggregator, Told};

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// Group priority of custom resources.
const CUSTOM: i64 = 1000;
/// The group no APIService is made for stands first.
const OWN_GROUP: &str = "apiregistration.k8s.io";

/// A server's own part of aggregated discovery; None when it does not tell.
pub(super) async fn download(aggregator: &Aggregator, service: &ApiService, remote: &Remote) -> Option<Value> {
    let answer = aggregator.ask(remote, "/apis", ACCEPT).await.ok().filter(|answer| answer.code == 200);
    let aggregated = answer.filter(|answer| answer.content_type.contains("as=APIGroupDiscoveryList"));
    if let Some(answer) = aggregated {
        let document: Value = json::from_slice(&answer.body).ok()?;
        let mut groups = document["items"].as_array()?.iter();
        let group = groups.find(|group| group["metadata"]["name"] == service.group.as_str())?;
        return group["versions"].as_array()?.iter().find(|own| own["version"] == service.version.as_str()).cloned();
    }
    let answer = aggregator.ask(remote, &service.root(), "application/json").await.ok()?;
    let document: Value = json::from_slice(&answer.body).ok()?;
    Some(json!({"version": service.version, "resources": from_list(&document)}))
}

/// Resources of an APIResourceList as aggregated discovery has them. Upstream: ConvertGroupVersionIntoToDiscovery.
pub(super) fn from_list(document: &Value) -> Value {
    let mut resources: Vec<Value> = Vec::new();
    for own in document["resources"].as_array().into_iter().flatten() {
        let text = |key: &str| own[key].as_str().unwrap_or_default();
        let kind = json!({"group": text("group"), "version": text("version"), "kind": text("kind")});
        let name = text("name");
        if let Some((parent, subresource)) = name.split_once('/') {
            let told = json!({"subresource": subresource, "responseKind": kind, "verbs": own["verbs"]});
            let of = resources.iter().position(|resource| resource["resource"] == parent);
            let of = of.unwrap_or_else(|| {
                let scope = if own["namespaced"] == true { "Namespaced" } else { "Cluster" };
                resources.push(json!({"resource": parent, "scope": scope, "singularResource": "", "verbs": []}));
                resources.len() - 1
            });
            match resources[of]["subresources"].as_array_mut() {
                Some(all) => all.push(told),
                None => resources[of]["subresources"] = json!([told]),
            }
            continue;
        }
        let mut fields = Map::new();
        fields.insert("resource", name.into());
        fields.insert("responseKind", kind);
        let scope = if own["namespaced"] == true { "Namespaced" } else { "Cluster" };
        fields.insert("scope", scope.into());
        fields.insert("singularResource", text("singularName").into());
        fields.insert("verbs", own["verbs"].clone());
        for key in ["shortNames", "categories"] {
            if own[key].as_array().is_some_and(|list| !list.is_empty()) {
                fields.insert(key.to_owned(), own[key].clone());
            }
        }
        resources.push(Value::Object(fields));
    }
    resources.into()
}

/// A version of another server among a group's: its place, and what is told of it.
struct Version<'a> {
    service: &'a ApiService,
    told: Option<&'a Told>,
}

impl Aggregator {
    /// Puts the groups of other servers among `groups` (of an APIGroupList).
    pub(crate) fn join_groups(&self, groups: &mut Vec<Value>) {
        self.join(
            groups,
            |group| group["name"].as_str().unwrap_or_default().to_owned(),
            |name, versions, present| {
                let group = present.unwrap_or_else(|| json!({"name": name, "versions": []}));
                with_versions(group, versions)
            },
        );
    }

    /// One group of an APIGroup document, with what other servers serve of it; `own` is what we do.
    pub(crate) fn join_group(&self, name: &str, own: Option<Value>) -> Option<Value> {
        let services = self.services();
        let versions: Vec<Version<'_>> = services
            .iter()
            .filter(|service| service.remote.is_some() && service.group == name)
            .map(|service| Version { service, told: None })
            .collect();
        if versions.is_empty() {
            return own;
        }
        let group =
            own.unwrap_or_else(|| json!({"kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": []}));
        Some(with_versions(group, &versions))
    }

    /// Puts the groups of other servers among `groups` (of an APIGroupDiscoveryList).
    pub(crate) fn join_aggregated(&self, groups: &mut Vec<Value>) {
        let named = |group: &Value| group["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        self.join(groups, named, |name, versions, present| {
            let mut group = present.unwrap_or_else(|| json!({"metadata": {"name": name}, "versions": []}));
            if let Some(all) = group["versions"].as_array_mut() {
                for version in versions {
                    all.retain(|own| own["version"] != version.service.version.as_str());
                    all.push(version.aggregated());
                }
            }
            group
        });
    }

    /// Is any group-version another server's?
    pub(crate) fn has_remote(&self) -> bool {
        self.services().iter().any(|service| service.remote.is_some())
    }

    fn join(
        &self,
        groups: &mut Vec<Value>,
        name_of: impl Fn(&Value) -> String,
        make: impl Fn(&str, &[Version<'_>], Option<Value>) -> Value,
    ) {
        let services = self.services();
        let told = self.told.load();
        let mut remote: Vec<_> = services.iter().filter(|service| service.remote.is_some()).collect();
        if remote.is_empty() {
            return;
        }
        remote.sort_by_key(|service| (Reverse(service.version_priority), service.name.clone()));
        let mut names: Vec<&str> = remote.iter().map(|service| service.group.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let versions: Vec<Version<'_>> = remote
                .iter()
                .filter(|service| service.group == name)
                .map(|service| Version { service, told: told.get(&service.name).map(AsRef::as_ref) })
                .collect();
            let at = groups.iter().position(|group| name_of(group) == name);
            let present = at.map(|at| groups.remove(at));
            let group = make(name, &versions, present);
            let priority = versions.iter().map(|version| version.service.group_priority).max().unwrap_or(CUSTOM);
            let place = |group: &Value| {
                let own = name_of(group);
                let own_priority = if own == OWN_GROUP { i64::MAX } else { group_priority(&own).unwrap_or(CUSTOM) };
                (own_priority, Reverse(own))
            };
            let before = groups.iter().position(|other| place(other) < (priority, Reverse(name.to_owned())));
            groups.insert(at.or(before).unwrap_or(groups.len()), group);
        }
    }
}

impl Version<'_> {
    fn aggregated(&self) -> Value {
        let version = self.service.version.as_str();
        let told = self.told.and_then(|told| told.discovery.clone());
        let mut entry = told.unwrap_or_else(|| json!({"version": version}));
        entry["freshness"] = if self.service.is_available { "Current" } else { "Stale" }.into();
        entry
    }
}

/// An APIGroup with more versions; the first one is preferred.
fn with_versions(mut group: Value, versions: &[Version<'_>]) -> Value {
    if let Some(all) = group["versions"].as_array_mut() {
        for version in versions.iter().map(|version| version.service) {
            let group_version = format!("{}/{}", version.group, version.version);
            if !all.iter().any(|own| own["groupVersion"] == group_version.as_str()) {
                all.push(json!({"groupVersion": group_version, "version": version.version}));
            }
        }
    }
    group["preferredVersion"] = group["versions"][0].clone();
    group
}
