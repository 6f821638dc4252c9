//! node-lifecycle-controller: notices silent nodes and says so by conditions, taints and unready pods.
//!
//! A node is alive while its lease is renewed or its status changes. Times are taken when a change is seen here, never
//! from the node's clock. After 40 seconds of silence its conditions become Unknown, its pods unready and, unless every
//! node of the cluster is silent (then we are the ones cut off), it gets the NoExecute taint that
//! taint-eviction-controller acts on. Works by deadlines per node; upstream looks at all nodes every five seconds.
//!
//! What is in memory (last signs of life, tokens) starts anew after a restart: a node gets a full grace period then.
//!
//! Upstream: pkg/controller/nodelifecycle.

mod plan;
#[cfg(test)]
mod tests;
mod zones;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::{Change, Informer, WorkQueue};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, ObjectReference, Pod};
use serde_json::json;

use crate::engine::{self, Applier, Context, Controller, Error, Event, PatchKind, Requeue, Resource, Write, apply};
use crate::{disruption_marks, meta, pods};
use plan::{Health, ready};
use zones::Zones;

const WORKERS: usize = 8;
const LEASES: &str = "kube-node-lease";

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    Node(String),
    /// A pod that was bound to a node that may be silent.
    Pod(client::Key),
}

struct State {
    nodes: Informer<Node>,
    leases: Informer<Lease>,
    pods: Informer<Pod>,
    applier: Applier,
    memory: Mutex<Memory>,
    grace: std::time::Duration,
}

#[derive(Debug, Default)]
struct Memory {
    health: HashMap<String, Health>,
    zones: Zones,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        nodes: context.informers.of(),
        leases: context.informers.selected(&format!("metadata.namespace={LEASES}")),
        pods: context.informers.of(),
        applier: context.applier("node-controller"),
        memory: Mutex::default(),
        grace: context.config.node_monitor_grace_period,
    });
    state.pods.add_index(pods::BY_NODE, pods::node_index);
    let (on_node, on_lease, on_pod) = (state.clone(), state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.nodes, move |change, queue| on_node.node_changed(change, queue))
        .watch(&state.leases, move |change: &Change<Lease>, _| {
            let lease = change.object();
            let mut memory = on_lease.memory();
            let health = memory
                .health
                .entry(meta::name(&lease.metadata).to_owned())
                .or_insert_with(|| Health::new(engine::now()));
            health.saw_lease(lease, engine::now());
        })
        .watch(&state.pods, move |change: &Change<Pod>, queue| {
            let Change::Applied { old, new } = change else { return };
            let bound =
                pods::node_name(new).filter(|node| old.as_ref().is_none_or(|old| pods::node_name(old) != Some(*node)));
            let silent = bound
                .and_then(|node| on_pod.nodes.get("", node))
                .is_some_and(|node| ready(&node).is_some_and(|ready| ready.status != "True"));
            if silent {
                queue.add(Work::Pod(client::Key::of(&**new)));
            }
        })
        .run(WORKERS, move |work| {
            let state = state.clone();
            async move {
                match work {
                    Work::Node(name) => state.reconcile(name).await,
                    Work::Pod(key) => state.mark_bound_pod(key).await,
                }
            }
        })
        .await;
}

impl State {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node_changed(&self, change: &Change<Node>, queue: &WorkQueue<Work>) {
        let node = change.object();
        let name = meta::name(&node.metadata);
        let now = engine::now();
        match change {
            Change::Deleted(_) => {
                self.memory().health.remove(name);
                self.record(node, "RemovingNode", format!("Node {name} event: Removing Node {name} from Controller"));
            }
            Change::Applied { old, .. } => {
                if old.is_none() {
                    self.record(
                        node,
                        "RegisteredNode",
                        format!("Node {name} event: Registered Node {name} in Controller"),
                    );
                }
                self.memory().health.entry(name.to_owned()).or_insert_with(|| Health::new(now)).saw_status(node, now);
                queue.add(Work::Node(name.to_owned()));
            }
        }
        let all = self.nodes.list();
        let mut memory = self.memory();
        if memory.zones.update(all.iter().map(|node| &**node)) {
            // Everybody's taints depend on whether anybody is alive.
            if !memory.zones.is_everything_silent() {
                memory.health.values_mut().for_each(|health| health.forgive(now));
            }
            all.iter().for_each(|node| queue.add(Work::Node(meta::name(&node.metadata).to_owned())));
        }
    }

    fn record(&self, node: &Node, reason: &'static str, message: String) {
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: node.metadata.name.clone(),
            uid: node.metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.applier.record(&Event { regarding, warning: false, reason, message });
    }

    async fn reconcile(&self, name: String) -> Result<Requeue, Error> {
        let Some(node) = self.nodes.get("", &name) else { return Ok(Requeue::Done) };
        let now = engine::now();
        let health = self.memory().health.entry(name.clone()).or_insert_with(|| Health::new(now)).clone();
        let deadline = health.deadline(self.grace);
        if health.pods_to_mark {
            self.mark_pods(&node).await?;
        }
        if deadline <= now && plan::needs_unknown(&node) {
            return self.declare_silent(&node, &health, now).await;
        }
        let mut wait = meta::until(deadline, now);
        let mut taints = plan::wanted_taints(&node, now);
        if let Some(no_execute) = plan::wanted_no_execute(&node) {
            let permit = if plan::has_no_execute(&node) { Ok(()) } else { self.memory().zones.permit(&node, now) };
            match permit {
                Ok(()) => taints.push(no_execute),
                Err(Some(later)) => wait = Some(wait.map_or(later, |wait| wait.min(later))),
                Err(None) => {}
            }
        }
        if let Some(patch) = plan::patch(&node, taints, now) {
            self.applier.write(&Write::patch::<Node>(&node.metadata, PatchKind::Merge, patch)).await?;
        }
        Ok(wait.map_or(Requeue::Done, Requeue::After))
    }

    /// The grace period is over: unless the server knows a newer lease than our cache, the node is silent.
    async fn declare_silent(&self, node: &Node, health: &Health, now: Timestamp) -> Result<Requeue, Error> {
        let name = meta::name(&node.metadata);
        let path = Resource::of::<Lease>().path(LEASES, name, "");
        match apply::get::<Lease>(self.applier.client(), &path).await {
            Ok(lease) if lease.metadata.resource_version != health.lease_version => {
                let message = "the lease in the cache is old".to_owned();
                if let Some(health) = self.memory().health.get_mut(name) {
                    health.saw_lease(&lease, now);
                }
                return Err(Error::Stale { object: format!("Node {name}"), message });
            }
            Err(error) if !error.is_not_found() => return Err(error),
            _ => {}
        }
        let was_ready = ready(node).is_some_and(|ready| ready.status == "True");
        let body = json!({"metadata": {"resourceVersion": node.metadata.resource_version}, "status": {"conditions": plan::unknown_conditions(node, now)}});
        self.applier.write(&Write::patch_status::<Node>(&node.metadata, PatchKind::Strategic, body)).await?;
        if was_ready {
            if let Some(health) = self.memory().health.get_mut(name) {
                health.pods_to_mark = true;
            }
            self.record(node, "NodeNotReady", format!("Node {name} status is now: NodeNotReady"));
            self.mark_pods(node).await?;
        }
        Ok(Requeue::Done)
    }

    async fn mark_pods(&self, node: &Node) -> Result<(), Error> {
        let name = meta::name(&node.metadata);
        for pod in self.pods.by_index(pods::BY_NODE, name) {
            self.mark_pod(&pod).await?;
        }
        if let Some(health) = self.memory().health.get_mut(name) {
            health.pods_to_mark = false;
        }
        Ok(())
    }

    async fn mark_pod(&self, pod: &Pod) -> Result<(), Error> {
        if !pods::is_ready(pod) {
            return Ok(());
        }
        let condition = json!({"type": "Ready", "status": "False", "lastTransitionTime": meta::time(engine::now())});
        let write = disruption_marks::status_patch(pod, json!({"conditions": [condition]}))
            .announce_success(meta::warning::<Pod>(&pod.metadata, "NodeNotReady", "Node is not ready"));
        match self.applier.write(&write).await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    }

    async fn mark_bound_pod(&self, key: client::Key) -> Result<Requeue, Error> {
        let Some(pod) = self.pods.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let node = pods::node_name(&pod).and_then(|node| self.nodes.get("", node));
        if node.is_some_and(|node| ready(&node).is_some_and(|ready| ready.status != "True")) {
            self.mark_pod(&pod).await?;
        }
        Ok(Requeue::Done)
    }
}
