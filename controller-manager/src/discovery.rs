//! Which resources the API server has, for the controllers that work on all of them: namespace and garbage collector.
//!
//! Aggregated discovery is asked for first (two requests); servers without it are asked group by group. A group that
//! does not answer is reported beside the rest: callers go on with what is known and say that it was not everything.
//!
//! Upstream: client-go/discovery.ServerPreferredNamespacedResources, resource.AggregatedDiscovery.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::engine::{Error, Resource};

/// One resource and what can be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Discovered {
    /// How to address it.
    pub resource: Resource,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Its verbs.
    pub verbs: Vec<String>,
    /// Every version it is served in, the preferred one first.
    pub served: Vec<String>,
}

impl Discovered {
    /// True if every verb is supported.
    pub(crate) fn supports(&self, verbs: &[&str]) -> bool {
        verbs.iter().all(|verb| self.verbs.iter().any(|own| own == verb))
    }
}

/// All resources in their preferred versions, and the groups that could not be asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Discovery {
    /// Each group-resource once.
    pub resources: Vec<Discovered>,
    /// `group/version: reason`, for groups that failed.
    pub failures: Vec<String>,
}

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// Asks the server.
pub(crate) async fn preferred(client: &kube::Client) -> Result<Discovery, Error> {
    let (core, groups): (Value, Value) =
        futures::try_join!(get(client, "/api", AGGREGATED), get(client, "/apis", AGGREGATED))?;
    let mut found = Collector::default();
    for answer in [core, groups] {
        if answer["kind"] == "APIGroupDiscoveryList" {
            found.aggregated(&answer);
            continue;
        }
        for (group, version) in group_versions(&answer) {
            let path = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
            match get::<Value>(client, &path, "application/json").await {
                Ok(list) => found.version(&group, &version, &list["resources"]),
                Err(error) => found.failures.push(format!("{group}/{version}: {}", error.api_message())),
            }
        }
    }
    Ok(Discovery { resources: found.resources.into_values().collect(), failures: found.failures })
}

/// Group-versions of an unaggregated answer, the preferred version of each group first.
fn group_versions(answer: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if let Some(versions) = answer["versions"].as_array() {
        return versions.iter().map(|version| (String::new(), text(version))).collect();
    }
    let mut all = Vec::new();
    for group in answer["groups"].as_array().into_iter().flatten() {
        let preferred = text(&group["preferredVersion"]["version"]);
        let mut versions: Vec<String> =
            group["versions"].as_array().into_iter().flatten().map(|one| text(&one["version"])).collect();
        versions.sort_by_key(|version| *version != preferred);
        all.extend(versions.into_iter().map(|version| (text(&group["name"]), version)));
    }
    all
}

#[derive(Default)]
struct Collector {
    resources: BTreeMap<(String, String), Discovered>,
    failures: Vec<String>,
}

impl Collector {
    fn add(&mut self, group: &str, version: &str, plural: &str, kind: &str, namespaced: bool, verbs: &Value) {
        let verbs: Vec<String> =
            verbs.as_array().into_iter().flatten().filter_map(|verb| verb.as_str().map(str::to_owned)).collect();
        if plural.is_empty() || plural.contains('/') || verbs.is_empty() {
            return;
        }
        let resource = Resource {
            group: group.to_owned().into(),
            version: version.to_owned().into(),
            plural: plural.to_owned().into(),
            kind: kind.to_owned().into(),
        };
        let entry = self.resources.entry((group.to_owned(), plural.to_owned()));
        entry
            .or_insert_with(|| Discovered { resource, namespaced, verbs, served: Vec::new() })
            .served
            .push(version.to_owned());
    }

    fn aggregated(&mut self, answer: &Value) {
        for group in answer["items"].as_array().into_iter().flatten() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().into_iter().flatten() {
                let version_name = version["version"].as_str().unwrap_or_default();
                if version["freshness"] == "Stale" {
                    self.failures
                        .push(format!("{name}/{version_name}: stale GroupVersion discovery: {name}/{version_name}"));
                }
                for resource in version["resources"].as_array().into_iter().flatten() {
                    let kind = resource["responseKind"]["kind"].as_str().unwrap_or_default();
                    let plural = resource["resource"].as_str().unwrap_or_default();
                    self.add(name, version_name, plural, kind, resource["scope"] == "Namespaced", &resource["verbs"]);
                }
            }
        }
    }

    fn version(&mut self, group: &str, version: &str, resources: &Value) {
        for resource in resources.as_array().into_iter().flatten() {
            let plural = resource["name"].as_str().unwrap_or_default();
            let kind = resource["kind"].as_str().unwrap_or_default();
            self.add(group, version, plural, kind, resource["namespaced"] == true, &resource["verbs"]);
        }
    }
}

/// GET with an Accept header.
pub(crate) async fn get<T: DeserializeOwned>(client: &kube::Client, path: &str, accept: &str) -> Result<T, Error> {
    let request = http::Request::get(path)
        .header(http::header::ACCEPT, accept)
        .body(Vec::new())
        .map_err(|source| Error::Path { path: path.to_owned(), source })?;
    client.request(request).await.map_err(|source| Error::Request {
        method: "GET",
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// The metadata of a collection's objects.
pub(crate) async fn list_metadata(
    client: &kube::Client,
    resource: &Resource,
    namespace: &str,
) -> Result<Vec<Value>, Error> {
    const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
    let mut list: Value = get(client, &resource.path(namespace, "", ""), METADATA).await?;
    let items = list["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
    Ok(items.into_iter().map(|mut item| item["metadata"].take()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_version_with_a_resource_is_taken_and_stale_groups_are_reported() {
        let mut found = Collector::default();
        found.aggregated(&json!({"items": [{"metadata": {"name": "apps"}, "versions": [
            {"version": "v1", "resources": [{"resource": "deployments", "scope": "Namespaced", "responseKind": {"kind": "Deployment"}, "verbs": ["list"]}]},
            {"version": "v1beta1", "freshness": "Stale", "resources": [
                {"resource": "deployments", "scope": "Namespaced", "responseKind": {"kind": "Deployment"}, "verbs": ["list"]},
                {"resource": "olds", "scope": "Cluster", "responseKind": {"kind": "Old"}, "verbs": ["get"]}]},
        ]}]}));
        let all: Vec<String> = found
            .resources
            .values()
            .map(|one| format!("{} {} {}", one.resource.api_version(), one.resource.plural, one.namespaced))
            .collect();
        assert_eq!(all, ["apps/v1 deployments true", "apps/v1beta1 olds false"]);
        assert_eq!(found.failures, ["apps/v1beta1: stale GroupVersion discovery: apps/v1beta1"]);
    }

    #[test]
    fn the_preferred_version_comes_first() {
        let answer = json!({"groups": [{"name": "g", "preferredVersion": {"version": "v1"}, "versions": [{"version": "v2alpha1"}, {"version": "v1"}]}]});
        assert_eq!(
            group_versions(&answer),
            [("g".to_owned(), "v1".to_owned()), ("g".to_owned(), "v2alpha1".to_owned())]
        );
    }
}
