//! pod-garbage-collector-controller: removes pods nobody else will remove.
//!
//! Those are pods bound to a node that is gone (after a quarantine, and after asking the server), pods being deleted
//! before they had a node, pods being deleted on a node declared out of service, and the oldest finished pods beyond a
//! threshold. Works on changes; upstream looks at all pods every 20 seconds.
//!
//! Upstream: pkg/controller/podgc.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{Node, Pod};

use crate::disruption_marks;
use crate::engine::{self, Applier, Context, Controller, Error, Key, Requeue, Resource, apply};
use crate::{meta, pods};
use plan::Verdict;

/// How long a node must be unknown before its pods are removed.
const QUARANTINE: Duration = Duration::from_secs(40);
/// Finished pods are counted at most this often.
const COUNT_DELAY: Duration = Duration::from_secs(5);
const WORKERS: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Pod(Key),
    /// Count finished pods.
    Terminated,
}

struct State {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    applier: Applier,
    threshold: usize,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        pods: context.informers.of(),
        nodes: context.informers.of(),
        applier: context.applier(name),
        threshold: context.config.terminated_pod_gc_threshold,
    });
    state.pods.add_index(pods::BY_NODE, pods::node_index);
    let (on_pod, on_node) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.nodes, move |change, queue| {
            let name = meta::name(&change.object().metadata);
            let delay = if matches!(change, Change::Deleted(_)) { QUARANTINE } else { Duration::ZERO };
            for pod in on_node.pods.by_index(pods::BY_NODE, name) {
                if !delay.is_zero() || meta::is_deleting(&pod.metadata) {
                    queue.add_after(Work::Pod(Key::of(&*pod)), delay);
                }
            }
        })
        .watch(&state.pods, move |change: &Change<Pod>, queue| {
            let Change::Applied { new: pod, .. } = change else { return };
            let key = Work::Pod(Key::of(&**pod));
            match pods::node_name(pod) {
                Some(node) if on_pod.nodes.get("", node).is_none() => queue.add_after(key, QUARANTINE),
                _ if meta::is_deleting(&pod.metadata) => queue.add(key),
                _ => {}
            }
            if on_pod.threshold > 0 && pods::is_terminal(pod) {
                queue.add_after(Work::Terminated, COUNT_DELAY);
            }
        })
        .run(WORKERS, move |work| {
            let state = state.clone();
            async move {
                match work {
                    Work::Pod(key) => state.reconcile(key).await,
                    Work::Terminated => state.remove_terminated().await,
                }
            }
        })
        .await;
}

impl State {
    async fn reconcile(&self, key: Key) -> Result<Requeue, Error> {
        let Some(pod) = self.pods.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let node = pods::node_name(&pod).and_then(|name| self.nodes.get("", name));
        let verdict = plan::judge(&pod, node.as_deref());
        if let (Verdict::Orphaned, Some(name)) = (verdict, pods::node_name(&pod)) {
            let path = Resource::of::<Node>().path("", name, "");
            match apply::get::<Node>(self.applier.client(), &path).await {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
                Ok(_) => return Ok(Requeue::Done),
            }
        }
        self.end(&pod, verdict).await?;
        Ok(Requeue::Done)
    }

    async fn end(&self, pod: &Pod, verdict: Verdict) -> Result<(), Error> {
        if verdict == Verdict::Keep {
            return Ok(());
        }
        if let Some(mark) = disruption_marks::mark(pod, verdict.disruption(), true, engine::now()) {
            match self.applier.write(&mark).await {
                Err(error) if error.is_not_found() => return Ok(()),
                other => drop(other?),
            }
        }
        self.applier.apply(disruption_marks::delete(pod, true).into()).await
    }

    async fn remove_terminated(&self) -> Result<Requeue, Error> {
        for pod in plan::superfluous(self.pods.list(), self.threshold) {
            self.end(&pod, Verdict::Terminated).await?;
        }
        Ok(Requeue::Done)
    }
}
