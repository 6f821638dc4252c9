//! disruption-controller: counts how many pods of a budget may be evicted now.
//!
//! The API server takes from `status.disruptionsAllowed` when it grants an eviction; this controller recomputes it from
//! the pods. When it cannot, it allows none.
//!
//! Upstream: pkg/controller/disruption.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::{Change, Informer, WorkQueue};
use k8s_openapi::Metadata;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::json;

use crate::engine::{self, Applier, Context, Controller, Error, Key, Object, Requeue, Write};
use crate::{disruption_marks, meta};
use plan::Snapshot;

const WORKERS: usize = 2;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Budget(Key),
    /// A pod that says it is to be disrupted.
    Pod(Key),
}

struct State {
    budgets: Informer<PodDisruptionBudget>,
    pods: Informer<Pod>,
    replica_sets: Informer<ReplicaSet>,
    controllers: Informer<ReplicationController>,
    deployments: Informer<Deployment>,
    stateful_sets: Informer<StatefulSet>,
    applier: Applier,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        budgets: context.informers.of(),
        pods: context.informers.of(),
        replica_sets: context.informers.of(),
        controllers: context.informers.of(),
        deployments: context.informers.of(),
        stateful_sets: context.informers.of(),
        applier: context.applier("controllermanager"),
    });
    let on_pod = state.clone();
    let (on_deployment, on_set) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .needs(&state.replica_sets)
        .needs(&state.controllers)
        .watch(&state.budgets, |change: &Change<PodDisruptionBudget>, queue| {
            queue.add(Work::Budget(Key::of(&**change.object())))
        })
        .watch(&state.pods, move |change, queue| on_pod.pod_changed(change, queue))
        .watch(&state.deployments, move |change: &Change<Deployment>, queue| {
            let size = |deployment: &Deployment| deployment.spec.replicas;
            if matches!(change, Change::Applied { old: Some(old), new } if size(old) != size(new)) {
                on_deployment.queue_namespace(meta::namespace(&change.object().metadata), queue);
            }
        })
        .watch(&state.stateful_sets, move |change: &Change<StatefulSet>, queue| {
            let size = |set: &StatefulSet| set.spec.replicas;
            if matches!(change, Change::Applied { old: Some(old), new } if size(old) != size(new)) {
                on_set.queue_namespace(meta::namespace(&change.object().metadata), queue);
            }
        })
        .run(WORKERS, move |work| {
            let state = state.clone();
            async move {
                match work {
                    Work::Budget(key) => state.reconcile(key).await,
                    Work::Pod(key) => state.clear_stale_mark(key).await,
                }
            }
        })
        .await;
}

impl State {
    fn queue_namespace(&self, namespace: &str, queue: &WorkQueue<Work>) {
        self.budgets.list_in(namespace).into_iter().for_each(|budget| queue.add(Work::Budget(Key::of(&*budget))));
    }

    fn pod_changed(&self, change: &Change<Pod>, queue: &WorkQueue<Work>) {
        let pod = change.object();
        let mut versions: Vec<&Pod> = vec![pod];
        if let Change::Applied { old: Some(old), .. } = change {
            versions.push(old);
        }
        for budget in self.budgets.list_in(meta::namespace(&pod.metadata)) {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).and_then(meta::selector);
            if selector.is_some_and(|selector| versions.iter().any(|pod| meta::selects(&selector, &pod.metadata))) {
                queue.add(Work::Budget(Key::of(&*budget)));
            }
        }
        if matches!(change, Change::Applied { .. })
            && let Some(wait) = plan::stale_mark(pod, engine::now())
        {
            queue.add_after(Work::Pod(Key::of(&**pod)), wait);
        }
    }

    fn scale<K: Object + Metadata<Ty = ObjectMeta>>(
        informer: &Informer<K>,
        namespace: &str,
        owner: &OwnerReference,
        replicas: impl Fn(&K) -> i32,
    ) -> Option<i32> {
        if owner.kind != <K as k8s_openapi::Resource>::KIND
            || !same_group(&owner.api_version, <K as k8s_openapi::Resource>::API_VERSION)
        {
            return None;
        }
        let found = informer.get(namespace, &owner.name)?;
        (Metadata::metadata(&*found).uid.as_ref() == Some(&owner.uid)).then(|| replicas(&found))
    }

    /// The controller that decides the size, and the size it asks for.
    fn controller_of(&self, pod: &Pod) -> Option<(String, i32)> {
        let owner = meta::controller_of(&pod.metadata)?;
        let namespace = meta::namespace(&pod.metadata);
        if let Some(replicas) = Self::scale(&self.replica_sets, namespace, owner, |set| set.spec.replicas.unwrap_or(1))
        {
            let set = self.replica_sets.get(namespace, &owner.name)?;
            let parent = meta::controller_of(&set.metadata);
            let deployment = parent.and_then(|parent| {
                Some((
                    parent.uid.clone(),
                    Self::scale(&self.deployments, namespace, parent, |found| found.spec.replicas.unwrap_or(1))?,
                ))
            });
            return Some(deployment.unwrap_or_else(|| (owner.uid.clone(), replicas)));
        }
        let size =
            Self::scale(&self.stateful_sets, namespace, owner, |set| set.spec.replicas.unwrap_or(1)).or_else(|| {
                Self::scale(&self.controllers, namespace, owner, |found| {
                    found.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
                })
            });
        size.map(|size| (owner.uid.clone(), size))
    }

    async fn reconcile(&self, key: Key) -> Result<Requeue, Error> {
        let Some(budget) = self.budgets.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref()).and_then(meta::selector);
        let mut pods = self.pods.list_in(&key.namespace);
        pods.retain(|pod| selector.as_ref().is_some_and(|selector| meta::selects(selector, &pod.metadata)));
        let sizes = pods.iter().map(|pod| self.controller_of(pod)).collect();
        let outcome = plan::plan(&Snapshot { budget: budget.clone(), pods, sizes, now: engine::now() });
        for event in &outcome.events {
            self.applier.record(event);
        }
        if let Some(status) = outcome.status {
            let budget = PodDisruptionBudget { status: Some(status), ..(*budget).clone() };
            self.applier.apply(Write::update_status(&budget).into()).await?;
        }
        Ok(outcome.requeue_after.map_or(Requeue::Done, Requeue::After))
    }

    /// An eviction that never came is no longer announced.
    async fn clear_stale_mark(&self, key: Key) -> Result<Requeue, Error> {
        let now = engine::now();
        let Some(pod) = self.pods.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        match plan::stale_mark(&pod, now) {
            None => Ok(Requeue::Done),
            Some(wait) if !wait.is_zero() => Ok(Requeue::After(wait)),
            Some(_) => {
                let condition = json!({"type": "DisruptionTarget", "status": "False", "lastTransitionTime": meta::time(now), "reason": null, "message": null});
                let write = disruption_marks::status_patch(&pod, json!({"conditions": [condition]}));
                self.applier.apply(write.into()).await?;
                Ok(Requeue::Done)
            }
        }
    }
}

fn same_group(a: &str, b: &str) -> bool {
    let group = |api_version: &str| api_version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned());
    group(a) == group(b)
}
