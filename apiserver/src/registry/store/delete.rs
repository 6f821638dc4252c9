//! DELETE: in one step, or in two with finalizers and grace.
//!
//! [`plan`] decides on values alone; [`Engine::delete`] carries it out.
//! Upstream: registry.Store.Delete, rest.BeforeDelete.

use std::sync::Arc;

use api::meta;
use api::status::Status;
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use json::Value;
use store::{Entry, Snapshot, Txn};

use super::{ATTEMPTS, Asked, Engine, MODIFIED, Served, forget, storage_error};
use crate::admission::{Attributes, Operation};
use crate::context::RequestContext;
use crate::endpoints::options::{DeleteOptions, Propagation};
use crate::registry::metadata;
use crate::registry::resource::Resource;
use crate::registry::selection::{Selection, split_key};

/// How many objects of a collection are deleted at a time. Upstream: DeleteCollectionWorkers.
const COLLECTION_WORKERS: usize = 16;

/// What a delete did.
#[derive(Debug)]
pub struct Deleted {
    /// The object as it is now, or was last.
    pub served: Served,
    /// Is it gone? Otherwise it is marked, and finalizers or the kubelet have the word.
    pub gone: bool,
}

/// What is to be done about an object that shall be deleted.
#[derive(Debug, PartialEq)]
enum Plan {
    /// It is being deleted already, and this request changes nothing.
    Pending,
    /// Write the marked object; it goes later.
    Mark(Value),
    /// It goes now.
    Remove,
    /// Write the object with its grace of no seconds, then it goes: watchers see both.
    MarkAndRemove(Value),
}

/// What became of a write.
enum Outcome {
    /// It was made, and the store has this; nothing on a dry run.
    Made(Option<Arc<Entry>>),
    /// Another writer came between.
    Raced,
}

impl Engine {
    /// Deletes the object named in `ctx.target`.
    pub async fn delete(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        options: &DeleteOptions,
    ) -> Result<Deleted, Status> {
        let key = resource.key(&ctx.target.namespace, &ctx.target.name);
        let not_found = || Status::not_found(&resource.group_resource(), &ctx.target.name);
        let mut fresh = false;
        for _ in 0..ATTEMPTS {
            let snapshot = if fresh { self.consistent(resource).await? } else { self.store.snapshot() };
            let Some(entry) = snapshot.get(&key) else {
                if fresh {
                    return Err(not_found());
                }
                fresh = true;
                continue;
            };
            match self.delete_once(resource, ctx, options, &entry).await {
                Ok(Some(deleted)) => return Ok(deleted),
                Err(status) if fresh || !status.is_conflict() => return Err(status),
                Ok(None) | Err(_) => fresh = true,
            }
        }
        Err(Status::conflict(&resource.group_resource(), &ctx.target.name, &MODIFIED))
    }

    /// None when another writer came between.
    async fn delete_once(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        options: &DeleteOptions,
        entry: &Arc<Entry>,
    ) -> Result<Option<Deleted>, Status> {
        let old = self.read(resource, entry).await?;
        check_preconditions(resource, &old, options)?;
        resource.strategy.validate_delete(ctx, &old)?;
        if options.orphan_dependents.is_none() && options.propagation.is_none() {
            resource.strategy.orphaning_warning().into_iter().for_each(|warning| ctx.warn(warning));
        }
        let shown = options.to_value();
        let attributes = Attributes {
            ctx,
            operation: Operation::Delete,
            kind: &resource.info.kind,
            options: &shown,
            old: Some(&old),
        };
        let mut nothing = Value::Null;
        self.admission.admit(attributes, &mut nothing).await?;
        self.admission.validate(attributes, &nothing).await?;
        let (written, last, gone) = match plan(resource, ctx, &old, options) {
            Plan::Mark(new) if new != old => (self.mark(resource, ctx, entry, &new).await?, new, false),
            Plan::Mark(_) | Plan::Pending => {
                return Ok(Some(Deleted { served: self.served(resource, entry.clone()).await?, gone: false }));
            }
            Plan::Remove => (self.remove(resource, ctx, entry, &old).await?, old, true),
            Plan::MarkAndRemove(new) => match self.mark(resource, ctx, entry, &new).await? {
                Outcome::Made(Some(marked)) => match self.remove(resource, ctx, &marked, &new).await? {
                    // A marked pod may be removed by others too (pod GC, its kubelet): they did what was asked.
                    Outcome::Raced if self.consistent(resource).await?.get(&entry.key).is_none() => {
                        (Outcome::Made(Some(marked)), new, true)
                    }
                    removed => (removed, new, true),
                },
                not_made => (not_made, new, true),
            },
        };
        Ok(match written {
            Outcome::Raced => None,
            Outcome::Made(entry) => Some(Deleted { served: self.outcome(resource, last, entry).await?, gone }),
        })
    }

    /// Writes an object marked as deleted.
    async fn mark(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        entry: &Arc<Entry>,
        marked: &Value,
    ) -> Result<Outcome, Status> {
        let draft = self.drafted(self.written(resource, marked).await?.as_ref());
        let txn = Txn::update(entry.key.clone(), draft, entry.mod_revision, entry.expires);
        self.commit_deletion(resource, ctx, entry, txn).await
    }

    /// Removes an object with what it holds elsewhere.
    async fn remove(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        entry: &Arc<Entry>,
        last: &Value,
    ) -> Result<Outcome, Status> {
        let extra = resource.strategy.release_on_delete(ctx, last);
        let mut txn = Txn::delete(entry.key.clone(), entry.mod_revision);
        txn.compare.extend(extra.compare);
        txn.operations.extend(extra.operations);
        self.commit_deletion(resource, ctx, entry, txn).await
    }

    async fn commit_deletion(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        entry: &Entry,
        txn: Txn,
    ) -> Result<Outcome, Status> {
        if ctx.dry_run {
            return Ok(Outcome::Made(None));
        }
        match self.commit(Asked::Delete, resource, txn).await {
            Ok(committed) => {
                forget(entry);
                Ok(Outcome::Made(committed.entries.into_iter().next()))
            }
            Err(error) if error.is_compare_failed() => Ok(Outcome::Raced),
            Err(error) => Err(storage_error(resource, &ctx.target.name, "delete", &error)),
        }
    }

    /// It is as good when somebody else was quicker.
    fn delete_one<'a>(
        &'a self,
        resource: &'a Resource,
        ctx: &'a RequestContext,
        options: &'a DeleteOptions,
    ) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(async move {
            match self.delete(resource, ctx, options).await {
                Err(status) if !status.is_not_found() => Err(status),
                _ => Ok(()),
            }
        })
    }

    /// Deletes all selected objects of a snapshot. They are told as they were.
    pub async fn delete_collection(
        &self,
        resource: &Resource,
        ctx: &RequestContext,
        options: &DeleteOptions,
        snapshot: &Snapshot,
        selection: &Selection,
    ) -> Result<Vec<Served>, Status> {
        let prefix = resource.list_prefix(&ctx.target.namespace);
        let listed: Vec<Arc<Entry>> = selection.among(resource, snapshot, &prefix, None).cloned().collect();
        let targets: Vec<RequestContext> = listed
            .iter()
            .map(|entry| {
                let (namespace, name) = split_key(resource, &entry.key);
                ctx.for_object(namespace, name)
            })
            .collect();
        let mut deletions = Vec::with_capacity(targets.len());
        for target in &targets {
            deletions.push(self.delete_one(resource, target, options));
        }
        stream::iter(deletions).buffered(COLLECTION_WORKERS).try_collect::<()>().await?;
        for target in &targets {
            for warning in target.take_warnings() {
                ctx.warn(warning);
            }
        }
        let mut served = Vec::with_capacity(listed.len());
        for entry in listed {
            served.push(self.served(resource, entry).await?);
        }
        Ok(served)
    }
}

/// What the request may not insist on.
pub(crate) fn check_preconditions(resource: &Resource, old: &Value, options: &DeleteOptions) -> Result<(), Status> {
    let conflict = |why: String| Err(Status::conflict(&resource.group_kind_as_resource(), meta::name(old), &why));
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != meta::uid(old)) {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted \
             and then recreated",
            meta::uid(old)
        ));
    }
    if let Some(version) = options.resource_version.as_deref().filter(|version| *version != meta::resource_version(old))
    {
        return conflict(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object \
             might have been modified",
            meta::resource_version(old)
        ));
    }
    Ok(())
}

fn plan(resource: &Resource, ctx: &RequestContext, old: &Value, options: &DeleteOptions) -> Plan {
    let mut new = old.clone();
    let requested = options.grace_period_seconds;
    let grace = match resource.strategy.grace_period(ctx, old, requested) {
        None => Grace::Unsupported,
        Some(_) if meta::is_being_deleted(old) => shorten(&mut new, ctx.now, requested),
        Some(seconds) => {
            mark(&mut new, after(ctx.now, seconds), Some(seconds));
            Grace::Seconds(seconds)
        }
    };
    if grace == Grace::Pending {
        return Plan::Pending;
    }
    let finalizers = finalizers(resource, &new, options);
    let pending = !finalizers.is_empty();
    if meta::finalizers(&new).ne(finalizers.iter().map(String::as_str)) {
        meta::set_finalizers(&mut new, finalizers);
    }
    match grace {
        Grace::Seconds(seconds) if pending || seconds > 0 => {
            resource.strategy.prepare_for_deletion(ctx, &mut new);
            Plan::Mark(new)
        }
        Grace::Seconds(_) => Plan::MarkAndRemove(new),
        _ if pending => {
            let marked = meta::deletion_timestamp(old).and_then(api::meta::time::parse).filter(|at| *at <= ctx.now);
            mark(&mut new, marked.unwrap_or(ctx.now), Some(0));
            resource.strategy.prepare_for_deletion(ctx, &mut new);
            Plan::Mark(new)
        }
        _ if !resource.strategy.is_removable(&new) => {
            if !meta::is_being_deleted(&new) {
                mark(&mut new, ctx.now, None);
            }
            resource.strategy.prepare_for_deletion(ctx, &mut new);
            Plan::Mark(new)
        }
        _ => Plan::Remove,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Grace {
    /// The resource knows no grace, or the grace is over.
    Unsupported,
    /// Marked with this many seconds.
    Seconds(i64),
    /// A grace no longer than the requested one runs already.
    Pending,
}

/// A second delete may only shorten the grace of the first.
fn shorten(new: &mut Value, now: Timestamp, requested: Option<i64>) -> Grace {
    let Some(running) = meta::deletion_grace_period_seconds(new).filter(|seconds| *seconds != 0) else {
        return Grace::Unsupported;
    };
    let Some(requested) = requested.filter(|requested| *requested < running) else { return Grace::Pending };
    let began = meta::deletion_timestamp(new).and_then(api::meta::time::parse).unwrap_or(now);
    let began = after(began, -running);
    let (at, period) = match after(began, requested) {
        at if at >= now => (at, requested),
        _ if requested == 0 => (now, 0),
        _ => (now, 1),
    };
    set_deletion(new, at, Some(period));
    Grace::Seconds(requested)
}

/// Some seconds later, as far as times go.
fn after(time: Timestamp, seconds: i64) -> Timestamp {
    let limit = if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(limit)
}

/// Marks an object deleted; the first mark counts as a new generation.
fn mark(new: &mut Value, at: Timestamp, grace: Option<i64>) {
    let generation = meta::generation(new);
    if !meta::is_being_deleted(new) && generation > 0 {
        meta::set_generation(new, generation + 1);
    }
    set_deletion(new, at, grace);
}

fn set_deletion(new: &mut Value, at: Timestamp, grace: Option<i64>) {
    if let Some(metadata) = meta::metadata_mut(new) {
        metadata.insert("deletionTimestamp", crate::context::format_time(at).into());
        if let Some(seconds) = grace {
            metadata.insert("deletionGracePeriodSeconds", seconds.into());
        }
    }
}

/// The object's finalizers with the garbage collector's two as the request wants them.
/// Upstream: deletionFinalizersForGarbageCollection.
fn finalizers(resource: &Resource, object: &Value, options: &DeleteOptions) -> Vec<String> {
    let present: Vec<String> = meta::finalizers(object).map(str::to_string).collect();
    if !resource.rules.collects_garbage {
        return present;
    }
    let default = || {
        present.iter().find_map(|finalizer| match finalizer.as_str() {
            metadata::ORPHAN => Some(Propagation::Orphan),
            metadata::FOREGROUND => Some(Propagation::Foreground),
            _ => None,
        })
    };
    let by_strategy =
        if resource.strategy.default_propagation_orphans() { Propagation::Orphan } else { Propagation::Background };
    let wanted = match (options.orphan_dependents, options.propagation) {
        (Some(true), _) => Propagation::Orphan,
        (Some(false), _) => Propagation::Background,
        (None, Some(propagation)) => propagation,
        (None, None) => default().unwrap_or(by_strategy),
    };
    let mut finalizers: Vec<String> = present
        .iter()
        .filter(|finalizer| !matches!(finalizer.as_str(), metadata::ORPHAN | metadata::FOREGROUND))
        .cloned()
        .collect();
    match wanted {
        Propagation::Orphan => finalizers.push(metadata::ORPHAN.to_string()),
        Propagation::Foreground => finalizers.push(metadata::FOREGROUND.to_string()),
        Propagation::Background => {}
    }
    // In another order they are the same finalizers: nothing to write.
    if finalizers.len() == present.len() && finalizers.iter().all(|finalizer| present.contains(finalizer)) {
        return present;
    }
    finalizers
}

#[cfg(test)]
mod tests;
