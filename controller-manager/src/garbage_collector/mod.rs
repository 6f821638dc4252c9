//! garbage-collector-controller: removes what has lost its owners.
//!
//! One metadata-only watch per deletable resource feeds a graph of who owns whom ([`graph`]); changes of the graph say
//! which objects to look at. Workers ([`attempt`]) then ask the server itself before they delete or patch anything, so a
//! stale graph costs requests, never data. Nothing survives a restart: the graph is built again from the watches, and no
//! worker runs before it is.
//!
//! Upstream: pkg/controller/garbagecollector.

mod attempt;
mod graph;
mod mapper;
mod monitor;
mod plan;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::WorkQueue;
use k8s_openapi::api::core::v1::ObjectReference;

use crate::engine::{Applier, Context, Controller, Event};
use graph::{Graph, Identity, Next, Uid};
use mapper::Mapper;

/// Longest wait for watches that do not come up; the graph is used without them then, as upstream does.
const INITIAL_SYNC_TIMEOUT: Duration = Duration::from_secs(30);

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    /// Delete the object if its owners are gone, or go on with its foreground deletion.
    Delete(Uid),
    /// Take the object out of its dependents' owners, then let it go.
    Orphan(Uid),
}

struct State {
    graph: Mutex<Graph>,
    mapper: Mapper,
    applier: Applier,
    queue: WorkQueue<Work>,
}

impl State {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out what a change of the graph calls for.
    fn follow(&self, next: Vec<Next>) {
        for step in next {
            match step {
                Next::Delete(uid) => self.queue.add(Work::Delete(uid)),
                Next::DeleteLater(uid) => self.queue.add_rate_limited(Work::Delete(uid)),
                Next::Orphan(uid) => self.queue.add(Work::Orphan(uid)),
                Next::InvalidNamespace { dependent, owner } => self.report(&dependent, &owner),
            }
        }
    }

    fn report(&self, dependent: &Identity, owner: &Identity) {
        let text = |text: &Arc<str>| Some(text.to_string());
        self.applier.record(&Event {
            regarding: ObjectReference {
                api_version: text(&dependent.api_version),
                kind: text(&dependent.kind),
                namespace: text(&dependent.namespace),
                name: text(&dependent.name),
                uid: text(&dependent.uid),
                ..ObjectReference::default()
            },
            warning: true,
            reason: "OwnerRefInvalidNamespace",
            message: format!("ownerRef {owner} does not exist in namespace \"{}\"", dependent.namespace),
        });
    }
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let controller: Controller<Work> = Controller::new(name, &context);
    let state = Arc::new(State {
        graph: Mutex::new(Graph::default()),
        mapper: Mapper::default(),
        applier: context.applier(name),
        queue: controller.queue(),
    });
    let (synced, ready) = tokio::sync::oneshot::channel();
    let monitors = monitor::run(state.clone(), context.shutdown.clone(), synced);
    component::spawn_until(name, &context.shutdown, monitors);
    controller
        .waits_for(async move {
            // The sender is dropped only at shutdown.
            let _ = tokio::time::timeout(INITIAL_SYNC_TIMEOUT, ready).await;
        })
        .run(context.config.concurrent_gc_syncs, move |work| state.clone().reconcile(work))
        .await;
}
