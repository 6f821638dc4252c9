//! POST of a new object.
//! Upstream: registry.Store.create, rest.BeforeCreate.

use api::meta;
use api::status::Status;
use json::Value;
use store::{Entry, ErrorKind, Txn};

use super::{ATTEMPTS, Asked, Engine, Ownership, Served, decode, invalid, storage_error};
use crate::admission::{Attributes, Operation};
use crate::context::RequestContext;
use crate::endpoints::options::WriteOptions;
use crate::registry::resource::Resource;
use crate::registry::{managed_fields, metadata, name};

impl Engine {
    /// Creates `object`, decoded from the request in the served version.
    pub async fn create(
        &self,
        resource: &Resource,
        ctx: &mut RequestContext,
        mut object: Value,
        options: &WriteOptions,
        ownership: Ownership,
    ) -> Result<Served, Status> {
        metadata::wipe_system_fields(&mut object);
        let namespace = if resource.info.namespaced { ctx.target.namespace.as_str() } else { "" };
        metadata::ensure_namespace(&mut object, namespace)?;
        ctx.target.name = meta::name(&object).to_string();
        warn_of_duplicate_owners(ctx, &mut object);
        Engine::to_storage(resource, &mut object);
        Engine::apply_defaults(resource, &mut object);
        if ownership == Ownership::Tracked {
            managed_fields::track(&self.resources, resource, ctx, None, &mut object).await;
        }
        resource.strategy.may_create(ctx)?;
        let options = options.to_value();
        // Who changes an object in admission leaves nothing to be filled in.
        self.admission.admit(creation(ctx, resource, &options), &mut object).await?;
        metadata::fill_system_fields(&mut object, ctx);
        if !meta::name(&object).is_empty() || meta::generate_name(&object).is_empty() {
            return self.create_named(resource, ctx, object, &options).await;
        }
        for _ in 0..name::ATTEMPTS {
            let mut named = object.clone();
            ctx.target.name = name::generate(meta::generate_name(&object));
            meta::set_name(&mut named, &ctx.target.name);
            match self.create_named(resource, ctx, named, &options).await {
                Err(status) if status.is_already_exists() => {}
                result => return result,
            }
        }
        Err(Status::generate_name_conflict(&resource.group_resource(), &ctx.target.name, 1))
    }

    /// The second half of a create, once the name is known.
    async fn create_named(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        mut object: Value,
        options: &Value,
    ) -> Result<Served, Status> {
        self.prepare_new(resource, ctx, &mut object).await?;
        self.admission.validate(creation(ctx, resource, options), &object).await?;
        // Upstream's storage finds it, the last one to look.
        if !meta::resource_version(&object).is_empty() {
            return Err(Status::unknown(500, "resourceVersion should not be set on objects to be created"));
        }
        self.commit_new(resource, ctx, object).await
    }

    /// Everything between admission's two halves.
    pub(super) async fn prepare_new(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        object: &mut Value,
    ) -> Result<(), Status> {
        let strategy = &resource.strategy;
        if resource.has_status()
            && strategy.reset_status_on_create()
            && let Some(fields) = object.as_object_mut()
        {
            // What Go writes for a status nobody set.
            match resource.storage_schema().and_then(|schema| api::decode::unset(schema, "status")) {
                Some(unset) => fields.insert("status", unset),
                None => fields.shift_remove("status"),
            };
        }
        if resource.rules.counts_generation {
            meta::set_generation(object, 1);
        }
        strategy.prepare_for_create(ctx, object);
        let mut errors = metadata::validate(object, resource.info.namespaced, strategy.name_rule());
        if resource.is_core() {
            errors.extend(metadata::validate_finalizer_names(object));
        }
        errors.extend(ctx.settled(|| strategy.validate(ctx, object)).await);
        let errors = if resource.is_core() { metadata::without_repeats(errors) } else { errors };
        if !errors.is_empty() {
            return Err(invalid(resource, object, &errors));
        }
        for warning in strategy.warnings_on_create(ctx, object) {
            ctx.warn(warning);
        }
        Ok(())
    }

    /// Writes a prepared object, with what it allocates.
    pub(super) async fn commit_new(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        mut object: Value,
    ) -> Result<Served, Status> {
        let name = meta::name(&object).to_string();
        let key = resource.key(meta::namespace(&object), &name);
        let before_allocation = resource.strategy.allocates().then(|| object.clone());
        for _ in 0..ATTEMPTS {
            let extra = resource.strategy.allocate_on_create(ctx, &mut object)?;
            if ctx.dry_run {
                if let Some(entry) = self.store.snapshot().get(&key) {
                    return Err(already_exists(resource, &name, Some(&entry)));
                }
                return self.as_if_written(resource, object).await;
            }
            let draft = self.drafted(self.written(resource, &object).await?.as_ref());
            let mut txn = Txn::create(key.as_str(), draft, Engine::expires(resource, ctx));
            txn.compare.extend(extra.compare);
            txn.operations.extend(extra.operations);
            match self.commit(Asked::Create, resource, txn).await {
                Ok(committed) => {
                    let entry = committed.entries.into_iter().next();
                    let entry =
                        entry.ok_or_else(|| Status::internal_error(&"the store answered a write without an entry"))?;
                    return self.outcome(resource, object, Some(entry)).await;
                }
                // Somebody else took what was to be allocated: choose again.
                Err(error) if error.is_compare_failed() && error.key.as_deref() != Some(key.as_str()) => {
                    if let Some(before) = &before_allocation {
                        object.clone_from(before);
                    }
                }
                Err(error) if error.kind == ErrorKind::KeyExists => {
                    let snapshot = self.consistent(resource).await?;
                    return Err(already_exists(resource, &name, snapshot.get(&key).as_deref()));
                }
                Err(error) => return Err(storage_error(resource, &name, "create", &error)),
            }
        }
        Err(Status::server_timeout(&resource.group_resource(), "create", 1))
    }
}

fn creation<'a>(ctx: &'a RequestContext, resource: &'a Resource, options: &'a Value) -> Attributes<'a> {
    Attributes { ctx, operation: Operation::Create, kind: &resource.info.kind, options, old: None }
}

/// The 409 of a name that is taken; who waits for it to become free is told that it will.
fn already_exists(resource: &Resource, name: &str, present: Option<&Entry>) -> Status {
    let mut status = Status::already_exists(&resource.group_resource(), name);
    if present.and_then(|entry| decode(entry).ok()).is_some_and(|object| meta::is_being_deleted(&object)) {
        status.message = format!("object is being deleted: {}", status.message);
    }
    status
}

/// Drops repeated owners and says so.
pub(super) fn warn_of_duplicate_owners(ctx: &RequestContext, object: &mut Value) {
    let duplicates = metadata::deduplicate_owners(object);
    if !duplicates.is_empty() {
        ctx.warn(format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may \
             reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            duplicates.join(", ")
        ));
    }
}
