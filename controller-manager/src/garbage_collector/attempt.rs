//! The workers: look an object and its owners up on the server, decide, delete or patch.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use super::graph::{Dependent, Identity, Owner, Uid, View};
use super::plan::{self, Decision, Live, OwnerState};
use super::{State, Work};
use crate::discovery::{self, Discovered};
use crate::engine::{Action, DeleteOptions, Error, PatchKind, Requeue, Write};
use crate::meta;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const PARALLEL_ORPHANS: usize = 16;

/// Why an object cannot be worked on, beyond a failed request.
enum Stop {
    /// The server does not have it; the graph has been told.
    Absent,
    /// A cluster-scoped object names a namespaced owner: such a reference means nothing.
    NamespacedOwner,
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl State {
    pub(super) async fn reconcile(self: Arc<Self>, work: Work) -> Result<Requeue, Error> {
        match work {
            Work::Delete(uid) => self.attempt_to_delete(&uid).await,
            Work::Orphan(uid) => self.attempt_to_orphan(&uid).await,
        }
    }

    async fn attempt_to_delete(&self, uid: &Uid) -> Result<Requeue, Error> {
        let Some(view) = self.graph().view(uid) else { return Ok(Requeue::Done) };
        match self.look_at(&view).await {
            // Until a watch shows a virtual object, only asking again can tell that it is gone.
            Ok(()) if view.is_virtual => Ok(Requeue::RateLimited),
            Ok(()) | Err(Stop::Absent | Stop::NamespacedOwner) => Ok(Requeue::Done),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    fn resource(&self, api_version: &str, kind: &str) -> Result<Discovered, Error> {
        self.mapper.resource(api_version, kind).ok_or_else(|| Error::Stale {
            object: format!("{api_version}, Kind={kind}"),
            message: "no such kind is known".to_owned(),
        })
    }

    fn absent(&self, identity: &Identity) -> Stop {
        let next = self.graph().virtually_deleted(identity);
        self.follow(next);
        Stop::Absent
    }

    /// The object's metadata, past any cache.
    async fn read(&self, identity: &Identity) -> Result<ObjectMeta, Stop> {
        let found = self.resource(&identity.api_version, &identity.kind)?;
        let namespace = if found.namespaced { &*identity.namespace } else { "" };
        if found.namespaced && namespace.is_empty() {
            return Err(Stop::NamespacedOwner);
        }
        Ok(self.read_metadata(&found, namespace, &identity.name).await?)
    }

    async fn read_metadata(&self, found: &Discovered, namespace: &str, name: &str) -> Result<ObjectMeta, Error> {
        const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
        let path = found.resource.path(namespace, name, "");
        let mut answer: Value = discovery::get(self.applier.client(), &path, METADATA).await?;
        serde_json::from_value(answer["metadata"].take()).map_err(|source| Error::Decode { path, source })
    }

    async fn look_at(&self, view: &View) -> Result<(), Stop> {
        if view.being_deleted && !view.deleting_dependents {
            return Ok(());
        }
        let identity = &view.identity;
        let live = match self.read(identity).await {
            Err(Stop::Failed(error)) if error.is_not_found() => return Err(self.absent(identity)),
            other => other?,
        };
        if live.uid.as_deref() != Some(&*identity.uid) {
            return Err(self.absent(identity));
        }
        if view.deleting_dependents {
            return self.go_on_with_foreground(view).await;
        }
        let owners = live.owner_references.clone().unwrap_or_default();
        let mut states = Vec::new();
        for owner in &owners {
            states.push((Uid::from(owner.uid.as_str()), self.owner_state(owner, identity).await?));
        }
        let finalizers = Live {
            has_orphan_finalizer: meta::has_finalizer(&live, ORPHAN),
            has_foreground_finalizer: meta::has_finalizer(&live, FOREGROUND),
        };
        match plan::decide(view, &states, finalizers) {
            Decision::Keep => Ok(()),
            Decision::RemoveOwners(uids) => Ok(self.remove_owners(identity, &uids).await?),
            Decision::Delete { propagation, unblock } => {
                if unblock {
                    self.unblock(view, &live).await?;
                }
                // Changing the references changed the version; the uid still guards the delete.
                let version = live.resource_version.clone().filter(|_| !unblock);
                match self.delete(identity, version, &owners, propagation).await {
                    Err(error) if error.is_not_found() => Err(self.absent(identity)),
                    other => Ok(other?),
                }
            }
        }
    }

    async fn owner_state(&self, owner: &OwnerReference, item: &Identity) -> Result<OwnerState, Stop> {
        let reference = Owner {
            uid: owner.uid.as_str().into(),
            api_version: owner.api_version.as_str().into(),
            kind: owner.kind.as_str().into(),
            name: owner.name.as_str().into(),
            blocks: false,
        };
        let cluster: Arc<str> = "".into();
        let (anywhere, here) = (reference.identity(&cluster), reference.identity(&item.namespace));
        {
            let graph = self.graph();
            if graph.is_known_absent(&anywhere) || graph.is_known_absent(&here) {
                return Ok(OwnerState::Dangling);
            }
        }
        let found = self.resource(&owner.api_version, &owner.kind)?;
        if found.namespaced && item.namespace.is_empty() {
            return Err(Stop::NamespacedOwner);
        }
        let looked_for = if found.namespaced { here } else { anywhere };
        match self.read_metadata(&found, &looked_for.namespace, &owner.name).await {
            Ok(metadata) if metadata.uid.as_ref() == Some(&owner.uid) => {
                let waiting = meta::is_deleting(&metadata) && meta::has_finalizer(&metadata, FOREGROUND);
                Ok(if waiting { OwnerState::Waiting } else { OwnerState::Solid })
            }
            Ok(_) => {
                self.graph().add_absent(looked_for);
                Ok(OwnerState::Dangling)
            }
            Err(error) if error.is_not_found() => {
                self.graph().add_absent(looked_for);
                Ok(OwnerState::Dangling)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn go_on_with_foreground(&self, view: &View) -> Result<(), Stop> {
        let blocking: Vec<&Dependent> = view.dependents.iter().filter(|dependent| dependent.blocks).collect();
        if blocking.is_empty() {
            return Ok(self.remove_finalizer(&view.identity, FOREGROUND).await?);
        }
        for dependent in blocking.iter().filter(|dependent| !dependent.deleting_dependents) {
            self.queue.add(Work::Delete(dependent.identity.uid.clone()));
        }
        Ok(())
    }

    async fn attempt_to_orphan(&self, uid: &Uid) -> Result<Requeue, Error> {
        let Some(view) = self.graph().view(uid) else { return Ok(Requeue::Done) };
        let owner = std::slice::from_ref(&view.identity.uid);
        let patches: Vec<_> =
            view.dependents.iter().map(|dependent| self.remove_owners(&dependent.identity, owner)).collect();
        let mut results = stream::iter(patches).buffer_unordered(PARALLEL_ORPHANS);
        let mut failure = None;
        while let Some(result) = results.next().await {
            match result {
                Err(error) if !error.is_not_found() => failure = Some(error),
                _ => {}
            }
        }
        if let Some(error) = failure {
            return Err(error);
        }
        self.remove_finalizer(&view.identity, ORPHAN).await?;
        Ok(Requeue::Done)
    }

    fn write(&self, identity: &Identity, action: Action) -> Result<Write, Error> {
        let found = self.resource(&identity.api_version, &identity.kind)?;
        Ok(Write {
            namespace: if found.namespaced { identity.namespace.to_string() } else { String::new() },
            name: identity.name.to_string(),
            resource: found.resource,
            subresource: "",
            action,
            announce: crate::engine::operation::Announce::default(),
        })
    }

    /// A strategic merge patch, or what `merge` makes of the live object where that is not supported (custom resources).
    async fn patch(
        &self,
        identity: &Identity,
        strategic: Value,
        merge: impl FnOnce(&ObjectMeta) -> Value,
    ) -> Result<(), Error> {
        let write = self.write(identity, Action::Patch { kind: PatchKind::Strategic, body: strategic })?;
        match self.applier.write(&write).await {
            Err(error) if error.is_unsupported_media_type() => {}
            other => return other.map(drop),
        }
        let live = match self.read(identity).await {
            Ok(live) => live,
            Err(Stop::Failed(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let write = self.write(identity, Action::Patch { kind: PatchKind::Merge, body: merge(&live) })?;
        self.applier.write(&write).await.map(drop)
    }

    async fn remove_owners(&self, identity: &Identity, owners: &[Uid]) -> Result<(), Error> {
        let deletions: Vec<Value> = owners.iter().map(|uid| json!({"$patch": "delete", "uid": &**uid})).collect();
        let strategic = json!({"metadata": {"uid": &*identity.uid, "ownerReferences": deletions}});
        self.patch(identity, strategic, |live| {
            let kept: Vec<&OwnerReference> = live
                .owner_references
                .iter()
                .flatten()
                .filter(|owner| owners.iter().all(|uid| **uid != *owner.uid))
                .collect();
            json!({"metadata": {"resourceVersion": live.resource_version, "ownerReferences": kept}})
        })
        .await
    }

    async fn unblock(&self, view: &View, live: &ObjectMeta) -> Result<(), Error> {
        let unblocked = |owner: &OwnerReference| OwnerReference { block_owner_deletion: Some(false), ..owner.clone() };
        let blocking = live.owner_references.iter().flatten().filter(|owner| owner.block_owner_deletion == Some(true));
        let references: Vec<OwnerReference> = blocking.map(unblocked).collect();
        let strategic = json!({"metadata": {"uid": &*view.identity.uid, "ownerReferences": references}});
        self.patch(&view.identity, strategic, |live| {
            let all: Vec<OwnerReference> = live.owner_references.iter().flatten().map(unblocked).collect();
            json!({"metadata": {"resourceVersion": live.resource_version, "ownerReferences": all}})
        })
        .await
    }

    async fn delete(
        &self,
        identity: &Identity,
        version: Option<String>,
        owners: &[OwnerReference],
        propagation: &'static str,
    ) -> Result<(), Error> {
        let options = DeleteOptions {
            uid: Some(identity.uid.to_string()),
            resource_version: version.clone(),
            propagation: Some(propagation),
            grace_period_seconds: None,
        };
        let write = self.write(identity, Action::Delete { options: options.clone() })?;
        match self.applier.write(&write).await {
            Err(error) if error.is_conflict() && version.is_some() => {
                let live = match self.read(identity).await {
                    Ok(live) => live,
                    Err(Stop::Failed(failure)) => return Err(failure),
                    Err(_) => return Err(error),
                };
                let same = live.uid.as_deref() == Some(&*identity.uid)
                    && live.resource_version != version
                    && live.owner_references.as_deref().unwrap_or_default() == owners;
                if !same {
                    return Err(error);
                }
                // Something else changed; quick changes that do not concern us must not keep us from deleting.
                let options = DeleteOptions { resource_version: None, ..options };
                let write = self.write(identity, Action::Delete { options })?;
                self.applier.write(&write).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    async fn remove_finalizer(&self, identity: &Identity, finalizer: &str) -> Result<(), Error> {
        const ATTEMPTS: usize = 5;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let live = match self.read(identity).await {
                Ok(live) => live,
                Err(Stop::Failed(error)) if error.is_not_found() => return Ok(()),
                Err(Stop::Failed(error)) => return Err(error),
                Err(_) => return Ok(()),
            };
            if live.uid.as_deref() != Some(&*identity.uid) || !meta::has_finalizer(&live, finalizer) {
                return Ok(());
            }
            let kept: Vec<&String> = live.finalizers.iter().flatten().filter(|one| *one != finalizer).collect();
            let body = json!({"metadata": {"resourceVersion": live.resource_version, "finalizers": kept}});
            let write = self.write(identity, Action::Patch { kind: PatchKind::Merge, body })?;
            match self.applier.write(&write).await {
                Err(error) if error.is_conflict() => last = Some(error),
                Err(error) if error.is_not_found() => return Ok(()),
                other => return other.map(drop),
            }
        }
        last.map_or(Ok(()), Err)
    }
}
