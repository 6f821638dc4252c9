//! endpointslice-controller: keeps the endpoint slices of every service with a selector.
//!
//! Slices have generated names, so before a service is looked at again its cached slices must show our last writes
//! ([`tracker`]). A crash in the middle leaves slices that the next pass repairs.
//!
//! Upstream: pkg/controller/endpointslice, k8s.io/endpointslice.

mod plan;
#[cfg(test)]
mod tests;
pub(crate) mod tracker;

use std::sync::Arc;

use client::{Change, Informer, WorkQueue};
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::engine::{Applier, Context, Controller, DeleteOptions, Error, Event, Key, Requeue, Write};
use crate::meta;
use crate::services::{self, TriggerTimes};
use plan::{MANAGED_BY, MANAGER, SERVICE_NAME, Snapshot};
use tracker::Tracker;

struct State {
    services: Informer<Service>,
    pods: Informer<Pod>,
    nodes: Informer<Node>,
    slices: Informer<EndpointSlice>,
    triggers: TriggerTimes,
    tracker: Tracker,
    applier: Applier,
    max_endpoints: usize,
}

const BY_SERVICE: &str = "service";

/// The service a slice of ours belongs to.
fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let labels = meta::labels(&slice.metadata);
    let ours = labels.get(MANAGED_BY).is_some_and(|manager| manager == MANAGER);
    let service = labels.get(SERVICE_NAME).filter(|name| ours && !name.is_empty())?;
    Some(Key::new(meta::namespace(&slice.metadata), service.as_str()))
}

fn index(slice: &EndpointSlice) -> Vec<String> {
    service_of(slice).map(|key| vec![key.to_string()]).unwrap_or_default()
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        services: context.informers.of(),
        pods: context.informers.of(),
        nodes: context.informers.of(),
        slices: context.informers.of(),
        triggers: TriggerTimes::default(),
        tracker: Tracker::default(),
        applier: context.applier("endpoint-slice-controller"),
        max_endpoints: context.config.max_endpoints_per_slice,
    });
    state.slices.add_index(BY_SERVICE, index);
    let (on_pod, on_slice) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .needs(&state.nodes)
        .watch(&state.services, |change, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.pods, move |change, queue| {
            for key in services::touched_by(&on_pod.services, change) {
                queue.add(key);
            }
        })
        .watch(&state.slices, move |change, queue| on_slice.slice_changed(change, queue))
        .run(context.config.concurrent_endpoint_syncs, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    fn slice_changed(&self, change: &Change<EndpointSlice>, queue: &WorkQueue<Key>) {
        let service = service_of(change.object());
        if let Change::Applied { old: Some(old), .. } = change {
            let before = service_of(old);
            if before != service {
                queue_all(queue, before);
            }
        }
        if let (Change::Deleted(slice), Some(key)) = (change, &service) {
            self.tracker.deleted(key, meta::uid(&slice.metadata));
        }
        queue_all(queue, service);
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(service) = self.services.get(&key.namespace, &key.name) else {
            self.triggers.forget(&key);
            self.tracker.forget(&key);
            return Ok(Requeue::Done);
        };
        let spec = service.spec.clone().unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName") || spec.selector.is_none() {
            return Ok(Requeue::Done);
        }
        let mut slices = self.slices.by_index(BY_SERVICE, &key.to_string());
        slices.retain(|slice| !meta::is_deleting(&slice.metadata));
        if self.tracker.is_stale(&key, &slices) {
            return Err(Error::Stale {
                object: format!("Service {key}"),
                message: "EndpointSlice informer cache is out of date".to_owned(),
            });
        }
        let pods = services::selected_pods(&service, &self.pods);
        let trigger = self.triggers.compute(&key, &service, pods.iter().map(|pod| &**pod));
        let nodes = pods.iter().filter_map(|pod| self.nodes.get("", crate::pods::node_name(pod)?)).collect();
        let snapshot = Snapshot { service, pods, nodes, slices, trigger, max_endpoints: self.max_endpoints };
        let changes = plan::plan(&snapshot);
        let result = self.apply(&key, &snapshot, changes).await;
        if let Err(error) = &result
            && !error.is_conflict()
        {
            let message = format!("Error updating Endpoint Slices for Service {key}: {}", error.api_message());
            let reason = "FailedToUpdateEndpointSlices";
            self.applier.record(&Event {
                regarding: meta::reference::<Service>(&snapshot.service.metadata),
                warning: true,
                reason,
                message,
            });
        }
        result.map(|()| Requeue::Done)
    }

    async fn apply(&self, key: &Key, snapshot: &Snapshot, changes: plan::Changes) -> Result<(), Error> {
        if !meta::is_deleting(&snapshot.service.metadata) {
            for slice in &changes.create {
                match self.applier.write(&Write::create(slice)).await {
                    Ok(answer) => self.tracker.written(key, &answer),
                    Err(error) if error.is_namespace_terminating() => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        }
        for slice in &changes.update {
            let answer = self.applier.write(&Write::update(slice)).await?;
            self.tracker.written(key, &answer);
        }
        for slice in &changes.delete {
            let options = DeleteOptions { uid: slice.metadata.uid.clone(), ..DeleteOptions::default() };
            match self.applier.write(&Write::delete_with::<EndpointSlice>(&slice.metadata, options)).await {
                Ok(_) => self.tracker.expect_deletion(key, meta::uid(&slice.metadata)),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        match changes.skipped.first() {
            None => Ok(()),
            Some(message) => Err(Error::Stale { object: format!("Service {key}"), message: message.clone() }),
        }
    }
}

fn queue_all(queue: &WorkQueue<Key>, keys: impl IntoIterator<Item = Key>) {
    keys.into_iter().for_each(|key| queue.add(key));
}
