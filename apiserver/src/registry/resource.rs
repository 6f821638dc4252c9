//! One served resource: the facts of the schema table joined with its strategy.

use std::collections::HashMap;
use std::sync::Arc;

use api::decode;
use api::meta::{GroupKind, GroupResource};
use api::schema::{CompiledSchema, Schema};
use api::scheme::{ResourceInfo, Scheme, SubresourceInfo};
use bytes::Bytes;

use super::strategy::Strategy;
use super::{conversion, list};

/// A resource in one served version.
pub struct Resource {
    /// Facts.
    pub info: ResourceInfo,
    /// Semantics.
    pub strategy: &'static dyn Strategy,
    /// Key prefix of all its objects, with a slash at the end.
    pub prefix: String,
    /// Is metadata.generation counted?
    pub counts_generation: bool,
    /// `apiVersion` of its objects in this version.
    pub api_version: String,
    /// `apiVersion` of its objects as stored.
    pub storage_api_version: String,
    /// How stored objects become objects of this version and back; None when they are the same.
    pub conversion: Option<conversion::Conversion>,
    /// Beginning of every list up to the resource version's digits.
    pub list_head: Bytes,
    schema: SchemaOf,
    storage_schema: SchemaOf,
}

enum SchemaOf {
    Builtin(Option<Schema<'static>>),
    #[allow(dead_code, reason = "custom resources come with issue 5")]
    Compiled(Arc<CompiledSchema>),
}

impl SchemaOf {
    fn get(&self) -> Option<Schema<'_>> {
        match self {
            SchemaOf::Builtin(schema) => *schema,
            SchemaOf::Compiled(compiled) => Some(compiled.schema()),
        }
    }
}

impl Resource {
    fn builtin(scheme: &'static Scheme, info: &ResourceInfo) -> Resource {
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
            strategy: list::strategy(&info.group, &info.plural),
            // No key begins with a zero byte: what is not stored is found nowhere.
            prefix: if info.key_prefix.is_empty() { "\0".to_string() } else { format!("{}/", info.key_prefix) },
            counts_generation: list::counts_generation(&info.group, &info.plural),
            conversion: conversion::between(&storage_api_version, &api_version, &info.kind),
            list_head: list_head.into(),
            schema: SchemaOf::Builtin(scheme.kind(&info.group, &info.version, &info.kind)),
            storage_schema: SchemaOf::Builtin(scheme.kind(&info.storage_group, &info.storage_version, &info.kind)),
            api_version,
            storage_api_version,
            info: info.clone(),
        }
    }

    /// Schema of its objects in this version.
    pub fn schema(&self) -> Option<Schema<'_>> {
        self.schema.get()
    }

    /// Schema of its objects as stored.
    pub fn storage_schema(&self) -> Option<Schema<'_>> {
        self.storage_schema.get()
    }

    /// What a body sent to the resource itself must be.
    pub fn decode_target(&self) -> Option<decode::Target<'_>> {
        let schema = self.schema()?;
        Some(decode::Target { group: &self.info.group, version: &self.info.version, kind: &self.info.kind, schema })
    }

    /// What its objects are as stored.
    pub fn storage_target(&self) -> Option<decode::Target<'_>> {
        let schema = self.storage_schema()?;
        let (group, version) = (&self.info.storage_group, &self.info.storage_version);
        Some(decode::Target { group, version, kind: &self.info.kind, schema })
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

/// Everything served, by group, version and name.
#[derive(Clone, Debug, Default)]
pub struct Resources {
    groups: HashMap<String, HashMap<String, HashMap<String, Arc<Resource>>>>,
}

impl Resources {
    /// The built-in ones.
    pub fn builtin(scheme: &'static Scheme) -> Resources {
        let mut resources = Resources::default();
        for info in scheme.all_resources() {
            let version = resources
                .groups
                .entry(info.group.to_string())
                .or_default()
                .entry(info.version.to_string())
                .or_default();
            version.insert(info.plural.to_string(), Arc::new(Resource::builtin(scheme, info)));
        }
        resources
    }

    /// One resource.
    pub fn get(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.groups.get(group)?.get(version)?.get(plural)
    }

    /// Every stored resource once, in the version it is stored in.
    pub fn all_stored(&self) -> impl Iterator<Item = &Arc<Resource>> {
        let all = self.groups.values().flat_map(HashMap::values).flat_map(HashMap::values);
        all.filter(|resource| resource.is_stored() && resource.conversion.is_none())
    }

    /// Is the group served at all?
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// A resource of a group in any version: the one it is stored in where that is served.
    pub fn stored(&self, group: &str, plural: &str) -> Option<&Arc<Resource>> {
        let found = || self.groups.get(group)?.values().filter_map(|version| version.get(plural)).next();
        self.groups
            .get(group)?
            .values()
            .filter_map(|version| version.get(plural))
            .find(|resource| resource.conversion.is_none())
            .or_else(found)
    }
}
