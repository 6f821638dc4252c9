//! The task that follows the definitions in the store.
//!
//! On each change it makes the set of custom resources anew and swaps it in, and only then says that a definition is
//! established: who reads that condition finds the resource served. A definition that goes has a task of its own, which
//! deletes its objects. All of it is idempotent: what a crash cut short is found undone at the next start. Several servers
//! on one store do the same work and find it done.
//! Upstream: apiextensions-apiserver/pkg/{controller,apiserver}.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::managed_fields::set_managed_fields;
use api::meta;
use api::status::Status;
use json::Value;
use store::{Entry, Revision, Snapshot};
use tokio_util::sync::CancellationToken;

use super::custom_resource::CustomResource;
use super::definition::{Definition, is_condition_true};
use super::names::{self, set_condition};
use crate::authentication::{SYSTEM_PRIVILEGED_GROUP, UserInfo};
use crate::context::{RequestContext, Target};
use crate::endpoints::options::{DeleteOptions, ListOptions, WriteOptions};
use crate::registry::resource::Resource;
use crate::registry::selection::Selection;
use crate::registry::store::{Engine, Mode, Ownership, Present, Update};

/// Where definitions are.
const PREFIX: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions/";
/// What a definition holds until its objects are gone.
pub(super) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";
/// How long the objects of a definition have to go before the failure is noted.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two tries of what failed.
const RETRY: Duration = Duration::from_secs(5);

/// Follows the definitions.
#[derive(Debug)]
pub struct Controller {
    engine: Arc<Engine>,
    /// By key; only the task changes them.
    known: BTreeMap<String, Known>,
    /// Definitions whose objects are being deleted now.
    cleaning: Arc<Mutex<HashSet<String>>>,
    shutdown: CancellationToken,
}

/// A definition as it was last looked at. One that was not written since is not read again.
#[derive(Debug)]
struct Known {
    revision: Revision,
    /// The object without what is only for those who read it: schemas and owners.
    object: Value,
    /// None while its names are not accepted.
    definition: Option<Arc<Definition>>,
    /// Its served versions.
    resources: Vec<Arc<Resource>>,
}

impl Known {
    /// Of an entry, `before` being what was known; None if it cannot be decoded.
    fn of(entry: &Arc<Entry>, before: Option<&Known>) -> Option<Known> {
        let mut object = json::from_slice::<Value>(&entry.value).ok()?;
        let before = before.and_then(|before| before.definition.as_deref());
        let definition = Definition::of(entry, &object, before).map(Arc::new);
        let resources = definition.as_ref().map(resources_of).unwrap_or_default();
        set_managed_fields(&mut object, None);
        // Those of before v1 are judged by their schemas.
        if object["spec"]["preserveUnknownFields"] != true {
            let versions = object["spec"]["versions"].as_array_mut().into_iter().flatten();
            versions.filter_map(Value::as_object_mut).for_each(|version| drop(version.shift_remove("schema")));
        }
        Some(Known { revision: entry.mod_revision, object, definition, resources })
    }
}

impl Controller {
    /// A controller that has swapped in what the store holds.
    pub fn new(engine: Arc<Engine>, shutdown: CancellationToken) -> Controller {
        let mut controller = Controller { engine, known: BTreeMap::new(), cleaning: Arc::default(), shutdown };
        let snapshot = controller.engine.store.snapshot();
        controller.serve(&snapshot);
        controller
    }

    /// Runs until shutdown.
    pub async fn run(mut self) {
        loop {
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, "the definitions of custom resources cannot be followed; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// From a snapshot on, until the watch breaks off.
    async fn follow(&mut self) -> Result<(), store::Error> {
        let snapshot = self.engine.store.snapshot();
        let mut watch = self.engine.store.watch(PREFIX, snapshot.revision())?;
        self.reconcile(&snapshot).await;
        loop {
            watch.next().await?;
            while watch.try_next()?.is_some() {}
            let snapshot = self.engine.store.snapshot();
            self.reconcile(&snapshot).await;
        }
    }

    /// Serves what is there, and writes what is to be said of it.
    async fn reconcile(&mut self, snapshot: &Snapshot) {
        self.serve(snapshot);
        let definitions: Vec<&Value> = self.known.values().map(|known| &known.object).collect();
        let now = crate::context::format_time(jiff::Timestamp::now());
        for (index, status) in names::plan_all(&definitions, &now) {
            let definition = definitions[index];
            let seen = meta::resource_version(definition);
            let mut change = |definition: &mut Value| {
                // Planned from this state only; a newer one comes with an event of its own.
                if meta::resource_version(definition) == seen {
                    definition["status"] = status.clone();
                }
            };
            if let Err(status) = update(&self.engine, meta::name(definition), &mut change).await {
                tracing::debug!(definition = meta::name(definition), error = %status.message, "its status was not written");
                // Names behind it were planned as if it had been.
                break;
            }
        }
        for definition in definitions.into_iter().filter(|definition| is_to_be_cleaned(definition)) {
            self.clean(meta::name(definition));
        }
    }

    /// Swaps in the resources of a snapshot's definitions.
    fn serve(&mut self, snapshot: &Snapshot) {
        let mut known = BTreeMap::new();
        for entry in snapshot.range(PREFIX, None) {
            let now = match self.known.remove(entry.key.as_ref() as &str) {
                Some(before) if before.revision == entry.mod_revision => before,
                before => match Known::of(entry, before.as_ref()) {
                    Some(now) => now,
                    None => {
                        tracing::error!(key = %entry.key, "a definition cannot be decoded; its resources are not served");
                        continue;
                    }
                },
            };
            known.insert(entry.key.to_string(), now);
        }
        self.known = known;
        let resources = || self.known.values().flat_map(|known| &known.resources).cloned();
        self.engine.resources.change(|set| set.with_custom(resources()));
    }

    /// Deletes the objects of a definition that goes, in a task of its own, once.
    fn clean(&self, name: &str) {
        let cleaning = Arc::clone(&self.cleaning);
        if !cleaning.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            return;
        }
        let (engine, name) = (Arc::clone(&self.engine), name.to_owned());
        let known = self.known.get(&format!("{PREFIX}{name}"));
        let definition = known.and_then(|known| known.definition.clone());
        component::spawn_until("custom resource cleanup", &self.shutdown, async move {
            while let Err(status) = clean(&engine, &name, definition.as_ref()).await {
                tracing::warn!(definition = name, error = %status.message, "custom resources were not all deleted; trying again");
                tokio::time::sleep(RETRY).await;
            }
            cleaning.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
        });
    }
}

/// The served versions of a definition.
fn resources_of(definition: &Arc<Definition>) -> Vec<Arc<Resource>> {
    let served = definition.versions.iter().enumerate().filter(|(_, version)| version.served);
    served.map(|(index, _)| Arc::new(Resource::custom(CustomResource::new(Arc::clone(definition), index)))).collect()
}

fn is_to_be_cleaned(definition: &Value) -> bool {
    meta::is_being_deleted(definition) && meta::finalizers(definition).any(|finalizer| finalizer == CLEANUP)
}

/// Deletes all objects of a definition and takes its finalizer away. Upstream: CRDFinalizer.sync.
async fn clean(engine: &Arc<Engine>, name: &str, definition: Option<&Arc<Definition>>) -> Result<(), Status> {
    let say = |holds: bool, reason: &'static str, message: String| {
        move |object: &mut Value| {
            let now = crate::context::format_time(jiff::Timestamp::now());
            if !object["status"].is_object() {
                object["status"] = json::json!({});
            }
            set_condition(&mut object["status"], "Terminating", holds, reason, &message, &now);
        }
    };
    let begun = "CustomResource deletion is in progress".to_owned();
    update(engine, name, &mut say(true, "InstanceDeletionInProgress", begun)).await?;
    let established = definition.filter(|_| {
        let object = engine.store.snapshot().get(&format!("{PREFIX}{name}"));
        object
            .and_then(|entry| json::from_slice::<Value>(&entry.value).ok())
            .is_some_and(|object| is_condition_true(&object, "Established"))
    });
    let (reason, message) = match established {
        None => ("NeverEstablished", "resource was never established"),
        Some(definition) => {
            if let Err((reason, message)) = delete_all(engine, definition).await {
                update(engine, name, &mut say(true, reason, message.clone())).await?;
                return Err(Status::internal_error(&message));
            }
            ("InstanceDeletionCompleted", "removed all instances")
        }
    };
    let done = say(false, reason, message.to_owned());
    let mut finish = |object: &mut Value| {
        done(object);
        let others: Vec<String> =
            meta::finalizers(object).filter(|finalizer| *finalizer != CLEANUP).map(str::to_owned).collect();
        meta::set_finalizers(object, others);
    };
    match update(engine, name, &mut finish).await {
        Err(status) if status.is_not_found() => Ok(()),
        other => other,
    }
}

/// Deletes every object and waits until they are gone; the error is reason and message of the condition.
async fn delete_all(engine: &Arc<Engine>, definition: &Arc<Definition>) -> Result<(), (&'static str, String)> {
    let storage = definition.storage_position();
    let resource = Resource::custom(CustomResource::new(Arc::clone(definition), storage));
    let failed =
        |status: &Status| ("InstanceDeletionFailed", format!("could not issue all deletes: {}", status.message));
    let prefix = resource.list_prefix("");
    let snapshot = engine.store.snapshot();
    let mut watch = engine
        .store
        .watch(&prefix, snapshot.revision())
        .map_err(|error| ("InstanceDeletionFailed", format!("could not list instances: {error}")))?;
    let selection = Selection::new(&resource, &ListOptions::default(), "").map_err(|status| failed(&status))?;
    let target = Target {
        group: definition.group.clone(),
        version: definition.storage().name.clone(),
        resource: resource.info.plural.to_string(),
        ..Target::default()
    };
    let ctx = context(engine, target);
    let options = DeleteOptions::default();
    let deleted = engine.delete_collection(&resource, &ctx, &options, &snapshot, &selection).await;
    deleted.map_err(|status| failed(&status))?;
    let gone = async {
        while engine.store.snapshot().range(&prefix, None).next().is_some() {
            watch.next().await?;
        }
        Ok::<(), store::Error>(())
    };
    let unconfirmed =
        |why: String| ("InstanceDeletionCheck", format!("could not confirm zero CustomResources remaining: {why}"));
    match tokio::time::timeout(CLEANUP_TIMEOUT, gone).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(unconfirmed(error.to_string())),
        Err(_) => Err(unconfirmed("timed out waiting for the condition".to_owned())),
    }
}

/// A request of the server's own.
fn context(engine: &Arc<Engine>, target: Target) -> RequestContext {
    let user = UserInfo::new("system:apiserver", &[SYSTEM_PRIVILEGED_GROUP]);
    let objects = Arc::clone(engine);
    let mut ctx = RequestContext::new(user, target, objects);
    ctx.field_manager = "kube-apiserver".to_owned();
    ctx
}

/// Changes a definition through its status endpoint.
async fn update(
    engine: &Arc<Engine>,
    name: &str,
    change: &mut (dyn FnMut(&mut Value) + Send + Sync),
) -> Result<(), Status> {
    let Some(resource) = engine.resources.get("apiextensions.k8s.io", "v1", "customresourcedefinitions") else {
        return Ok(());
    };
    let target = Target {
        group: "apiextensions.k8s.io".to_owned(),
        version: "v1".to_owned(),
        resource: "customresourcedefinitions".to_owned(),
        subresource: "status".to_owned(),
        name: name.to_owned(),
        ..Target::default()
    };
    let mut ctx = context(engine, target);
    let options = WriteOptions { kind: "UpdateOptions", ..WriteOptions::default() };
    let mut change = |_: &RequestContext, present: Present<'_>| {
        let mut object = present.served();
        change(&mut object);
        Ok(object)
    };
    let update = Update {
        resource: &resource,
        mode: Mode::Subresource("status"),
        options: &options,
        change: &mut change,
        shown: None,
        ownership: Ownership::Tracked,
        authorize_create: &|_| Err(Status::not_found(&resource.group_resource(), name)),
    };
    engine.update(&mut ctx, update).await.map(|_| ())
}
