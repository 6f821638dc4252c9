//! replicaset-controller and replicationcontroller-controller: keep a number of identical pods running.
//!
//! One code for both kinds, seen through [`Replicated`]. Between its own writes and their appearance in the pod cache a
//! key is held back by expectations, so a pod is never created twice. After a crash nothing is lost: counts come from
//! the pods themselves.
//!
//! Upstream: pkg/controller/replicaset.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::{Change, Informer, WorkQueue};
use futures::future::join_all;
use k8s_openapi::Metadata;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec, ReplicationController};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::Selector;
use serde::Serialize;

use crate::engine::{
    self, Action, Applier, Context, Controller, Error, Expectations, Key, Object, Requeue, Write, to_value,
};
use crate::{claim, meta, pods};
use plan::{Manage, Snapshot};

/// What the two kinds have in common.
pub(crate) trait Replicated:
    Object + kube::Resource<DynamicType = ()> + Metadata<Ty = ObjectMeta> + Serialize
{
    /// Event source.
    const COMPONENT: &'static str;
    /// Whether the status counts terminating pods.
    const COUNTS_TERMINATING: bool;

    /// Wanted number of pods.
    fn replicas(&self) -> i32;
    /// How long a pod must be ready to count as available.
    fn min_ready_seconds(&self) -> i32;
    /// What the pods look like.
    fn template(&self) -> Option<&PodTemplateSpec>;
    /// Which pods count; `None` if it cannot be compiled.
    fn selector(&self) -> Option<Selector>;
    /// The status last written.
    fn status(&self) -> ReplicaSetStatus;
}

impl Replicated for ReplicaSet {
    const COMPONENT: &'static str = "replicaset-controller";
    const COUNTS_TERMINATING: bool = true;

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }
    fn selector(&self) -> Option<Selector> {
        meta::selector(&self.spec.selector)
    }
    fn status(&self) -> ReplicaSetStatus {
        self.status.clone().unwrap_or_default()
    }
}

impl Replicated for ReplicationController {
    const COMPONENT: &'static str = "replication-controller";
    const COUNTS_TERMINATING: bool = false;

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
    }
    fn min_ready_seconds(&self) -> i32 {
        self.spec.as_ref().and_then(|spec| spec.min_ready_seconds).unwrap_or(0)
    }
    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }
    fn selector(&self) -> Option<Selector> {
        self.spec.as_ref()?.selector.clone().map(|map| map.into_iter().collect())
    }
    fn status(&self) -> ReplicaSetStatus {
        // The two statuses have the same fields under the same names.
        self.status.as_ref().and_then(|status| serde_json::from_value(to_value(status)).ok()).unwrap_or_default()
    }
}

struct State<K> {
    owners: Informer<K>,
    pods: Informer<Pod>,
    expectations: Expectations<Key>,
    applier: Applier,
}

/// Runs the controller of one kind until shutdown.
pub(crate) async fn run<K: Replicated>(context: Context, name: &'static str) {
    let state = Arc::new(State::<K> {
        owners: context.informers.of::<K>(),
        pods: context.informers.of::<Pod>(),
        expectations: Expectations::default(),
        applier: context.applier(K::COMPONENT),
    });
    state.pods.add_index(pods::BY_CONTROLLER, pods::controller_index);
    state.owners.add_index(BY_OWNER, owner_index::<K>);
    let (on_owner, on_pod) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.owners, move |change, queue| {
            let key = Key::of(&**change.object());
            if matches!(change, Change::Deleted(_)) {
                on_owner.expectations.forget(&key);
            }
            queue.add(key);
        })
        .watch(&state.pods, move |change, queue| on_pod.pod_changed(change, queue))
        .run(context.config.concurrent_replicaset_syncs, move |key| state.clone().reconcile(key))
        .await;
}

const BY_OWNER: &str = "owner-uid";

fn owner_index<K: Replicated>(object: &K) -> Vec<String> {
    meta::controller_of(Metadata::metadata(object)).map(|owner| vec![owner.uid.clone()]).unwrap_or_default()
}

impl<K: Replicated> State<K> {
    fn owner_key(&self, pod: &Pod) -> Option<Key> {
        let reference =
            meta::controller_of(&pod.metadata).filter(|owner| owner.kind == <K as k8s_openapi::Resource>::KIND)?;
        let namespace = meta::namespace(&pod.metadata);
        let owner = self.owners.get(namespace, &reference.name)?;
        (Metadata::metadata(&*owner).uid.as_ref() == Some(&reference.uid))
            .then(|| Key::new(namespace, &*reference.name))
    }

    fn pod_changed(&self, change: &Change<Pod>, queue: &WorkQueue<Key>) {
        let pod = change.object();
        let owner = self.owner_key(pod);
        match change {
            Change::Deleted(_) => {
                if let Some(key) = owner {
                    self.expectations.deletion_observed(&key, meta::uid(&pod.metadata));
                    queue.add(key);
                }
            }
            Change::Applied { old, .. } => {
                if let Some(previous) =
                    old.as_ref().and_then(|old| self.owner_key(old)).filter(|key| Some(key) != owner.as_ref())
                {
                    queue.add(previous);
                }
                let Some(key) = owner else {
                    let changed = old.as_ref().is_none_or(|old| {
                        old.metadata.labels != pod.metadata.labels || meta::controller_of(&old.metadata).is_some()
                    });
                    if changed && meta::controller_of(&pod.metadata).is_none() && !meta::is_deleting(&pod.metadata) {
                        self.offer_orphan(pod, queue);
                    }
                    return;
                };
                // Quick changes of one pod arrive as one: a new pod may be dying already, and counts as both.
                if old.is_none() {
                    self.expectations.creation_observed(&key);
                }
                if meta::is_deleting(&pod.metadata) {
                    self.expectations.deletion_observed(&key, meta::uid(&pod.metadata));
                }
                queue.add(key);
            }
        }
    }

    fn offer_orphan(&self, pod: &Pod, queue: &WorkQueue<Key>) {
        if meta::labels(&pod.metadata).is_empty() {
            return;
        }
        for owner in self.owners.list_in(meta::namespace(&pod.metadata)) {
            if owner
                .selector()
                .is_some_and(|selector| !selector.selects_all() && meta::selects(&selector, &pod.metadata))
            {
                queue.add(Key::of(&*owner));
            }
        }
    }

    /// Active pods of every controller with the same owner: where they run decides which pods to delete first.
    fn related_pods(&self, owner: &ObjectMeta) -> Vec<Arc<Pod>> {
        let Some(parent) = meta::controller_of(owner) else { return Vec::new() };
        let siblings = self.owners.by_index(BY_OWNER, &parent.uid);
        siblings
            .iter()
            .flat_map(|sibling| self.pods.by_index(pods::BY_CONTROLLER, meta::uid(Metadata::metadata(&**sibling))))
            .collect()
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(owner) = self.owners.get(&key.namespace, &key.name) else {
            self.expectations.forget(&key);
            return Ok(Requeue::Done);
        };
        let metadata = Metadata::metadata(&*owner);
        let trusted = self.expectations.satisfied(&key, engine::now());
        let (Some(selector), Some(template)) = (owner.selector(), owner.template()) else {
            // The object says what is wrong when it is next changed; until then nothing can be counted.
            return Ok(Requeue::Done);
        };
        let mut candidates = self.pods.by_index(pods::BY_CONTROLLER, meta::uid(metadata));
        let terminating = candidates
            .iter()
            .filter(|pod| pods::is_terminating(pod) && meta::selects(&selector, &pod.metadata))
            .count();
        candidates.extend(self.pods.by_index(pods::BY_CONTROLLER, &pods::orphan_key(&key.namespace)));
        candidates.retain(|pod| pods::is_active(pod));
        let claimed = claim::plan(metadata, &selector, candidates, |_| true);
        let active = claim::apply::<Pod, K>(&self.applier, metadata, claimed, &[]).await?;
        let now = engine::now();
        let snapshot = Snapshot {
            owner: metadata.clone(),
            reference: meta::reference::<K>(metadata),
            controller_ref: meta::controller_ref::<K>(metadata),
            replicas: owner.replicas(),
            min_ready_seconds: owner.min_ready_seconds(),
            template: template.clone(),
            status: owner.status(),
            related: self.related_pods(metadata),
            active,
            terminating: K::COUNTS_TERMINATING.then_some(terminating),
            now,
        };
        let failure = if trusted && !meta::is_deleting(metadata) {
            self.manage(&key, plan::manage(&snapshot)).await.err()
        } else {
            None
        };
        if let Some(status) = plan::status(&snapshot, failure.as_ref().map(Error::api_message)) {
            let mut write = Write::update_status(&*owner);
            if let Action::Update { object } = &mut write.action {
                object["status"] = to_value(&status);
            }
            self.applier.apply(write.into()).await?;
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(plan::next_check(&snapshot).map_or(Requeue::Done, Requeue::After)),
        }
    }

    async fn manage(&self, key: &Key, manage: Manage) -> Result<(), Error> {
        match manage {
            Manage::Nothing => Ok(()),
            Manage::Create(writes) => {
                self.expectations.expect_creations(key, writes.len(), engine::now());
                let outcome = self.applier.slow_start(&writes).await;
                for _ in outcome.succeeded..writes.len() {
                    self.expectations.creation_observed(key);
                }
                outcome.error.map_or(Ok(()), Err)
            }
            Manage::Delete(writes) => {
                self.expectations.expect_deletions(key, writes.iter().map(|(uid, _)| uid.clone()), engine::now());
                let deletions = writes.iter().map(|(uid, write)| async move {
                    let result = self.applier.write(write).await;
                    if result.is_err() {
                        self.expectations.deletion_observed(key, uid);
                    }
                    match result {
                        Err(error) if !error.is_not_found() => Err(error),
                        _ => Ok(()),
                    }
                });
                join_all(deletions).await.into_iter().collect()
            }
        }
    }
}
