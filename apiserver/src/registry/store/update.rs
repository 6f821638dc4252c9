//! PUT and PATCH, of objects and of their subresources.
//! Upstream: registry.Store.Update, rest.BeforeUpdate, storage.GuaranteedUpdate.

use std::sync::Arc;

use api::field::{Error as FieldError, ErrorList, Path};
use api::meta::{self, GroupKind};
use api::status::Status;
use json::Value;
use store::{Entry, Txn};

use super::create::warn_of_duplicate_owners;
use super::{
    ATTEMPTS, Asked, Engine, MODIFIED, Ownership, Served, Written, content_differs, decode, forget, invalid,
    parse_revision, resource_version, storage_error,
};
use crate::admission::{Attributes, Operation};
use crate::context::RequestContext;
use crate::endpoints::options::WriteOptions;
use crate::registry::resource::Resource;
use crate::registry::{managed_fields, metadata};

/// Which rules an update follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode<'a> {
    /// The object itself: status is kept.
    Main,
    /// A subresource that shows the whole object.
    Subresource(&'a str),
    /// A change the server itself makes (binding): no strategy, no validation.
    Direct,
}

/// The object that an update finds.
#[derive(Debug, Clone, Copy)]
pub struct Present<'a> {
    resource: &'a Resource,
    stored: Option<&'a Value>,
    conversions: &'a managed_fields::Conversions,
}

impl<'a> Present<'a> {
    /// What webhooks say of it in other versions.
    pub(crate) fn conversions(&self) -> &'a managed_fields::Conversions {
        self.conversions
    }

    /// Is there none? Then the update makes one.
    pub fn is_absent(&self) -> bool {
        self.stored.is_none()
    }

    /// A copy in the served version; null when there is none.
    pub fn served(&self) -> Value {
        let mut object = self.stored.cloned().unwrap_or_default();
        if self.stored.is_some() {
            Engine::from_storage(self.resource, &mut object);
        }
        object
    }
}

/// What makes the new object, in the served version, of the present one. Called again when others wrote in between.
pub type Change<'a> = &'a mut (dyn FnMut(&RequestContext, Present<'_>) -> Result<Value, Status> + Send + Sync);

/// Another view of an object, in which admission sees it: the scale of one. Upstream: scaleUpdatedObjectInfo.
#[derive(Clone, Copy)]
pub struct Shown<'a> {
    /// Its kind.
    pub kind: &'a str,
    /// The view of an object.
    pub of: &'a (dyn Fn(&Value) -> Value + Sync),
    /// Puts what admission made of a view into its object.
    pub put: &'a (dyn Fn(&Value, &mut Value) -> Result<(), Status> + Sync),
}

impl std::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// One update.
pub struct Update<'a> {
    /// Of which resource.
    pub resource: &'a Resource,
    /// Under which rules.
    pub mode: Mode<'a>,
    /// Options of the request.
    pub options: &'a WriteOptions,
    /// Makes the new object.
    pub change: Change<'a>,
    /// What admission sees in place of the object; the object itself if it says nothing.
    pub shown: Option<Shown<'a>>,
    /// Who says whose the fields are.
    pub ownership: Ownership,
    /// May the object be created when it is not there? Asked for the permission to.
    pub authorize_create: &'a (dyn Fn(&RequestContext) -> Result<(), Status> + Sync),
}

impl<'a> Update<'a> {
    /// A change the server itself makes to an object that is there.
    pub fn direct(resource: &'a Resource, options: &'a WriteOptions, change: Change<'a>) -> Update<'a> {
        let authorize_create = &|_: &RequestContext| Ok(());
        let ownership = Ownership::Kept;
        Update { resource, mode: Mode::Direct, options, change, shown: None, ownership, authorize_create }
    }

    /// The new object. A change that misses what a webhook says is made again with it.
    async fn changed(&mut self, ctx: &RequestContext, stored: Option<&Value>) -> Result<Value, Status> {
        let resource = self.resource;
        let conversions = managed_fields::Conversions::default();
        loop {
            let changed = (self.change)(ctx, Present { resource, stored, conversions: &conversions });
            if !conversions.ask(resource, ctx).await {
                return changed;
            }
        }
    }
}

impl std::fmt::Debug for Update<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Update").field("resource", self.resource).field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What one look at the present object led to.
enum Step {
    Done(Written),
    Retry,
}

impl Engine {
    /// Updates the object named in `ctx.target`.
    pub async fn update(&self, ctx: &mut RequestContext, mut update: Update<'_>) -> Result<Written, Status> {
        let resource = update.resource;
        let key = resource.key(&ctx.target.namespace, &ctx.target.name);
        // The view may lag behind a log shared with others: a refusal counts only on a consistent look.
        let mut fresh = false;
        for _ in 0..ATTEMPTS {
            let snapshot = if fresh { self.consistent(resource).await? } else { self.store.snapshot() };
            let step = match snapshot.get(&key) {
                Some(entry) => self.update_once(ctx, &mut update, &entry).await,
                None if fresh => return self.create_on_update(ctx, update).await,
                None => Ok(Step::Retry),
            };
            match step {
                Ok(Step::Done(written)) => return Ok(written),
                Err(status) if fresh => return Err(status),
                Ok(Step::Retry) | Err(_) => fresh = true,
            }
        }
        Err(Status::conflict(&resource.group_resource(), &ctx.target.name, &MODIFIED))
    }

    async fn update_once(
        &self,
        ctx: &RequestContext,
        update: &mut Update<'_>,
        entry: &Arc<Entry>,
    ) -> Result<Step, Status> {
        let resource = update.resource;
        let old = self.read(resource, entry).await?;
        let mut new = update.changed(ctx, Some(&old)).await?;
        check_versions(resource, ctx, &mut new, &old, update.options)?;
        metadata::ensure_namespace(&mut new, meta::namespace(&old))?;
        Engine::to_storage(resource, &mut new);
        if update.mode != Mode::Direct {
            self.admit_and_validate(ctx, update, &mut new, &old).await?;
        }
        let removed = meta::is_being_deleted(&old)
            && meta::finalizers(&new).next().is_none()
            && meta::deletion_grace_period_seconds(&old).unwrap_or(0) == 0
            && resource.strategy.is_removable(&new);
        if removed {
            return self.remove_on_update(ctx, resource, entry, new).await;
        }
        let unchanged = managed_fields::is_unchanged(&mut new, &old);
        let converted = self.converted(resource, &new).await?;
        if is_stored(resource, entry, unchanged, &new, converted.as_ref())? {
            return Ok(Step::Done(Written { served: self.served(resource, entry.clone()).await?, created: false }));
        }
        let extra = resource.strategy.allocate_on_update(ctx, &mut new, &old)?;
        if ctx.dry_run {
            let served = self.as_if_written(resource, new).await?;
            return Ok(Step::Done(Written { served, created: false }));
        }
        let expires = Engine::expires(resource, ctx);
        let draft = self.drafted(converted.as_ref().unwrap_or(&new));
        let mut txn = Txn::update(entry.key.clone(), draft, entry.mod_revision, expires);
        txn.compare.extend(extra.compare);
        txn.operations.extend(extra.operations);
        match self.commit(Asked::Update, resource, txn).await {
            Ok(committed) => {
                forget(entry);
                let served = self.outcome(resource, new, committed.entries.into_iter().next()).await?;
                Ok(Step::Done(Written { served, created: false }))
            }
            Err(error) if error.is_compare_failed() => Ok(Step::Retry),
            Err(error) => Err(storage_error(resource, &ctx.target.name, "update", &error)),
        }
    }

    /// Admission, defaults, strategy and validation around one another in upstream's order.
    async fn admit_and_validate(
        &self,
        ctx: &RequestContext,
        update: &Update<'_>,
        new: &mut Value,
        old: &Value,
    ) -> Result<(), Status> {
        let (resource, strategy) = (update.resource, &update.resource.strategy);
        Engine::apply_defaults(resource, new);
        if update.ownership == Ownership::Tracked {
            managed_fields::track(&self.resources, resource, ctx, Some(old), new).await;
        }
        let options = update.options.to_value();
        let shown_old = update.shown.map(|shown| (shown.of)(old));
        let attributes = Attributes {
            ctx,
            operation: Operation::Update,
            kind: update.shown.map_or(&resource.info.kind, |shown| shown.kind),
            options: &options,
            old: Some(shown_old.as_ref().unwrap_or(old)),
        };
        match update.shown {
            None => self.admission.admit(attributes, new).await?,
            Some(shown) => {
                let mut view = (shown.of)(new);
                self.admission.admit(attributes, &mut view).await?;
                (shown.put)(&view, new)?;
            }
        }
        warn_of_duplicate_owners(ctx, new);
        let generation = meta::generation(old);
        if generation != 0 || meta::generation(new) != 0 {
            meta::set_generation(new, generation);
        }
        match update.mode {
            Mode::Subresource(subresource) => {
                metadata::keep_fields(new, old, resource.rules.kept_by_subresources);
                strategy.prepare_for_subresource_update(ctx, subresource, new, old);
            }
            _ => {
                if resource.has_status() {
                    keep_status(new, old);
                }
                strategy.prepare_for_update(ctx, new, old);
            }
        }
        // Where the status of a custom resource has no endpoint of its own it is a field like any other.
        let uncounted: &[&str] = match update.mode {
            Mode::Main if resource.is_custom() => &["metadata"],
            _ => &["metadata", "status"],
        };
        if resource.rules.counts_generation
            && meta::generation(new) == generation
            && (content_differs(new, old, uncounted) || (resource.rules.counts_emptied && ctx.was_emptied()))
        {
            meta::set_generation(new, generation + 1);
        }
        metadata::keep_system_fields(new, old);
        let mut errors = metadata::validate_update(new, old, resource.info.namespaced, resource.is_core());
        let validating = ctx.settled(|| match update.mode {
            Mode::Subresource(subresource) => strategy.validate_subresource_update(ctx, subresource, new, old),
            _ => strategy.validate_update(ctx, new, old),
        });
        errors.extend(validating.await);
        let errors = if resource.is_core() { metadata::without_repeats(errors) } else { errors };
        if !errors.is_empty() {
            return Err(invalid(resource, new, &errors));
        }
        let warnings = match update.mode {
            Mode::Main => strategy.warnings_on_update(ctx, new, old),
            Mode::Subresource("status") => strategy.warnings_on_status_update(new),
            Mode::Subresource(_) | Mode::Direct => Vec::new(),
        };
        warnings.into_iter().for_each(|warning| ctx.warn(warning));
        match update.shown {
            None => self.admission.validate(attributes, new).await,
            Some(shown) => self.admission.validate(attributes, &(shown.of)(new)).await,
        }
    }

    /// The last finalizer of a deleted object is gone: so goes the object.
    async fn remove_on_update(
        &self,
        ctx: &RequestContext,
        resource: &Resource,
        entry: &Arc<Entry>,
        new: Value,
    ) -> Result<Step, Status> {
        if !ctx.dry_run {
            let extra = resource.strategy.release_on_delete(ctx, &new);
            let mut txn = Txn::delete(entry.key.clone(), entry.mod_revision);
            txn.compare.extend(extra.compare);
            txn.operations.extend(extra.operations);
            match self.commit(Asked::Delete, resource, txn).await {
                Ok(_) => {}
                Err(error) if error.is_compare_failed() => return Ok(Step::Retry),
                Err(error) => return Err(storage_error(resource, &ctx.target.name, "delete", &error)),
            }
        }
        Ok(Step::Done(Written { served: Served::Object(new), created: false }))
    }

    /// PUT of an object that is not there.
    async fn create_on_update(&self, ctx: &mut RequestContext, mut update: Update<'_>) -> Result<Written, Status> {
        let resource = update.resource;
        let may_create = resource.strategy.allow_create_on_update() || update.ownership == Ownership::Applied;
        if !may_create || update.mode != Mode::Main {
            return Err(Status::not_found(&resource.group_resource(), &ctx.target.name));
        }
        let mut object = update.changed(ctx, None).await?;
        let uid = meta::uid(&object);
        if !uid.is_empty() {
            let why = if update.ownership == Ownership::Applied {
                format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found")
            } else {
                other_uid(&resource.key(&ctx.target.namespace, &ctx.target.name), uid, "")
            };
            return Err(Status::conflict(&resource.group_resource(), &ctx.target.name, &why));
        }
        ctx.settled(|| (update.authorize_create)(ctx)).await?;
        // Also one that was to be that of a present object: upstream does not look at it here.
        if let Some(metadata) = meta::metadata_mut(&mut object) {
            metadata.shift_remove("resourceVersion");
        }
        let options = WriteOptions { kind: "CreateOptions", ..update.options.clone() };
        let served = Box::pin(self.create(resource, ctx, object, &options, update.ownership)).await?;
        Ok(Written { served, created: true })
    }
}

/// Is the entry what would be stored? Custom resources of before a change of their definition are not, although nothing was
/// changed: such a write brings them to the storage version and its defaults. What a conversion takes out is no change.
fn is_stored(
    resource: &Resource,
    entry: &Entry,
    unchanged: bool,
    new: &Value,
    converted: Option<&Value>,
) -> Result<bool, Status> {
    if resource.rules.completed_by_update && entry.version == 1 {
        return Ok(false);
    }
    if !resource.is_custom() || !(unchanged || converted.is_some()) {
        return Ok(unchanged);
    }
    Ok(*converted.unwrap_or(new) == decode(entry)?)
}

/// The uid and resourceVersion a client sent must be those of the object; absent ones are filled in.
fn check_versions(
    resource: &Resource,
    ctx: &RequestContext,
    new: &mut Value,
    old: &Value,
    options: &WriteOptions,
) -> Result<(), Status> {
    let name = &ctx.target.name;
    let (uid, old_uid) = (meta::uid(new), meta::uid(old));
    // What a patch makes of the uid is found by validation: it is not the client's precondition.
    if !uid.is_empty() && uid != old_uid && options.kind != "PatchOptions" {
        let why = other_uid(&resource.key(meta::namespace(old), name), uid, old_uid);
        return Err(Status::conflict(&resource.group_resource(), name, &why));
    }
    match resource_version(new).filter(|version| *version != "0") {
        Some(version) if version != meta::resource_version(old) => {
            parse_revision(version).map_err(|why| Status::unknown(500, why))?;
            Err(Status::conflict(&resource.group_resource(), name, &MODIFIED))
        }
        Some(_) => Ok(()),
        None if !resource.rules.updates_are_conditional => {
            let version = meta::resource_version(old).to_string();
            meta::set_resource_version(new, &version);
            Ok(())
        }
        None => {
            let mut errors = ErrorList::new();
            let path = Path::new("metadata").child("resourceVersion");
            errors.push(FieldError::invalid(&path, 0, "must be specified for an update"));
            let kind = GroupKind::new(resource.info.group.as_ref(), resource.info.plural.as_ref());
            Err(Status::invalid(&kind, name, &errors))
        }
    }
}

/// Upstream's words for a precondition that failed.
fn other_uid(key: &str, asked: &str, found: &str) -> String {
    format!(
        "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {asked}, UID in object meta: {found}"
    )
}

fn keep_status(new: &mut Value, old: &Value) {
    let Some(fields) = new.as_object_mut() else { return };
    match old.get("status") {
        Some(status) => fields.insert("status", status.clone()),
        None => fields.shift_remove("status"),
    };
}
