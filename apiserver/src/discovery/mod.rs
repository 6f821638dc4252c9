//! Which groups, versions and resources there are: `/api`, `/apis` and below, one by one or aggregated.
//!
//! The documents are made of what is served when they are asked for; the aggregated ones, which clients ask for again and
//! again, are kept as bytes until something else is served.
//! Upstream: k8s.io/apiserver/pkg/endpoints/discovery.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use api::scheme::{GroupVersion, ResourceInfo, Scheme};
use api::status::Status;
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use json::{Map, Value, json};
use sha2::{Digest, Sha512};

use crate::aggregator::Aggregator;
use crate::endpoints::negotiation::{Format, Offer, Output, Route};
use crate::endpoints::{Request, respond};
use crate::registry::resource::{Resource, Resources, Set};
use crate::server::body::Body;

/// The media type of the aggregated documents, which says of what kind they are.
fn aggregated_media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Format::Yaml => "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Format::Protobuf => "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        Format::Cbor => "application/cbor;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    }
}

/// Discovery of everything that is served.
#[derive(Debug)]
pub struct Discovery {
    scheme: &'static Scheme,
    server_address: String,
    aggregated_core: OnceLock<Aggregated>,
    /// Of the groups, and the set it was made of.
    aggregated_groups: ArcSwapOption<(Arc<Set>, Aggregated)>,
}

#[derive(Debug)]
struct Aggregated {
    bytes: Bytes,
    etag: HeaderValue,
}

/// One look at what is served.
struct Served<'a> {
    scheme: &'static Scheme,
    set: &'a Set,
}

impl Discovery {
    /// `server_address` is told to clients that ask `/api`.
    pub fn new(scheme: &'static Scheme, server_address: String) -> Discovery {
        Discovery {
            scheme,
            server_address,
            aggregated_core: OnceLock::new(),
            aggregated_groups: ArcSwapOption::empty(),
        }
    }

    /// Answers a path below `/api` or `/apis`; None for those that are no discovery.
    pub(crate) fn serve(
        &self,
        request: &Request,
        resources: &Resources,
        aggregator: &Aggregator,
    ) -> Option<Result<Response<Body>, Status>> {
        let path = request.info.path.strip_prefix('/')?;
        let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').collect();
        if !matches!(parts.first(), Some(&("api" | "apis"))) {
            return None;
        }
        let set = resources.current();
        let served = Served { scheme: self.scheme, set: &set };
        let document = match parts.as_slice() {
            ["api"] => self.versions(),
            ["apis"] => served.groups().map(|mut document| {
                document["groups"].as_array_mut().into_iter().for_each(|groups| aggregator.join_groups(groups));
                document
            }),
            ["api", version] => served.resources("", version),
            ["apis", group] => aggregator.join_group(group, served.group(group)),
            ["apis", group, version] if set.has_builtin_group(group) => served.resources(group, version),
            ["apis", group, version] => Some(served.resources(group, version)?),
            _ => return None,
        };
        // Groups are told of by the aggregator, which asks for no method.
        let any_method = matches!(parts.as_slice(), ["apis"] | ["apis", _]);
        if parts.len() == 2 && document.is_none() && any_method {
            return None;
        }
        if parts == ["apis"]
            && aggregator.has_remote()
            && let Some(output) = wants_aggregated(request)
        {
            let joined = served.aggregated(&served.group_names(), |groups| aggregator.join_aggregated(groups));
            let headers = &request.parts.headers;
            return Some(Route::Single.accepts(headers, request.formats).map(|()| joined.answer(headers, &output)));
        }
        Some(self.answer(request, &set, &parts, document, any_method))
    }

    fn answer(
        &self,
        request: &Request,
        set: &Arc<Set>,
        parts: &[&str],
        document: Option<Value>,
        any_method: bool,
    ) -> Result<Response<Body>, Status> {
        let document = document.ok_or_else(respond::no_such_resource)?;
        if !any_method && request.parts.method != Method::GET {
            return Err(respond::method_not_allowed());
        }
        let headers = &request.parts.headers;
        Route::Single.accepts(headers, request.formats)?;
        if parts.len() == 1
            && let Some(output) = wants_aggregated(request)
        {
            return Ok(self.aggregated(headers, &output, set, parts[0] == "api"));
        }
        Ok(respond::value(200, &document, &request.output_unshaped()?))
    }

    /// All paths `GET /` lists.
    pub fn paths(&self, resources: &Resources) -> Vec<String> {
        let set = resources.current();
        let served = Served { scheme: self.scheme, set: &set };
        let mut paths = vec!["/api".to_string(), "/api/v1".to_string(), "/apis".to_string(), "/apis/".to_string()];
        for group in served.group_names() {
            paths.push(format!("/apis/{group}"));
            paths.extend(served.versions_of(group).into_iter().map(|version| format!("/apis/{group}/{version}")));
        }
        paths
    }

    fn versions(&self) -> Option<Value> {
        Some(json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": self.server_address}],
        }))
    }

    fn aggregated(&self, headers: &HeaderMap, output: &Output, set: &Arc<Set>, core: bool) -> Response<Body> {
        let served = Served { scheme: self.scheme, set };
        let asis = |_: &mut Vec<Value>| {};
        if core {
            self.aggregated_core.get_or_init(|| served.aggregated(&[""], asis)).answer(headers, output)
        } else {
            let kept = self.aggregated_groups.load_full().filter(|kept| Arc::ptr_eq(&kept.0, set));
            let kept = kept.unwrap_or_else(|| {
                let made = Arc::new((Arc::clone(set), served.aggregated(&served.group_names(), asis)));
                self.aggregated_groups.store(Some(Arc::clone(&made)));
                made
            });
            kept.1.answer(headers, output)
        }
    }
}

impl Aggregated {
    /// The document, or word that it is what the client has.
    fn answer(&self, headers: &HeaderMap, output: &Output) -> Response<Body> {
        let mut response = if headers.get(header::IF_NONE_MATCH) == Some(&self.etag) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else if output.is_plain() {
            respond::bytes_with_type(200, self.bytes.clone(), aggregated_media_type(output.format), output.gzip)
        } else {
            let document = json::from_slice(&self.bytes).unwrap_or_default();
            respond::value_as(200, &document, output, aggregated_media_type(output.format))
        };
        let answer = response.headers_mut();
        answer.insert(header::ETAG, self.etag.clone());
        answer.insert(header::VARY, HeaderValue::from_static("Accept"));
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        response
    }
}

impl<'a> Served<'a> {
    /// Groups in the order they are told of: built-in ones in theirs, the others by name.
    fn group_names(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for GroupVersion { group, .. } in self.scheme.group_versions() {
            if !group.is_empty() && !names.contains(&group.as_ref()) {
                names.push(group);
            }
        }
        let mut custom: Vec<&str> = self.set.custom().map(|resource| resource.info.group.as_ref()).collect();
        custom.sort_unstable();
        custom.dedup();
        custom.retain(|group| !names.contains(group));
        names.extend(custom);
        names
    }

    /// Versions of a group, the preferred one first.
    fn versions_of(&self, group: &str) -> Vec<&'a str> {
        let built_in = self.scheme.group_versions().iter().filter(|own| own.group == group);
        let mut versions: Vec<&str> = built_in.map(|own| own.version.as_ref()).collect();
        let mut custom: Vec<&str> = self.set.custom_in(group).map(|resource| resource.info.version.as_ref()).collect();
        custom.sort_by(|a, b| api::names::compare_versions(b, a));
        custom.dedup();
        custom.retain(|version| !versions.contains(version));
        versions.extend(custom);
        versions
    }

    /// Resources of a group-version, by name. One that is built in is so as a whole.
    fn resources_of(&self, group: &str, version: &str) -> Vec<Cow<'a, ResourceInfo>> {
        if self.scheme.versions(group).any(|own| own == version) {
            return self.scheme.resources(group, version).iter().map(Cow::Borrowed).collect();
        }
        let custom = self.set.custom_in(group).filter(|resource| resource.info.version == version);
        let mut resources: Vec<Cow<'_, ResourceInfo>> = custom.map(|resource| shown(resource)).collect();
        resources.sort_by(|a, b| a.plural.cmp(&b.plural));
        resources
    }

    fn groups(&self) -> Option<Value> {
        let groups: Vec<Value> = self.group_names().into_iter().filter_map(|name| self.group_fields(name)).collect();
        Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
    }

    fn group(&self, name: &str) -> Option<Value> {
        let mut document = Map::new();
        document.insert("kind", "APIGroup".into());
        document.insert("apiVersion", "v1".into());
        document.extend(self.group_fields(name)?.as_object()?.clone());
        Some(Value::Object(document))
    }

    fn group_fields(&self, name: &str) -> Option<Value> {
        let versions: Vec<Value> = self
            .versions_of(name)
            .into_iter()
            .filter(|_| !name.is_empty())
            .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
            .collect();
        let preferred = versions.first()?.clone();
        Some(json!({"name": name, "versions": versions, "preferredVersion": preferred}))
    }

    fn resources(&self, group: &str, version: &str) -> Option<Value> {
        if !self.versions_of(group).contains(&version) {
            return None;
        }
        let mut resources = Vec::new();
        for resource in self.resources_of(group, version) {
            if !resource.verbs.is_empty() {
                resources.push(legacy_resource(&resource));
            }
            resources.extend(resource.subresources.iter().map(|subresource| {
                let mut fields = Map::new();
                fields.insert("name", format!("{}/{}", resource.plural, subresource.name).into());
                fields.insert("singularName", "".into());
                fields.insert("namespaced", resource.namespaced.into());
                if (&subresource.group, &subresource.version) != (&resource.group, &resource.version) {
                    fields.insert("group", subresource.group.as_ref().into());
                    fields.insert("version", subresource.version.as_ref().into());
                }
                fields.insert("kind", subresource.kind.as_ref().into());
                fields.insert("verbs", names(&subresource.verbs));
                Value::Object(fields)
            }));
        }
        let mut document = Map::new();
        document.insert("kind", "APIResourceList".into());
        if !group.is_empty() {
            document.insert("apiVersion", "v1".into());
        }
        let group_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
        document.insert("groupVersion", group_version.into());
        document.insert("resources", resources.into());
        Some(Value::Object(document))
    }

    /// The document of some groups; `join` adds those that others serve.
    fn aggregated(&self, groups: &[&str], join: impl FnOnce(&mut Vec<Value>)) -> Aggregated {
        let mut items: Vec<Value> = groups.iter().map(|name| self.aggregated_group(name)).collect();
        join(&mut items);
        let document = json!({
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        });
        let bytes = Bytes::from(format!("{document}\n"));
        let etag = HeaderValue::from_str(&etag(&bytes)).unwrap_or(HeaderValue::from_static("\"\""));
        Aggregated { bytes, etag }
    }

    fn aggregated_group(&self, name: &str) -> Value {
        let versions: Vec<Value> = self
            .versions_of(name)
            .into_iter()
            .map(|version| {
                let resources: Vec<Value> =
                    self.resources_of(name, version).iter().map(|resource| aggregated_resource(resource)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        let metadata = if name.is_empty() { json!({}) } else { json!({"name": name}) };
        json!({"metadata": metadata, "versions": versions})
    }
}

/// What a custom resource is told to offer: nothing new while its definition goes.
fn shown(resource: &Resource) -> Cow<'_, ResourceInfo> {
    if !resource.as_custom().is_some_and(|custom| custom.definition().terminating) {
        return Cow::Borrowed(&resource.info);
    }
    let mut info = resource.info.clone();
    info.verbs.retain(|verb| !matches!(verb.as_ref(), "patch" | "create" | "update"));
    Cow::Owned(info)
}

/// A strong validator of a document's bytes, quoted. Upstream: SHA-512, upper case.
pub fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hash(bytes))
}

/// SHA-512 in upper-case hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha512::digest(bytes).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The form in which a client wants everything at once, if it does. Upstream: aggregated.WrapAggregatedDiscoveryToHandler.
fn wants_aggregated(request: &Request) -> Option<Output> {
    request.output_among(Offer::Kind("apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList")).ok()
}

fn names(names: &[api::schema::Name]) -> Value {
    names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().into()
}

fn legacy_resource(resource: &ResourceInfo) -> Value {
    let mut fields = Map::new();
    fields.insert("name", resource.plural.as_ref().into());
    fields.insert("singularName", resource.singular.as_ref().into());
    fields.insert("namespaced", resource.namespaced.into());
    fields.insert("kind", resource.kind.as_ref().into());
    fields.insert("verbs", names(&resource.verbs));
    for (key, values) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !values.is_empty() {
            fields.insert(key.to_string(), names(values));
        }
    }
    if !resource.storage_version_hash.is_empty() {
        fields.insert("storageVersionHash", resource.storage_version_hash.as_ref().into());
    }
    Value::Object(fields)
}

fn aggregated_resource(resource: &ResourceInfo) -> Value {
    let own = |kind: &str| json!({"group": "", "version": "", "kind": kind});
    let mut fields = Map::new();
    fields.insert("resource", resource.plural.as_ref().into());
    if !resource.verbs.is_empty() {
        fields.insert("responseKind", own(&resource.kind));
    }
    fields.insert("scope", if resource.namespaced { "Namespaced" } else { "Cluster" }.into());
    fields.insert("singularResource", resource.singular.as_ref().into());
    fields.insert("verbs", names(&resource.verbs));
    for (key, values) in [("shortNames", &resource.short_names), ("categories", &resource.categories)] {
        if !values.is_empty() {
            fields.insert(key.to_string(), names(values));
        }
    }
    let subresources: Vec<Value> = resource
        .subresources
        .iter()
        .map(|subresource| {
            let same = (&subresource.group, &subresource.version) == (&resource.group, &resource.version);
            let kind = if same {
                own(&subresource.kind)
            } else {
                json!({"group": subresource.group, "version": subresource.version, "kind": subresource.kind})
            };
            json!({"subresource": subresource.name, "responseKind": kind, "verbs": names(&subresource.verbs)})
        })
        .collect();
    if !subresources.is_empty() {
        fields.insert("subresources", subresources.into());
    }
    Value::Object(fields)
}
