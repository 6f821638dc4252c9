//! deployment-controller: rolls a new pod template out by scaling replica sets.
//!
//! One plan per pass over an unchanging snapshot; every write carries the resourceVersion it was decided on, so a plan
//! made on stale data fails with a conflict and is made again. The name of a new replica set is a function of the
//! template, so creating it twice is harmless.
//!
//! Upstream: pkg/controller/deployment.

mod history;
mod plan;
mod rolling;
mod scale;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::{Change, Informer, WorkQueue};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use crate::engine::{
    self, Action, Applier, Context, Controller, Error, Key, Operation, Requeue, Resource, Write, apply,
};
use crate::{claim, meta, pods};
use plan::Snapshot;

struct State {
    deployments: Informer<Deployment>,
    replica_sets: Informer<ReplicaSet>,
    pods: Informer<Pod>,
    applier: Applier,
}

const BY_NAMESPACE_OWNER: &str = "controller-or-orphan";

fn owner_index(set: &ReplicaSet) -> Vec<String> {
    vec![match meta::controller_of(&set.metadata) {
        Some(owner) => owner.uid.clone(),
        None => pods::orphan_key(meta::namespace(&set.metadata)),
    }]
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        deployments: context.informers.of(),
        replica_sets: context.informers.of(),
        pods: context.informers.of(),
        applier: context.applier(name),
    });
    state.pods.add_index(pods::BY_CONTROLLER, pods::controller_index);
    state.replica_sets.add_index(BY_NAMESPACE_OWNER, owner_index);
    let (on_set, on_pod) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.deployments, |change, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.replica_sets, move |change, queue| on_set.replica_set_changed(change, queue))
        .watch(&state.pods, move |change, queue| {
            if let Change::Deleted(pod) = change {
                on_pod.pod_deleted(pod, queue);
            }
        })
        .run(context.config.concurrent_deployment_syncs, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    fn owner_key(&self, namespace: &str, owner: Option<&OwnerReference>) -> Option<Key> {
        let owner = owner.filter(|owner| owner.kind == "Deployment")?;
        let deployment = self.deployments.get(namespace, &owner.name)?;
        (deployment.metadata.uid.as_ref() == Some(&owner.uid)).then(|| Key::new(namespace, &*owner.name))
    }

    fn replica_set_changed(&self, change: &Change<ReplicaSet>, queue: &WorkQueue<Key>) {
        let set = change.object();
        let namespace = meta::namespace(&set.metadata);
        let owner = self.owner_key(namespace, meta::controller_of(&set.metadata));
        if let Change::Applied { old: Some(old), .. } = change
            && let Some(previous) = self.owner_key(namespace, meta::controller_of(&old.metadata))
        {
            queue.add(previous);
        }
        if let Some(key) = owner {
            queue.add(key);
        } else if matches!(change, Change::Applied { .. })
            && meta::controller_of(&set.metadata).is_none()
            && !meta::labels(&set.metadata).is_empty()
        {
            for deployment in self.deployments.list_in(namespace) {
                let selector = meta::selector(&deployment.spec.selector);
                if selector.is_some_and(|selector| !selector.selects_all() && meta::selects(&selector, &set.metadata)) {
                    queue.add(Key::of(&*deployment));
                }
            }
        }
    }

    /// A Recreate rollout goes on when the last old pod is gone.
    fn pod_deleted(&self, pod: &Pod, queue: &WorkQueue<Key>) {
        let namespace = meta::namespace(&pod.metadata);
        let set = meta::controller_of(&pod.metadata).filter(|owner| owner.kind == "ReplicaSet").and_then(|owner| {
            self.replica_sets.get(namespace, &owner.name).filter(|set| set.metadata.uid.as_ref() == Some(&owner.uid))
        });
        let Some(key) = set.and_then(|set| self.owner_key(namespace, meta::controller_of(&set.metadata))) else {
            return;
        };
        if self.deployments.get(&key.namespace, &key.name).is_some_and(|deployment| plan::is_recreate(&deployment)) {
            queue.add(key);
        }
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(deployment) = self.deployments.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let Some(selector) = meta::selector(&deployment.spec.selector) else {
            return Ok(Requeue::Done);
        };
        let mut replica_sets = Vec::new();
        // A selector of everything is refused by the plan; claiming by it would take every orphan.
        if !selector.selects_all() {
            let uid = meta::uid(&deployment.metadata);
            let mut candidates = self.replica_sets.by_index(BY_NAMESPACE_OWNER, uid);
            candidates.extend(self.replica_sets.by_index(BY_NAMESPACE_OWNER, &pods::orphan_key(&key.namespace)));
            let claimed = claim::plan(&deployment.metadata, &selector, candidates, |_| true);
            replica_sets =
                claim::apply::<ReplicaSet, Deployment>(&self.applier, &deployment.metadata, claimed, &[]).await?;
        }
        let pods = if plan::is_recreate(&deployment) {
            replica_sets
                .iter()
                .flat_map(|set| self.pods.by_index(pods::BY_CONTROLLER, meta::uid(&set.metadata)))
                .collect()
        } else {
            Vec::new()
        };
        let snapshot = Snapshot { deployment, replica_sets, pods, now: engine::now() };
        let plan = plan::plan(&snapshot);
        for operation in plan.operations {
            match &operation {
                Operation::Write(write) if matches!(write.action, Action::Create { .. }) => {
                    self.create(&snapshot, write).await?
                }
                _ => self.applier.apply(operation).await?,
            }
        }
        Ok(plan.requeue_after.map_or(Requeue::Done, Requeue::After))
    }

    /// Creates the new replica set; on failure the deployment's status tells.
    async fn create(&self, snapshot: &Snapshot, write: &Write) -> Result<(), Error> {
        let Err(error) = self.applier.write(write).await else { return Ok(()) };
        if error.is_namespace_terminating() {
            return Err(error);
        }
        let follow_up = if error.is_already_exists() {
            let path = Resource::of::<ReplicaSet>().path(&write.namespace, &write.name, "");
            let existing: ReplicaSet = apply::get(self.applier.client(), &path).await?;
            if history::is_own_new(&snapshot.deployment, &existing) {
                // Ours, only not yet in the cache; its arrival there brings us back.
                let object = format!("ReplicaSet {}", write.name);
                return Err(Error::Stale { object, message: "created but not yet seen".to_owned() });
            }
            status::after_collision(snapshot)
        } else {
            status::after_failed_create(snapshot, &write.name, &error.api_message())
        };
        for operation in follow_up {
            self.applier.apply(operation).await?;
        }
        Err(error)
    }
}
