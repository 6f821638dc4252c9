//! Where the rules of field ownership (`api::managed_fields`) meet resources: which version and schema a write is in, what
//! its endpoint resets, and which other versions the kind has.
//!
//! [`track`] follows a create, update or patch; [`apply`] is server-side apply. Both work on one object in memory and store
//! nothing. Upstream: the FieldManager of endpoints/handlers.RequestScope.

mod conversions;
mod reset;
pub(crate) mod scale;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use api::managed_fields::{self, Conflict, Place, Reset, Rules, Unconverted, Versions, Writer, set_managed_fields};
use api::meta::{self, GroupVersionKind};
use api::schema::Schema;
use api::status::{Cause, Status};
use json::Value;

use super::resource::{Resource, Resources, Set};
use super::store::{Engine, Present};
use crate::apiextensions::CustomResource;
use crate::context::RequestContext;

pub(crate) use conversions::Conversions;

/// The versions of a built-in resource.
struct OfBuiltIn<'a> {
    resources: Arc<Set>,
    resource: &'a Resource,
    subresource: &'a str,
}

impl OfBuiltIn<'_> {
    fn version(&self, api_version: &str) -> Option<&Resource> {
        if api_version == self.resource.api_version {
            return Some(self.resource);
        }
        // What another group serves of the same objects is no version of this kind: upstream has a hub in each group.
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let found = self.resources.get(&self.resource.info.group, version, &self.resource.info.plural)?;
        (group == self.resource.info.group).then_some(found)
    }
}

impl Versions for OfBuiltIn<'_> {
    fn place(&self, api_version: &str) -> Option<Place<'_>> {
        place(self.version(api_version)?)
    }

    fn reset(&self, api_version: &str) -> Reset {
        self.version(api_version).map_or(Reset::Nothing, |version| reset::fields(version, self.subresource))
    }

    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, Unconverted> {
        let from = self.version(meta::api_version(object)).unwrap_or(self.resource);
        let to = self.version(api_version).ok_or(Unconverted::NoVersion)?;
        let mut object = object.clone();
        Engine::to_storage(from, &mut object);
        Engine::from_storage(to, &mut object);
        Ok(object)
    }
}

/// The versions of a custom resource, served or not.
struct OfCustom<'a> {
    custom: &'a CustomResource,
    subresource: &'a str,
    conversions: &'a Conversions,
}

impl OfCustom<'_> {
    fn position(&self, api_version: &str) -> Option<usize> {
        let definition = self.custom.definition();
        let (group, version) = api_version.split_once('/')?;
        definition.position(version).filter(|_| group == definition.group)
    }
}

impl Versions for OfCustom<'_> {
    fn place(&self, api_version: &str) -> Option<Place<'_>> {
        let compiled = self.custom.definition().compiled(self.position(api_version)?);
        Some(compiled.node.as_ref().map_or(Place::Deduced, Place::CustomRoot))
    }

    fn reset(&self, api_version: &str) -> Reset {
        let version = self.position(api_version).map(|position| &self.custom.definition().versions[position]);
        match version {
            // The object's own endpoint resets in its own version only.
            Some(version) if version.has_status && self.subresource == "status" => self.custom.reset("status"),
            _ => Reset::Nothing,
        }
    }

    fn convert(&self, object: &Value, api_version: &str) -> Result<Value, Unconverted> {
        let position = self.position(api_version).ok_or_else(|| no_version_of(api_version))?;
        self.conversions.get(self.custom, object, position)
    }
}

/// Upstream keeps owners of unknown versions of custom resources, and refuses what would have to look at them.
fn no_version_of(api_version: &str) -> Unconverted {
    Unconverted::Failed(format!("request to convert CR to an invalid group/version: {api_version}"))
}

/// The versions of a resource.
enum OfResource<'a> {
    BuiltIn(OfBuiltIn<'a>),
    Custom(OfCustom<'a>),
}

impl<'a> OfResource<'a> {
    fn new(
        resources: &Resources,
        resource: &'a Resource,
        subresource: &'a str,
        conversions: &'a Conversions,
    ) -> OfResource<'a> {
        match resource.as_custom() {
            Some(custom) => OfResource::Custom(OfCustom { custom, subresource, conversions }),
            None => OfResource::BuiltIn(OfBuiltIn { resources: resources.current(), resource, subresource }),
        }
    }

    fn versions(&self) -> &dyn Versions {
        match self {
            OfResource::BuiltIn(versions) => versions,
            OfResource::Custom(versions) => versions,
        }
    }
}

/// Kinds that are answered and not stored have one version.
struct OnlyOne;

impl Versions for OnlyOne {
    fn place(&self, _api_version: &str) -> Option<Place<'_>> {
        None
    }

    fn reset(&self, _api_version: &str) -> Reset {
        Reset::Nothing
    }

    fn convert(&self, _object: &Value, _api_version: &str) -> Result<Value, Unconverted> {
        Err(Unconverted::NoVersion)
    }
}

/// Notes in `new`, which is in the storage version, what the request changed of `live`; None is a create.
pub(crate) async fn track(
    resources: &Resources,
    resource: &Resource,
    ctx: &RequestContext,
    live: Option<&Value>,
    new: &mut Value,
) {
    let conversions = Conversions::default();
    loop {
        let settled = settled(resources, resource, ctx, live, new, &conversions);
        if !conversions.ask(resource, ctx).await {
            return settled.into_iter().for_each(|settled| settled.apply(new));
        }
    }
}

/// The entries that [`track`] notes, as far as `conversions` knows; None where a kind has no schema.
fn settled(
    resources: &Resources,
    resource: &Resource,
    ctx: &RequestContext,
    live: Option<&Value>,
    new: &Value,
    conversions: &Conversions,
) -> Option<Settled> {
    let place = place(resource)?;
    let subresource = &ctx.target.subresource;
    let versions = OfResource::new(resources, resource, subresource, conversions);
    let rules = rules(resource, place, subresource, versions.versions());
    let served = |object: &Value| {
        let mut object = object.clone();
        Engine::from_storage(resource, &mut object);
        object
    };
    let before = match live {
        None => Cow::Owned(empty(resource)),
        Some(live) if resource.conversion.is_none() => Cow::Borrowed(live),
        Some(live) => Cow::Owned(served(live)),
    };
    let after = if resource.conversion.is_none() { Cow::Borrowed(new) } else { Cow::Owned(served(new)) };
    Some(settle(&rules, ctx, &before, &after))
}

/// Notes in a body that is answered and not stored what the request sent.
pub(crate) fn track_answered(ctx: &RequestContext, schema: Schema<'_>, new: &mut Value) {
    let settled = {
        let subresource = &ctx.target.subresource;
        let (api_version, place) = (meta::api_version(new), Place::Root(schema));
        let rules = Rules { api_version, place, subresource, reset: Reset::Nothing, versions: &OnlyOne };
        settle(&rules, ctx, &api::decode::empty(schema), new)
    };
    settled.apply(new);
}

/// The entries an object is to have, and why they are not as they should be: ownership is not worth a refusal.
struct Settled {
    entries: Option<Value>,
    failure: Option<String>,
}

impl Settled {
    fn apply(self, object: &mut Value) {
        let entries = self.reported(object);
        set_managed_fields(object, entries);
    }

    /// The entries of the object; a failure is logged.
    fn reported(self, object: &Value) -> Option<Value> {
        if let Some(why) = self.failure {
            tracing::warn!(name = meta::name(object), why, "managed fields cannot be brought up to date");
        }
        self.entries
    }
}

fn settle(rules: &Rules<'_>, ctx: &RequestContext, live: &Value, new: &Value) -> Settled {
    let now = ctx.timestamp();
    let writer = Writer { manager: &ctx.field_manager, now: &now };
    match managed_fields::after_update(rules, writer, live, new) {
        Ok(entries) => Settled { entries, failure: None },
        Err(why) => Settled { entries: entries(live).cloned(), failure: Some(why) },
    }
}

/// The rules of a write to a resource in its served version.
fn rules<'a>(resource: &'a Resource, place: Place<'a>, subresource: &'a str, versions: &'a dyn Versions) -> Rules<'a> {
    Rules {
        api_version: &resource.api_version,
        place,
        subresource,
        reset: reset::fields(resource, subresource),
        versions,
    }
}

/// The schema of a resource, as ownership sees it.
pub(crate) fn place(resource: &Resource) -> Option<Place<'_>> {
    match resource.as_custom() {
        Some(custom) => Some(custom.node().map_or(Place::Deduced, Place::CustomRoot)),
        None => resource.schema().map(Place::Root),
    }
}

/// An object of a resource of which nothing is said.
fn empty(resource: &Resource) -> Value {
    match resource.schema() {
        Some(schema) => api::decode::empty(schema),
        None => json::json!({"kind": resource.info.kind, "apiVersion": resource.api_version}),
    }
}

/// Applies a configuration to the present object, in the served version.
pub(crate) fn apply(
    resources: &Resources,
    resource: &Resource,
    ctx: &RequestContext,
    force: bool,
    present: Present<'_>,
    configuration: &Value,
) -> Result<Value, Status> {
    let place = place(resource).ok_or_else(|| Status::not_found(&resource.group_resource(), &ctx.target.name))?;
    let subresource = &ctx.target.subresource;
    let versions = OfResource::new(resources, resource, subresource, present.conversions());
    let rules = rules(resource, place, subresource, versions.versions());
    let live = if present.is_absent() { empty(resource) } else { present.served() };
    apply_by(&rules, &resource.info.kind, ctx, force, &live, configuration)
}

fn apply_by(
    rules: &Rules<'_>,
    kind: &str,
    ctx: &RequestContext,
    force: bool,
    live: &Value,
    configuration: &Value,
) -> Result<Value, Status> {
    check_type(rules, kind, configuration)?;
    if configuration["metadata"]["managedFields"].is_array() {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let now = ctx.timestamp();
    let writer = Writer { manager: &ctx.field_manager, now: &now };
    managed_fields::apply(rules, writer, force, live, configuration).map_err(|error| refusal(&error))
}

fn check_type(rules: &Rules<'_>, kind: &str, configuration: &Value) -> Result<(), Status> {
    if meta::api_version(configuration) == rules.api_version && meta::kind(configuration) == kind {
        return Ok(());
    }
    let sent = meta::gvk(configuration).unwrap_or_else(|| GroupVersionKind::new("", "", ""));
    let sent = format!("{}/{}, Kind={}", sent.group, sent.version, sent.kind);
    Err(Status::bad_request(format!("invalid object type: {sent}")))
}

/// Upstream: errors.NewApplyConflict; what is wrong with a configuration has no code of its own there.
fn refusal(error: &managed_fields::apply::Error) -> Status {
    let managed_fields::apply::Error::Conflicts(conflicts) = error else {
        return Status::unknown(500, error.to_string());
    };
    let cause = |conflict: &Conflict| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", conflict.manager),
        field: conflict.path.clone(),
    };
    Status::apply_conflict(conflicts.0.iter().map(cause).collect(), error.to_string())
}

/// Whether two states of an object differ in nothing but the times of their managedFields; `new` then gets the old ones.
/// Upstream: fieldmanager.IgnoreManagedFieldsTimestampsTransformer.
pub(crate) fn is_unchanged(new: &mut Value, old: &Value) -> bool {
    let (Some(new_entries), Some(old_entries)) = (entries(new), entries(old)) else { return new == old };
    if new_entries == old_entries {
        return new == old;
    }
    let of = |entries: &Value| entries.as_array().map(Vec::len);
    let mut pairs = new_entries.as_array().into_iter().flatten().zip(old_entries.as_array().into_iter().flatten());
    if of(new_entries) != of(old_entries) || !pairs.all(|(new, old)| same_but_time(new, old)) {
        return false;
    }
    let (new_entries, old_entries) = (new_entries.clone(), old_entries.clone());
    set_managed_fields(new, Some(old_entries));
    let unchanged = new == old;
    if !unchanged {
        set_managed_fields(new, Some(new_entries));
    }
    unchanged
}

fn entries(object: &Value) -> Option<&Value> {
    meta::metadata(object)?.get("managedFields")
}

fn same_but_time(new: &Value, old: &Value) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return new == old };
    let rest = |entry: &json::Map| entry.len() - usize::from(entry.contains_key("time"));
    rest(new) == rest(old) && new.iter().all(|(key, value)| key == "time" || old.get(key) == Some(value))
}
