//! What one resource means, beyond what the schema says: the trait a `registry/<group>/<resource>.rs` implements.
//!
//! Every method has a default, so a kind without a file works. The engine (`registry::store`) does the generic part around
//! these calls and they need not: metadata validation, names, uid, creationTimestamp, generation, deletionTimestamp,
//! finalizers, preconditions, resourceVersion checks, dry run, managedFields, constant defaults, unknown fields.
//! Objects are in the storage version. No I/O and no clock here: other objects come from `ctx.objects`, time from `ctx.now`.
//!
//! Order of a create: decode -> constant defaults -> `default` -> mutating admission -> constant defaults -> `default` ->
//! generic metadata -> `prepare_for_create` -> `validate` -> `warnings_on_create` -> validating admission ->
//! `allocate_on_create` -> commit. Order of an update: likewise, with `prepare_for_update`, `validate_update` (which should
//! validate the new object too, as upstream's ValidateXUpdate do), `allocate_on_update`.
//! Upstream: rest.RESTCreateStrategy, rest.RESTUpdateStrategy, rest.RESTDeleteStrategy.

use api::field::ErrorList;
use api::names::NameRule;
use api::status::Status;
use json::Value;

use crate::context::RequestContext;

/// Keys committed in one transaction with the object: allocations (ClusterIP, node ports) that must never leak.
#[derive(Debug, Default)]
pub struct Extra {
    /// What must hold. When it does not, the hook is called again on fresh data (bounded).
    pub compare: Vec<store::Compare>,
    /// What is written besides the object.
    pub operations: Vec<store::Operation>,
}

/// The semantics of one resource.
pub trait Strategy: Send + Sync {
    /// How objects may be named; the engine checks it on create. Default: a DNS subdomain.
    fn name_rule(&self) -> NameRule {
        api::names::name_is_dns_subdomain
    }

    /// Defaults that depend on other fields, after the schema's constant ones. Must be idempotent.
    fn default(&self, new: &mut Value) {
        let _ = new;
    }

    /// Is `status` dropped from a created object (when the resource has a status subresource)? Nodes say no.
    fn reset_status_on_create(&self) -> bool {
        true
    }

    /// May anything be created now? Asked before admission is.
    fn may_create(&self, ctx: &RequestContext) -> Result<(), Status> {
        let _ = ctx;
        Ok(())
    }

    /// Normalises a new object: clears what a client may not set, sets what the server decides.
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        let _ = (ctx, new);
    }

    /// Validates a new object (metadata is validated already).
    fn validate(&self, ctx: &RequestContext, new: &Value) -> ErrorList {
        let _ = (ctx, new);
        ErrorList::default()
    }

    /// Warnings sent back with a create.
    fn warnings_on_create(&self, ctx: &RequestContext, new: &Value) -> Vec<String> {
        let _ = (ctx, new);
        Vec::new()
    }

    /// Normalises an update of the main resource. `status` is taken from `old` by the engine already.
    fn prepare_for_update(&self, ctx: &RequestContext, new: &mut Value, old: &Value) {
        let _ = (ctx, new, old);
    }

    /// Validates an update of the main resource, the new object's own rules included.
    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let _ = old;
        self.validate(ctx, new)
    }

    /// Warnings sent back with an update.
    fn warnings_on_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> Vec<String> {
        let _ = old;
        self.warnings_on_create(ctx, new)
    }

    /// Warnings sent back with an update of `status`; other subresources have none.
    fn warnings_on_status_update(&self, new: &Value) -> Vec<String> {
        let _ = new;
        Vec::new()
    }

    /// Normalises an update through a subresource (`status`, `approval`, `finalize`, `ephemeralcontainers`, `resize`...).
    /// Default: everything but `metadata` and `status` is taken from `old`. Override for what the subresource may change.
    /// Where metadata is not its to change either, `list::kept_by_subresources` says so.
    fn prepare_for_subresource_update(&self, ctx: &RequestContext, subresource: &str, new: &mut Value, old: &Value) {
        let _ = (ctx, subresource);
        take_only_status(new, old);
    }

    /// Validates an update of `status`.
    fn validate_status(&self, new: &Value, old: &Value) -> ErrorList {
        let _ = (new, old);
        ErrorList::default()
    }

    /// Validates an update through a subresource. To override where there are others than `status`, or where the user counts.
    fn validate_subresource_update(
        &self,
        ctx: &RequestContext,
        subresource: &str,
        new: &Value,
        old: &Value,
    ) -> ErrorList {
        let _ = (ctx, subresource);
        self.validate_status(new, old)
    }

    /// May PUT create? Upstream: AllowCreateOnUpdate.
    fn allow_create_on_update(&self) -> bool {
        false
    }

    /// Graceful deletion: `Some(seconds)` marks the object deleted and leaves its removal to its keeper (pods: the kubelet);
    /// `Some(0)` and None remove at once. `requested` is gracePeriodSeconds of the request.
    /// Upstream: RESTGracefulDeleteStrategy.CheckGracefulDelete.
    fn grace_period(&self, ctx: &RequestContext, old: &Value, requested: Option<i64>) -> Option<i64> {
        let _ = (ctx, old, requested);
        None
    }

    /// Does a delete without propagationPolicy orphan dependents? Upstream: GarbageCollectionDeleteStrategy.
    fn default_propagation_orphans(&self) -> bool {
        false
    }

    /// What somebody is told who leaves it to that default. Upstream: deleteJobWarning.
    fn orphaning_warning(&self) -> Option<&'static str> {
        None
    }

    /// Refuses a delete. Upstream: BeforeDelete of a few resources.
    fn validate_delete(&self, ctx: &RequestContext, old: &Value) -> Result<(), Status> {
        let _ = (ctx, old);
        Ok(())
    }

    /// Called on the object as a delete marks it (deletionTimestamp is set) because it cannot go at once: namespaces set
    /// their phase here.
    fn prepare_for_deletion(&self, ctx: &RequestContext, new: &mut Value) {
        let _ = (ctx, new);
    }

    /// May the object go now that its `metadata.finalizers` are empty? Namespaces look at `spec.finalizers`.
    fn is_removable(&self, object: &Value) -> bool {
        let _ = object;
        true
    }

    /// Does [`Strategy::allocate_on_create`] reserve anything that others may take at the same time?
    fn allocates(&self) -> bool {
        false
    }

    /// Reserves for a new object: may set fields, returns the keys to write with it. Not called on a dry run's commit, but
    /// called on dry runs: it must only plan.
    fn allocate_on_create(&self, ctx: &RequestContext, new: &mut Value) -> Result<Extra, Status> {
        let _ = (ctx, new);
        Ok(Extra::default())
    }

    /// As [`Strategy::allocate_on_create`], for an update.
    fn allocate_on_update(&self, ctx: &RequestContext, new: &mut Value, old: &Value) -> Result<Extra, Status> {
        let _ = (ctx, new, old);
        Ok(Extra::default())
    }

    /// What goes with the object when it is removed.
    fn release_on_delete(&self, ctx: &RequestContext, old: &Value) -> Extra {
        let _ = (ctx, old);
        Extra::default()
    }
}

/// A resource with nothing of its own to say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Generic;

impl Strategy for Generic {}

/// Makes `new` the old object with new's `metadata` and `status`: what most status subresources do.
pub fn take_only_status(new: &mut Value, old: &Value) {
    let (Some(object), Some(old)) = (new.as_object_mut(), old.as_object()) else { return };
    let mut taken = std::mem::take(object);
    for (key, value) in old {
        match key.as_str() {
            "metadata" => drop(object.insert(key.clone(), taken.remove(key).unwrap_or_default())),
            "status" => {}
            _ => drop(object.insert(key.clone(), value.clone())),
        }
    }
    if let Some(status) = taken.remove("status") {
        object.insert("status", status);
    }
}
