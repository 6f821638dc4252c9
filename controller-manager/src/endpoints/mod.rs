//! endpoints-controller: the older Endpoints object of every service with a selector.
//!
//! Updates carry the resourceVersion they were decided on, so a stale cache shows as a conflict and is tried again.
//!
//! Upstream: pkg/controller/endpoint.

mod plan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::engine::{Action, Applier, Context, Controller, Error, Key, Requeue, Write};
use crate::meta;
use crate::services::{self, TriggerTimes};
use plan::Snapshot;

const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

struct State {
    services: Informer<Service>,
    pods: Informer<Pod>,
    endpoints: Informer<Endpoints>,
    triggers: TriggerTimes,
    applier: Applier,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let state = Arc::new(State {
        services: context.informers.of(),
        pods: context.informers.of(),
        endpoints: context.informers.of(),
        triggers: TriggerTimes::default(),
        applier: context.applier("endpoint-controller"),
    });
    let (on_pod, on_endpoints) = (state.clone(), state.clone());
    Controller::new(name, &context)
        .watch(&state.services, |change, queue| queue.add(Key::of(&**change.object())))
        .watch(&state.pods, move |change, queue| {
            for key in services::touched_by(&on_pod.services, change) {
                queue.add(key);
            }
        })
        .watch(&state.endpoints, move |change: &Change<Endpoints>, queue| match change {
            Change::Deleted(endpoints) => queue.add(Key::of(&**endpoints)),
            // What a service left behind while nobody watched. Locks of leader election have no service.
            Change::Applied { old: None, new } => {
                let key = Key::of(&**new);
                let lock = meta::annotation(&new.metadata, LEADER_ANNOTATION).is_some();
                if !lock && on_endpoints.services.get(&key.namespace, &key.name).is_none() && plan::is_ours(new) {
                    queue.add(key);
                }
            }
            Change::Applied { .. } => {}
        })
        .run(context.config.concurrent_endpoint_syncs, move |key| state.clone().reconcile(key))
        .await;
}

impl State {
    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let present = self.endpoints.get(&key.namespace, &key.name);
        let Some(service) = self.services.get(&key.namespace, &key.name) else {
            self.triggers.forget(&key);
            if present.is_some() {
                let metadata =
                    ObjectMeta { name: Some(key.name), namespace: Some(key.namespace), ..ObjectMeta::default() };
                self.applier.apply(Write::delete::<Endpoints>(&metadata).into()).await?;
            }
            return Ok(Requeue::Done);
        };
        let spec = service.spec.clone().unwrap_or_default();
        if spec.type_.as_deref() == Some("ExternalName")
            || spec.selector.is_none()
            || meta::is_deleting(&service.metadata)
        {
            return Ok(Requeue::Done);
        }
        let pods = services::selected_pods(&service, &self.pods);
        let trigger = self.triggers.compute(&key, &service, pods.iter().map(|pod| &**pod));
        let Some(write) = plan::plan(&Snapshot { service, pods, present, trigger }) else { return Ok(Requeue::Done) };
        let creating = matches!(write.action, Action::Create { .. });
        match self.applier.write(&write).await {
            Err(error) if creating && error.is_namespace_terminating() => Ok(Requeue::Done),
            other => other.map(|_| Requeue::Done),
        }
    }
}
