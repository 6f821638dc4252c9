//! statefulset-controller: numbered pods with their own names and volumes, made and replaced in order.
//!
//! Names are fixed, so creating a pod twice fails harmlessly, and deletions name the uid; no expectations are needed.
//! Template versions are kept as controller revisions.
//!
//! Upstream: pkg/controller/statefulset.

mod claims;
mod identity;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use client::{Change, Informer, WorkQueue};
use futures::future::join_all;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use crate::engine::{self, Applier, Context, Controller, Error, Key, Operation, Requeue, Resource, Write, apply};
use crate::{claim, meta, pods, revisions};
use plan::{Outcome, Revisions, Snapshot};

const WORKERS: usize = 5;
/// Hash collisions resolved in one pass.
const COLLISIONS: i32 = 5;

struct State {
    sets: Informer<StatefulSet>,
    pods: Informer<Pod>,
    claims: Informer<PersistentVolumeClaim>,
    revisions: Informer<ControllerRevision>,
    applier: Applier,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        sets: context.informers.of(),
        pods: context.informers.of(),
        claims: context.informers.of(),
        revisions: context.informers.of(),
        applier: context.applier(name),
    });
    state.pods.add_index(pods::BY_CONTROLLER, pods::controller_index);
    state.revisions.add_index(revisions::BY_OWNER, revisions::owner_index);
    let (on_pod, on_revision) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .needs(&state.claims)
        .watch(&state.sets, |change, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.pods, move |change, queue| on_pod.pod_changed(change, queue))
        .watch(&state.revisions, move |change: &Change<ControllerRevision>, queue| {
            let revision = change.object();
            let namespace = meta::namespace(&revision.metadata);
            if let Some(owner) = meta::controller_of(&revision.metadata).filter(|owner| owner.kind == "StatefulSet")
                && on_revision.sets.get(namespace, &owner.name).is_some()
            {
                queue.add(Key::new(namespace, &*owner.name));
            }
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    fn owner_key(&self, pod: &Pod) -> Option<Key> {
        let reference = meta::controller_of(&pod.metadata).filter(|owner| owner.kind == "StatefulSet")?;
        let namespace = meta::namespace(&pod.metadata);
        let set = self.sets.get(namespace, &reference.name)?;
        (set.metadata.uid.as_ref() == Some(&reference.uid)).then(|| Key::new(namespace, &*reference.name))
    }

    fn pod_changed(&self, change: &Change<Pod>, queue: &WorkQueue<Key>) {
        let pod = change.object();
        if let Change::Applied { old: Some(old), .. } = change
            && let Some(previous) = self.owner_key(old)
        {
            queue.add(previous);
        }
        if let Some(key) = self.owner_key(pod) {
            queue.add(key);
        } else if meta::controller_of(&pod.metadata).is_none() && matches!(change, Change::Applied { .. }) {
            for set in self.sets.list_in(meta::namespace(&pod.metadata)) {
                let selector = meta::selector(&set.spec.selector);
                if selector.is_some_and(|selector| !selector.selects_all() && meta::selects(&selector, &pod.metadata)) {
                    queue.add(Key::of(&*set));
                }
            }
        }
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(set) = self.sets.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let Some(selector) = meta::selector(&set.spec.selector).filter(|selector| !selector.selects_all()) else {
            return Ok(Requeue::Done);
        };
        let orphans = pods::orphan_key(&key.namespace);
        let uid = meta::uid(&set.metadata);
        let mut revisions = self.revisions.by_index(revisions::BY_OWNER, uid);
        revisions.extend(self.revisions.by_index(revisions::BY_OWNER, &orphans));
        let claimed = claim::plan(&set.metadata, &selector, revisions, |_| true);
        let mut revisions =
            claim::apply::<ControllerRevision, StatefulSet>(&self.applier, &set.metadata, claimed, &[]).await?;
        revisions::sort(&mut revisions);
        let mut candidates = self.pods.by_index(pods::BY_CONTROLLER, uid);
        candidates.extend(self.pods.by_index(pods::BY_CONTROLLER, &orphans));
        let claimed = claim::plan(&set.metadata, &selector, candidates, |pod| identity::is_member(&set, pod));
        let pods = claim::apply::<Pod, StatefulSet>(&self.applier, &set.metadata, claimed, &[]).await?;

        let known = self.sync_revisions(&set, &revisions).await?;
        let claims: HashMap<String, Arc<PersistentVolumeClaim>> = self
            .claims
            .list_in(&key.namespace)
            .into_iter()
            .map(|claim| (meta::name(&claim.metadata).to_owned(), claim))
            .collect();
        let snapshot = Snapshot { set: set.clone(), pods, claims, revisions: known, now: engine::now() };
        let outcome = plan::plan(&snapshot);
        let failure = self.act(&outcome).await.err();
        if let Some(status) = plan::final_status(&snapshot, outcome.status) {
            let set = StatefulSet { status: Some(status), ..(*set).clone() };
            self.applier.apply(Write::update_status(&set).into()).await?;
        }
        if let Some(error) = failure {
            return Err(error);
        }
        for revision in plan::superfluous(&snapshot, &revisions) {
            self.applier.apply(Write::delete::<ControllerRevision>(&revision.metadata).into()).await?;
        }
        Ok(outcome.requeue_after.map_or(Requeue::Done, Requeue::After))
    }

    /// Makes sure the newest revision is the present template's.
    async fn sync_revisions(&self, set: &StatefulSet, present: &[Arc<ControllerRevision>]) -> Result<Revisions, Error> {
        let mut collision_count = set.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
        let data = revisions::data(&set.spec.template);
        let newest = present.last();
        let equal = present.iter().rfind(|revision| revisions::matches(revision, &data));
        let update = match (equal, newest) {
            (Some(equal), Some(newest)) if equal.metadata.uid == newest.metadata.uid => (**equal).clone(),
            (Some(equal), _) => {
                let revision = ControllerRevision { revision: Some(plan::next_number(present)), ..(**equal).clone() };
                self.applier.write(&Write::update(&revision)).await?;
                revision
            }
            (None, _) => self.create_revision(set, plan::next_number(present), &data, &mut collision_count).await?,
        };
        let wanted = set.status.as_ref().and_then(|status| status.current_revision.as_deref());
        let current = present.iter().find(|revision| Some(meta::name(&revision.metadata)) == wanted);
        let current = current.map_or_else(|| update.clone(), |current| (**current).clone());
        Ok(Revisions { current, update, collision_count })
    }

    async fn create_revision(
        &self,
        set: &StatefulSet,
        number: i64,
        data: &serde_json::Value,
        collision_count: &mut i32,
    ) -> Result<ControllerRevision, Error> {
        let mut last = None;
        for _ in 0..COLLISIONS {
            let revision = plan::new_revision(set, number, data, *collision_count);
            let write = Write::create(&revision);
            match self.applier.write(&write).await {
                Ok(_) => return Ok(revision),
                Err(error) if error.is_already_exists() => {
                    let path = Resource::of::<ControllerRevision>().path(&write.namespace, &write.name, "");
                    let existing: ControllerRevision = apply::get(self.applier.client(), &path).await?;
                    if revisions::matches(&existing, data) {
                        return Ok(existing);
                    }
                    *collision_count += 1;
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or(Error::Stale {
            object: format!("StatefulSet {}", meta::name(&set.metadata)),
            message: "hash collisions".to_owned(),
        }))
    }

    /// Groups run in batches of 1, 2, 4, ...; the writes of one group in order.
    async fn act(&self, outcome: &Outcome) -> Result<(), Error> {
        let mut rest = &outcome.groups[..];
        let mut size = 1;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            for result in join_all(batch.iter().map(|group| self.act_on_group(group))).await {
                result?;
            }
            rest = later;
            size *= 2;
        }
        match outcome.blocked.first() {
            None => Ok(()),
            Some(message) => Err(Error::Stale { object: "StatefulSet".to_owned(), message: message.clone() }),
        }
    }

    async fn act_on_group(&self, group: &[Operation]) -> Result<(), Error> {
        for operation in group {
            self.applier.apply(operation.clone()).await?;
        }
        Ok(())
    }
}
