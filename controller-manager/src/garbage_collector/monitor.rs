//! One metadata-only watch per deletable resource, started and stopped as discovery changes.
//!
//! Discovery is asked again when a custom resource definition or an API service changes, which the watches themselves
//! tell. Labels, annotations and managed fields of what arrives are dropped at once.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use component::Shutdown;
use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::State;
use super::graph::{Graph, Identity, Owner, Seen, Uid};
use crate::discovery::{self, Discovered};
use crate::engine::Resource;

/// Changes of definitions come in bursts; one discovery answers them all.
const SETTLE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_secs(5);

/// Watches until shutdown; sends on `synced` once every first watch has delivered its list.
pub(super) async fn run(state: Arc<State>, shutdown: Shutdown, synced: oneshot::Sender<()>) {
    let changed = Arc::new(Notify::new());
    let (listed, mut first_lists) = mpsc::channel::<Resource>(16);
    let mut monitors: HashMap<Resource, CancellationToken> = HashMap::new();
    let mut waiting: Option<(oneshot::Sender<()>, HashSet<Resource>)> = None;
    let mut first = Some(synced);
    loop {
        match discovery::preferred(state.applier.client()).await {
            Ok(found) => {
                if !found.failures.is_empty() {
                    warn!(groups = ?found.failures, "discovery failed for some groups");
                }
                let complete = found.failures.is_empty();
                state.mapper.update(&found.resources, complete);
                let wanted: Vec<Discovered> = found.resources.into_iter().filter(is_monitored).collect();
                sync_monitors(&state, &shutdown, &mut monitors, &wanted, complete, &changed, &listed);
                if let Some(sender) = first.take() {
                    waiting = Some((sender, monitors.keys().cloned().collect()));
                }
            }
            Err(error) => {
                warn!(%error, "discovery failed");
                tokio::time::sleep(RETRY).await;
                continue;
            }
        }
        loop {
            tokio::select! {
                () = changed.notified() => break,
                Some(resource) = first_lists.recv() => {
                    if let Some((sender, mut open)) = waiting.take() {
                        open.remove(&resource);
                        if open.is_empty() {
                            info!(objects = state.graph().len(), "garbage collector has seen all objects");
                            // Nobody listens any more if the wait timed out.
                            let _ = sender.send(());
                        } else {
                            waiting = Some((sender, open));
                        }
                    }
                }
            }
        }
        tokio::time::sleep(SETTLE).await;
    }
}

fn is_monitored(found: &Discovered) -> bool {
    found.resource.plural != "events" && found.supports(&["delete", "list", "watch"])
}

fn sync_monitors(
    state: &Arc<State>,
    shutdown: &Shutdown,
    monitors: &mut HashMap<Resource, CancellationToken>,
    wanted: &[Discovered],
    complete: bool,
    changed: &Arc<Notify>,
    listed: &mpsc::Sender<Resource>,
) {
    if complete {
        let gone: Vec<Resource> =
            monitors.keys().filter(|known| wanted.iter().all(|one| one.resource != **known)).cloned().collect();
        for resource in gone {
            if let Some(stop) = monitors.remove(&resource) {
                stop.cancel();
            }
            // The definition went and took its objects along.
            let next = {
                let mut graph = state.graph();
                let uids = graph.uids_of(&resource.api_version(), &resource.kind);
                uids.iter().flat_map(|uid| graph.deleted(uid)).collect()
            };
            state.follow(next);
        }
    }
    for one in wanted {
        if monitors.contains_key(&one.resource) {
            continue;
        }
        let stop = shutdown.child_token();
        monitors.insert(one.resource.clone(), stop.clone());
        let monitor = Monitor::new(state.clone(), one.resource.clone(), changed.clone());
        component::spawn_until("garbage collector watch", &stop, monitor.run(listed.clone()));
    }
}

struct Monitor {
    state: Arc<State>,
    resource: Resource,
    api_version: Arc<str>,
    kind: Arc<str>,
    /// Set for the resources whose objects define other resources.
    changed: Option<Arc<Notify>>,
}

impl Monitor {
    fn new(state: Arc<State>, resource: Resource, changed: Arc<Notify>) -> Self {
        let defines = matches!(&*resource.plural, "customresourcedefinitions" | "apiservices");
        let (api_version, kind) = {
            let mut graph = state.graph();
            (graph.intern(&resource.api_version()), graph.intern(&resource.kind))
        };
        Self { state, resource, api_version, kind, changed: defines.then_some(changed) }
    }

    async fn run(self, listed: mpsc::Sender<Resource>) {
        let api_resource = ApiResource {
            group: self.resource.group.to_string(),
            version: self.resource.version.to_string(),
            api_version: self.resource.api_version(),
            kind: self.resource.kind.to_string(),
            plural: self.resource.plural.to_string(),
        };
        let client = self.state.applier.client().clone();
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &api_resource);
        let mut stream = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
        let mut list: Option<HashSet<Uid>> = None;
        let mut first = Some(listed);
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => list = Some(HashSet::new()),
                Ok(Event::InitApply(object)) => {
                    let uid = self.observe(&object.metadata);
                    if let Some(list) = &mut list {
                        list.insert(uid);
                    }
                }
                Ok(Event::InitDone) => {
                    if let Some(list) = list.take() {
                        self.remove_unlisted(&list);
                    }
                    if let Some(listed) = first.take() {
                        // The receiver ends with the process.
                        let _ = listed.send(self.resource.clone()).await;
                    }
                }
                Ok(Event::Apply(object)) => {
                    self.observe(&object.metadata);
                    self.notify();
                }
                Ok(Event::Delete(object)) => {
                    let next = self.state.graph().deleted(object.metadata.uid.as_deref().unwrap_or_default());
                    self.state.follow(next);
                    self.notify();
                }
                Err(error) => {
                    tracing::debug!(resource = %self.resource.plural, %error, "watch interrupted, listing again")
                }
            }
        }
    }

    fn notify(&self) {
        if let Some(changed) = &self.changed {
            changed.notify_one();
        }
    }

    fn observe(&self, metadata: &ObjectMeta) -> Uid {
        let mut graph = self.state.graph();
        let seen = seen(&mut graph, metadata, &self.api_version, &self.kind);
        let uid = seen.identity.uid.clone();
        let next = graph.observe(seen);
        drop(graph);
        self.state.follow(next);
        uid
    }

    fn remove_unlisted(&self, list: &HashSet<Uid>) {
        let next = {
            let mut graph = self.state.graph();
            let known = graph.uids_of(&self.api_version, &self.kind);
            known.iter().filter(|uid| !list.contains(*uid)).flat_map(|uid| graph.deleted(uid)).collect()
        };
        self.state.follow(next);
    }
}

/// The part of the metadata the graph keeps.
pub(super) fn seen(graph: &mut Graph, metadata: &ObjectMeta, api_version: &Arc<str>, kind: &Arc<str>) -> Seen {
    let mut owners = Vec::new();
    for owner in metadata.owner_references.iter().flatten() {
        owners.push(Owner {
            uid: graph.uid(&owner.uid),
            api_version: graph.intern(&owner.api_version),
            kind: graph.intern(&owner.kind),
            name: owner.name.as_str().into(),
            blocks: owner.block_owner_deletion == Some(true),
        });
    }
    let has = |finalizer| crate::meta::has_finalizer(metadata, finalizer);
    Seen {
        identity: Identity {
            kind: kind.clone(),
            api_version: api_version.clone(),
            namespace: graph.intern(crate::meta::namespace(metadata)),
            name: crate::meta::name(metadata).into(),
            uid: graph.uid(crate::meta::uid(metadata)),
        },
        owners,
        being_deleted: crate::meta::is_deleting(metadata),
        has_orphan_finalizer: has("orphan"),
        has_foreground_finalizer: has("foregroundDeletion"),
    }
}
