//! One served resource: the facts of the schema table joined with its strategy. And all of them: what is served.
//!
//! What is served changes while requests run: custom resources come, change and go. A [`Set`] is never changed, it is
//! replaced as a whole ([`Resources`]); readers take no lock, and a request goes on with the set it began with.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use api::decode;
use api::meta::{GroupKind, GroupResource};
use api::schema::Schema;
use api::scheme::{ResourceInfo, Scheme, SubresourceInfo};
use arc_swap::ArcSwap;
use bytes::Bytes;
use store::Entry;

use super::rules::{EVENT_TTL, Rules};
use super::strategy::Strategy;
use super::{conversion, list};
use crate::apiextensions::{CustomResource, stored};

/// A resource in one served version.
pub struct Resource {
    /// Facts.
    pub info: ResourceInfo,
    /// Semantics.
    pub strategy: Semantics,
    /// Key prefix of all its objects, with a slash at the end.
    pub prefix: String,
    /// Constants of its semantics.
    pub rules: Rules,
    /// `apiVersion` of its objects in this version.
    pub api_version: String,
    /// `apiVersion` of its objects as stored.
    pub storage_api_version: String,
    /// How stored objects become objects of this version and back; None when they are the same.
    pub conversion: Option<conversion::Conversion>,
    /// Beginning of every list up to the resource version's digits.
    pub list_head: Bytes,
    schema: Option<Schema<'static>>,
    storage_schema: Option<Schema<'static>>,
}

/// The strategy of a resource.
pub enum Semantics {
    /// One of `registry/<group>/<resource>.rs`.
    Builtin(&'static dyn Strategy),
    /// That of a custom resource, which reads its definition.
    Custom(CustomResource),
}

impl Deref for Semantics {
    type Target = dyn Strategy;

    fn deref(&self) -> &Self::Target {
        match self {
            Semantics::Builtin(strategy) => *strategy,
            Semantics::Custom(strategy) => strategy,
        }
    }
}

impl std::fmt::Debug for Semantics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Semantics::Builtin(_) => "Builtin",
            Semantics::Custom(_) => "Custom",
        })
    }
}

impl Resource {
    fn builtin(scheme: &'static Scheme, info: &ResourceInfo, event_ttl: Duration) -> Resource {
        let api_version = info.api_version();
        let storage_api_version = if info.storage_group.is_empty() {
            info.storage_version.to_string()
        } else {
            format!("{}/{}", info.storage_group, info.storage_version)
        };
        let list_head = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{api_version}\",\"metadata\":{{\"resourceVersion\":\"",
            info.kind
        );
        Resource {
            strategy: Semantics::Builtin(list::strategy(&info.group, &info.plural)),
            // No key begins with a zero byte: what is not stored is found nowhere.
            prefix: if info.key_prefix.is_empty() { "\0".to_string() } else { format!("{}/", info.key_prefix) },
            rules: Rules::of(&info.group, &info.plural, event_ttl),
            conversion: conversion::between(&storage_api_version, &api_version, &info.kind),
            list_head: list_head.into(),
            schema: scheme.kind(&info.group, &info.version, &info.kind),
            storage_schema: scheme.kind(&info.storage_group, &info.storage_version, &info.kind),
            api_version,
            storage_api_version,
            info: info.clone(),
        }
    }

    /// One version of a custom resource.
    pub fn custom(custom: CustomResource) -> Resource {
        let definition = custom.definition();
        let info = definition.facts(custom.position());
        let api_version = info.api_version();
        let list_head = format!(
            "{{\"kind\":\"{}\",\"apiVersion\":\"{api_version}\",\"metadata\":{{\"resourceVersion\":\"",
            definition.list_kind
        );
        Resource {
            prefix: format!("{}/", info.key_prefix),
            rules: Rules::of_custom(),
            conversion: None,
            list_head: list_head.into(),
            schema: None,
            storage_schema: None,
            storage_api_version: format!("{}/{}", info.storage_group, info.storage_version),
            api_version,
            info,
            strategy: Semantics::Custom(custom),
        }
    }

    /// The version of the definition it is, if it is a custom resource.
    pub fn as_custom(&self) -> Option<&CustomResource> {
        match &self.strategy {
            Semantics::Builtin(_) => None,
            Semantics::Custom(custom) => Some(custom),
        }
    }

    /// Kind of its lists.
    pub fn list_kind(&self) -> Cow<'_, str> {
        match self.as_custom() {
            Some(custom) => Cow::Borrowed(&custom.definition().list_kind),
            None => Cow::Owned(format!("{}List", self.info.kind)),
        }
    }

    /// Schema of its objects in this version.
    pub fn schema(&self) -> Option<Schema<'static>> {
        self.schema
    }

    /// Schema of its objects as stored.
    pub fn storage_schema(&self) -> Option<Schema<'static>> {
        self.storage_schema
    }

    /// What a body sent to the resource itself must be.
    pub fn decode_target(&self) -> Option<decode::Expected<'_>> {
        let (group, version, kind) = (&self.info.group, &self.info.version, &self.info.kind);
        if let Some(custom) = self.as_custom() {
            return Some(decode::Expected::Custom(decode::CustomTarget { group, version, kind, node: custom.node() }));
        }
        let schema = self.schema()?;
        Some(decode::Expected::Typed(decode::Target { group, version, kind, schema }))
    }

    /// What its objects are as stored.
    pub fn storage_target(&self) -> Option<decode::Target<'_>> {
        let schema = self.storage_schema()?;
        let (group, version) = (&self.info.storage_group, &self.info.storage_version);
        Some(decode::Target { group, version, kind: &self.info.kind, schema })
    }

    /// Are its objects stored in this version?
    pub fn is_storage_version(&self) -> bool {
        self.conversion.is_none() && (self.as_custom().is_none() || self.api_version == self.storage_api_version)
    }

    /// Is it of a custom resource definition?
    pub fn is_custom(&self) -> bool {
        matches!(self.strategy, Semantics::Custom(_))
    }

    /// Is it kube-apiserver's own, and not of the servers behind it: custom resources, their definitions, APIServices?
    pub fn is_core(&self) -> bool {
        !self.is_custom() && !matches!(self.info.group.as_ref(), "apiextensions.k8s.io" | "apiregistration.k8s.io")
    }

    /// Are an entry's bytes what is sent?
    pub fn serves_as_stored(&self, entry: &Entry) -> bool {
        match self.as_custom() {
            Some(custom) => stored::is_as_served(custom, entry),
            None => self.conversion.is_none(),
        }
    }

    /// Are there objects of it in the store?
    pub fn is_stored(&self) -> bool {
        !self.info.key_prefix.is_empty()
    }

    /// `pods`, `deployments.apps`: for messages.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(self.info.group.as_ref(), self.info.plural.as_ref())
    }

    /// `Deployment.apps`: for validation messages.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind::new(self.info.group.as_ref(), self.info.kind.as_ref())
    }

    /// `pods` as a kind: what upstream's precondition errors call the resource.
    pub fn group_kind_as_resource(&self) -> GroupResource {
        GroupResource::new(self.info.group.as_ref(), self.info.kind.as_ref())
    }

    /// Has a status subresource?
    pub fn has_status(&self) -> bool {
        self.subresource("status").is_some()
    }

    /// A subresource by name.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceInfo> {
        self.info.subresource(name)
    }

    /// The store key of an object.
    pub fn key(&self, namespace: &str, name: &str) -> String {
        let mut key = String::with_capacity(self.prefix.len() + namespace.len() + name.len() + 1);
        key.push_str(&self.prefix);
        if self.info.namespaced {
            key.push_str(namespace);
            key.push('/');
        }
        key.push_str(name);
        key
    }

    /// The key prefix of all objects, of those of one namespace unless `namespace` is "".
    pub fn list_prefix(&self, namespace: &str) -> String {
        if self.info.namespaced && !namespace.is_empty() {
            format!("{}{namespace}/", self.prefix)
        } else {
            self.prefix.clone()
        }
    }
}

impl std::fmt::Debug for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Resource({} {})", self.api_version, self.info.plural)
    }
}

/// By group, version and name.
type Groups = HashMap<String, HashMap<String, HashMap<String, Arc<Resource>>>>;

/// Everything served at one time.
#[derive(Clone, Debug, Default)]
pub struct Set {
    builtin: Arc<Groups>,
    custom: Groups,
}

impl Set {
    fn builtin(scheme: &'static Scheme, event_ttl: Duration) -> Set {
        let mut groups = Groups::default();
        for info in scheme.all_resources() {
            insert(&mut groups, Arc::new(Resource::builtin(scheme, info, event_ttl)));
        }
        Set { builtin: Arc::new(groups), custom: Groups::default() }
    }

    /// The built-in resources and these.
    pub fn with_custom(&self, custom: impl IntoIterator<Item = Arc<Resource>>) -> Set {
        let mut groups = Groups::default();
        custom.into_iter().for_each(|resource| insert(&mut groups, resource));
        Set { builtin: Arc::clone(&self.builtin), custom: groups }
    }

    /// One resource. A group-version that is built in is so as a whole.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        let of = |groups: &'_ Groups| groups.get(group).is_some_and(|versions| versions.contains_key(version));
        let groups = if of(&self.builtin) { self.builtin.as_ref() } else { &self.custom };
        groups.get(group)?.get(version)?.get(plural)
    }

    /// Every stored resource once, in the version it is stored in.
    pub fn all_stored(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let all = [self.builtin.as_ref(), &self.custom].into_iter().flat_map(HashMap::values);
        let all = all.flat_map(HashMap::values).flat_map(HashMap::values);
        all.filter(|resource| resource.is_stored() && resource.is_storage_version())
    }

    /// The resources of a group-version whose objects are of this kind.
    pub fn of_kind<'a>(&'a self, api_version: &str, kind: &'a str) -> impl Iterator<Item = &'a Arc<Resource>> {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let of = |groups: &'a Groups| groups.get(group).and_then(|versions| versions.get(version));
        let served = of(&self.builtin).or_else(|| of(&self.custom)).into_iter().flat_map(HashMap::values);
        served.filter(move |resource| *resource.info.kind == *kind)
    }

    /// The same objects as other groups and versions serve them. Upstream: runtime.EquivalentResourceMapper.
    pub fn equivalents(&self, resource: &Resource) -> Vec<Arc<Resource>> {
        let all = [self.builtin.as_ref(), &self.custom].into_iter().flat_map(HashMap::values);
        let all = all.flat_map(HashMap::values).flat_map(HashMap::values);
        let same = |other: &Resource| {
            let is_other = other.api_version != resource.api_version;
            // What is not stored has no prefix of its own.
            let is_stored = resource.is_stored() && other.prefix == resource.prefix;
            is_other && (is_stored || other.group_resource() == resource.group_resource())
        };
        let mut found: Vec<_> = all.filter(|other| same(other)).cloned().collect();
        found.sort_by(|a, b| a.api_version.cmp(&b.api_version));
        found
    }

    /// The custom resources that clients are told of, in every version that is served.
    pub fn custom(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let all = self.custom.values().flat_map(HashMap::values).flat_map(HashMap::values);
        all.filter(|resource| is_established(resource))
    }

    /// Those of a group.
    pub fn custom_in<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a Arc<Resource>> {
        let all = self.custom.get(group).into_iter().flat_map(HashMap::values).flat_map(HashMap::values);
        all.filter(|resource| is_established(resource))
    }

    /// Is the group served without any definition?
    pub fn has_builtin_group(&self, group: &str) -> bool {
        self.builtin.contains_key(group)
    }

    /// A resource of a group in any version: the one it is stored in where that is served.
    pub fn stored(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        [self.builtin.as_ref(), &self.custom].into_iter().find_map(|groups| {
            let mut versions = groups.get(group)?.values().filter_map(|version| version.get(plural));
            let first = versions.next()?;
            if first.is_storage_version() {
                return Some(first);
            }
            Some(versions.find(|resource| resource.is_storage_version()).unwrap_or(first))
        })
    }
}

fn is_established(resource: &Resource) -> bool {
    resource.as_custom().is_some_and(|custom| custom.definition().established)
}

fn insert(groups: &mut Groups, resource: Arc<Resource>) {
    let group = groups.entry(resource.info.group.to_string()).or_default();
    group.entry(resource.info.version.to_string()).or_default().insert(resource.info.plural.to_string(), resource);
}

/// What is served now. Clones share it.
#[derive(Clone, Debug)]
pub struct Resources(Arc<ArcSwap<Set>>);

impl Resources {
    /// The built-in ones.
    pub fn builtin(scheme: &'static Scheme) -> Resources {
        Resources::with_event_ttl(scheme, EVENT_TTL)
    }

    /// The built-in ones, with events that live so long; zero is for ever.
    pub fn with_event_ttl(scheme: &'static Scheme, event_ttl: Duration) -> Resources {
        Resources(Arc::new(ArcSwap::from_pointee(Set::builtin(scheme, event_ttl))))
    }

    /// All of them, as they are at one time: for those who look more than once.
    pub fn current(&self) -> Arc<Set> {
        self.0.load_full()
    }

    /// Puts another set in the place of the present one. Called again when somebody else was quicker.
    pub fn change(&self, change: impl FnMut(&Set) -> Set) {
        let mut change = change;
        self.0.rcu(|present| Arc::new(change(present)));
    }

    /// One resource.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.0.load().get(group, version, plural).cloned()
    }

    /// A resource of a group in any version: the one it is stored in where that is served.
    pub fn stored(&self, group: &str, plural: &str) -> Option<Arc<Resource>> {
        self.0.load().stored(group, plural).cloned()
    }
}
