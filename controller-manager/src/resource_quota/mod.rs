//! resourcequota-controller: keeps `status.used` of quotas by what there is.
//!
//! Admission holds a namespace to its quotas by counting objects itself: what is written here is what users read.
//! Pods, services and claims are weighed; other objects are only counted, by metadata watches started for what some
//! quota really counts.
//!
//! Upstream: pkg/controller/resourcequota.

mod plan;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use client::{Change, Informer, WorkQueue};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;

use crate::discovery;
use crate::engine::{Applier, Context, Controller, Error, Key, Requeue, Write};
use crate::{meta, pods};
use plan::{Counted, Snapshot};

const WORKERS: usize = 5;
/// How often a quota is counted anew, whatever was missed.
const RESYNC: Duration = Duration::from_secs(300);

type MetadataInformer = Informer<PartialObjectMeta<DynamicObject>>;

struct State {
    context: Context,
    quotas: Informer<ResourceQuota>,
    pods: Informer<Pod>,
    services: Informer<Service>,
    claims: Informer<PersistentVolumeClaim>,
    /// Watches of objects that are only counted.
    counters: Mutex<HashMap<Counted, MetadataInformer>>,
    queue: WorkQueue<Key>,
    applier: Applier,
}

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let controller: Controller<Key> = Controller::new(name, &context);
    let state = Arc::new(State {
        quotas: context.informers.of(),
        pods: context.informers.of(),
        services: context.informers.of(),
        claims: context.informers.of(),
        counters: Mutex::default(),
        queue: controller.queue(),
        applier: context.applier(name),
        context: context.clone(),
    });
    let (on_pod, on_service, on_claim) = (state.clone(), state.clone(), state.clone());
    controller
        .watch(&state.quotas, |change: &Change<ResourceQuota>, queue| {
            // What changes in its status is our own, or put there on purpose.
            if !matches!(change, Change::Applied { old: Some(old), new } if old.spec == new.spec) {
                queue.add(Key::of(&**change.object()));
            }
        })
        .watch(&state.pods, move |change: &Change<Pod>, _| {
            let weight = |pod: &Pod| {
                (
                    pods::is_terminal(pod),
                    pod.spec.as_ref().and_then(|spec| spec.active_deadline_seconds),
                    pod.status.as_ref().and_then(|status| status.resources.clone()),
                )
            };
            if affects(change, |old, new| weight(old) != weight(new)) {
                on_pod.queue_namespace(&change.object().metadata);
            }
        })
        .watch(&state.services, move |change: &Change<Service>, _| {
            if affects(change, |old, new| old.spec != new.spec) {
                on_service.queue_namespace(&change.object().metadata);
            }
        })
        .watch(&state.claims, move |change: &Change<PersistentVolumeClaim>, _| {
            if affects(change, |old, new| old.spec != new.spec || old.status != new.status) {
                on_claim.queue_namespace(&change.object().metadata);
            }
        })
        .run(WORKERS, move |key| state.clone().reconcile(key))
        .await;
}

/// Whether a change may have changed what is used; `moves` says so of an object that was there before.
fn affects<K>(change: &Change<K>, moves: impl Fn(&K, &K) -> bool) -> bool {
    match change {
        Change::Applied { old: Some(old), new } => moves(old, new),
        Change::Applied { old: None, .. } | Change::Deleted(_) => true,
    }
}

impl State {
    fn queue_namespace(&self, metadata: &ObjectMeta) {
        let quotas = self.quotas.list_in(meta::namespace(metadata));
        quotas.into_iter().for_each(|quota| self.queue.add(Key::of(&*quota)));
    }

    async fn reconcile(self: Arc<Self>, key: Key) -> Result<Requeue, Error> {
        let Some(quota) = self.quotas.get(&key.namespace, &key.name) else { return Ok(Requeue::Done) };
        let mut counts = HashMap::new();
        for counted in plan::counted(&quota) {
            if let Some(informer) = self.counter(&counted).await? {
                counts.insert(counted, informer.list_in(&key.namespace).len());
            }
        }
        let snapshot = Snapshot {
            quota: quota.clone(),
            pods: self.pods.list_in(&key.namespace),
            services: self.services.list_in(&key.namespace),
            claims: self.claims.list_in(&key.namespace),
            counts,
            now: crate::engine::now(),
        };
        if let Some(status) = plan::plan(&snapshot) {
            let quota = ResourceQuota { status: Some(status), ..(*quota).clone() };
            self.applier.apply(Write::update_status(&quota).into()).await?;
        }
        Ok(Requeue::After(RESYNC))
    }

    /// The watch that counts a resource, started when first needed; `None` if the server has no such resource.
    async fn counter(self: &Arc<Self>, counted: &Counted) -> Result<Option<MetadataInformer>, Error> {
        let known = self.counters.lock().unwrap_or_else(PoisonError::into_inner).get(counted).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let found = discovery::preferred(&self.context.client).await?;
        let fits = |one: &&discovery::Discovered| {
            one.resource.group == counted.group && one.resource.plural == counted.resource
        };
        let Some(found) = found.resources.iter().find(fits).filter(|one| one.supports(&["list", "watch"])) else {
            return Ok(None);
        };
        let resource = ApiResource {
            group: found.resource.group.to_string(),
            version: found.resource.version.to_string(),
            api_version: found.resource.api_version(),
            kind: found.resource.kind.to_string(),
            plural: found.resource.plural.to_string(),
        };
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(self.context.client.clone(), &resource);
        let informer = {
            let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            let start = || Informer::start(api, watcher::Config::default(), &self.context.shutdown);
            counters.entry(counted.clone()).or_insert_with(start).clone()
        };
        informer.synced().await;
        let (state, mut changes) = (self.clone(), informer.subscribe());
        component::spawn_until("quota counter", &self.context.shutdown, async move {
            while let Some(change) = changes.next().await {
                if affects(&change, |_, _| false) {
                    state.queue_namespace(&change.object().metadata);
                }
            }
        });
        Ok(Some(informer))
    }
}
