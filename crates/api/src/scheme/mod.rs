//! Which group-versions, resources and kinds exist, and what each resource offers.
//!
//! [`Scheme::builtin`] is made once from the fact tables in `crates/api/data` and holds everything v1.37 serves by
//! default. It knows nothing of custom resources: those are the apiserver's, their facts in the same [`ResourceInfo`].
//! Upstream: `runtime.Scheme` plus the installed `rest.Storage`s.

mod load;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::schema::{Gvk, Name, Schema, TypeId, Types};

/// One served group-version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupVersion {
    /// API group, empty for the core group.
    pub group: Name,
    /// Version.
    pub version: Name,
}

impl GroupVersion {
    /// `apiVersion` of its objects: `v1`, `apps/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// One resource of one group-version.
#[derive(Clone, Debug, Default)]
pub struct ResourceInfo {
    /// API group, empty for the core group.
    pub group: Name,
    /// Version.
    pub version: Name,
    /// Name in paths: `deployments`.
    pub plural: Name,
    /// Name of one: `deployment`.
    pub singular: Name,
    /// Kind of its objects.
    pub kind: Name,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
    /// `po`, `deploy`.
    pub short_names: Vec<Name>,
    /// `all`, `api-extensions`.
    pub categories: Vec<Name>,
    /// Verbs, sorted, as discovery shows them. Empty when only subresources are served.
    pub verbs: Vec<Name>,
    /// What follows the object's name in paths.
    pub subresources: Vec<SubresourceInfo>,
    /// A deletion answers with the object, not with a Status. Upstream: `Store.ReturnDeletedObject`.
    pub delete_returns_object: bool,
    /// Group-version objects are stored in.
    pub storage_group: Name,
    /// See `storage_group`.
    pub storage_version: Name,
    /// `storageVersionHash` of discovery; empty for resources that are not stored.
    pub storage_version_hash: Name,
    /// Key prefix in the store, no slash at the end (`/registry/services/specs`); empty for resources that are not stored.
    pub key_prefix: Name,
}

impl ResourceInfo {
    /// Whether discovery lists this verb.
    pub fn has_verb(&self, verb: &str) -> bool {
        self.verbs.iter().any(|have| have == verb)
    }

    /// A subresource by name.
    pub fn subresource(&self, name: &str) -> Option<&SubresourceInfo> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// A subresource (`status`, `scale`, `eviction`).
#[derive(Clone, Debug, Default)]
pub struct SubresourceInfo {
    /// Name after the slash; `proxy` stands for `proxy/{path}` too.
    pub name: Name,
    /// Group of the body's kind.
    pub group: Name,
    /// Version of the body's kind.
    pub version: Name,
    /// Kind of the body.
    pub kind: Name,
    /// Verbs, sorted.
    pub verbs: Vec<Name>,
}

/// The table of everything built in.
#[derive(Debug)]
pub struct Scheme {
    types: Types,
    group_versions: Vec<GroupVersion>,
    /// Parallel to `group_versions`.
    resources: Vec<Vec<ResourceInfo>>,
    /// Sorted by kind, group, version.
    kinds: Vec<(Gvk, TypeId)>,
    by_name: HashMap<Name, TypeId>,
}

impl Scheme {
    /// The built-in scheme; parsed on first use, then shared.
    pub fn builtin() -> &'static Scheme {
        static BUILTIN: OnceLock<Scheme> = OnceLock::new();
        BUILTIN.get_or_init(load::builtin)
    }

    /// A scheme of its own in which only some resources are served. Kinds stay known: what is stored can still be read.
    /// A group-version that is left without a resource is served no more.
    pub fn serving(keep: impl Fn(&ResourceInfo) -> bool) -> Scheme {
        let mut scheme = load::builtin();
        for resources in &mut scheme.resources {
            resources.retain(|resource| keep(resource));
        }
        let served: Vec<bool> = scheme.resources.iter().map(|resources| !resources.is_empty()).collect();
        let mut position = 0..;
        scheme.group_versions.retain(|_| position.next().is_some_and(|at| served[at]));
        scheme.resources.retain(|resources| !resources.is_empty());
        scheme
    }

    /// Served group-versions in upstream's priority order (the order of `/apis` and aggregated discovery), core first.
    pub fn group_versions(&self) -> &[GroupVersion] {
        &self.group_versions
    }

    /// Versions of one group, preferred first; empty for an unknown group.
    pub fn versions<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        self.group_versions.iter().filter(move |gv| gv.group == group).map(|gv| gv.version.as_ref())
    }

    /// Resources of a group-version, sorted by name; empty when it is not served.
    pub fn resources(&self, group: &str, version: &str) -> &[ResourceInfo] {
        self.group_versions
            .iter()
            .position(|gv| gv.group == group && gv.version == version)
            .map_or(&[], |position| &self.resources[position])
    }

    /// One resource.
    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&ResourceInfo> {
        self.resources(group, version).iter().find(|resource| resource.plural == plural)
    }

    /// All resources of all group-versions.
    pub fn all_resources(&self) -> impl Iterator<Item = &ResourceInfo> {
        self.resources.iter().flatten()
    }

    /// The resource whose objects have this kind.
    pub fn resource_of_kind(&self, group: &str, version: &str, kind: &str) -> Option<&ResourceInfo> {
        self.resources(group, version).iter().find(|resource| resource.kind == kind && !resource.verbs.is_empty())
    }

    /// Schema of a registered kind: served objects, their lists (`PodList`), and the option kinds of every
    /// group-version (`DeleteOptions`).
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<Schema<'_>> {
        let found = self.kinds.binary_search_by(|(gvk, _)| {
            (gvk.kind.as_ref(), gvk.group.as_ref(), gvk.version.as_ref()).cmp(&(kind, group, version))
        });
        found.ok().map(|position| self.types.schema(self.kinds[position].1))
    }

    /// Schema of a type by its OpenAPI model name (`io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`).
    pub fn type_named(&self, name: &str) -> Option<Schema<'_>> {
        self.by_name.get(name).map(|id| self.types.schema(*id))
    }

    /// All built-in object types.
    pub fn types(&self) -> &Types {
        &self.types
    }
}
