//! taint-eviction-controller: deletes pods from nodes with NoExecute taints they do not tolerate (any longer).
//!
//! Works per pod: a change of a node's taints queues its pods. When an eviction is put off by `tolerationSeconds`, its
//! time is remembered from the first sight of the taint; after a restart it starts anew, as upstream's does.
//!
//! Upstream: pkg/controller/tainteviction.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Change, Informer};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};

use crate::disruption_marks::{self, Disruption};
use crate::engine::{self, Applier, Context, Controller, Error, Event, Key, Requeue};
use crate::{meta, pods};
use plan::Verdict;

const WORKERS: usize = 8;
const DISRUPTION: Disruption =
    Disruption { reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint" };

struct State {
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    applier: Applier,
    /// When each put-off eviction is due.
    scheduled: Mutex<HashMap<Key, Timestamp>>,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        pods: context.informers.of(),
        nodes: context.informers.of(),
        applier: context.applier(name),
        scheduled: Mutex::default(),
    });
    state.pods.add_index(pods::BY_NODE, pods::node_index);
    let on_node = state.clone();
    Controller::new(name, &context)
        .watch(&state.nodes, move |change: &Change<Node>, queue| {
            let Change::Applied { old, new } = change else { return };
            if old.as_ref().is_none_or(|old| plan::no_execute(old) != plan::no_execute(new)) {
                for pod in on_node.pods.by_index(pods::BY_NODE, meta::name(&new.metadata)) {
                    queue.add(Key::of(&*pod));
                }
            }
        })
        .watch(&state.pods, |change: &Change<Pod>, queue| {
            let pod = change.object();
            let relevant = |pod: &Pod| pod.spec.as_ref().map(|spec| (spec.node_name.clone(), spec.tolerations.clone()));
            let changed = match change {
                Change::Applied { old: Some(old), new } => relevant(old) != relevant(new),
                _ => true,
            };
            if changed {
                queue.add(Key::of(&**pod));
            }
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    fn record(&self, key: &Key, message: String) {
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectReference::default()
        };
        self.applier.record(&Event { regarding, warning: false, reason: "TaintManagerEviction", message });
    }

    fn cancel(&self, key: &Key) {
        let known = self.scheduled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        if known.is_some() {
            self.record(key, format!("Cancelling deletion of Pod {key}"));
        }
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let pod = self.pods.get(&key.namespace, &key.name);
        let Some(pod) = pod.filter(|pod| !meta::is_deleting(&pod.metadata)) else {
            self.scheduled.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            return Ok(Requeue::Done);
        };
        let Some(node) = pods::node_name(&pod).and_then(|name| self.nodes.get("", name)) else {
            return Ok(Requeue::Done);
        };
        let now = engine::now();
        let tolerations = pod.spec.as_ref().and_then(|spec| spec.tolerations.clone()).unwrap_or_default();
        match plan::judge(&plan::no_execute(&node), &tolerations) {
            Verdict::Stay => self.cancel(&key),
            Verdict::GoAfter(seconds) => {
                let due = *self
                    .scheduled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(key.clone())
                    .or_insert_with(|| meta::after(now, seconds));
                match meta::until(due, now) {
                    Some(wait) => return Ok(Requeue::After(wait)),
                    None => self.evict(&key, &pod).await?,
                }
            }
            Verdict::Go => self.evict(&key, &pod).await?,
        }
        Ok(Requeue::Done)
    }

    async fn evict(&self, key: &Key, pod: &Pod) -> Result<(), Error> {
        self.scheduled.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        self.record(key, format!("Marking for deletion Pod {key}"));
        if let Some(mark) = disruption_marks::mark(pod, Some(DISRUPTION), false, engine::now()) {
            match self.applier.write(&mark).await {
                Err(error) if error.is_not_found() => return Ok(()),
                other => drop(other?),
            }
        }
        self.applier.apply(disruption_marks::delete(pod, false).into()).await
    }
}
