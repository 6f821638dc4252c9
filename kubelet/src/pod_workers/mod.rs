//! One worker a pod. Upstream: `kubelet/pod_workers.go`.
//!
//! ```text
//!   syncing ──(deleted, over, refused, deadline)──> terminating ──(nothing runs)──> terminated ──(gone from the API)──> removed
//! ```
//! A worker alone touches its pod, so nothing about a pod needs a lock. It is woken by changes of the pod in the API, of its containers
//! ([`crate::pleg`]), of probe results and of objects its volumes show, and otherwise sleeps. A step that a deletion overtakes is dropped
//! where it stands: every step finds out from the runtime what is there, so a dropped one leaves nothing to undo.

pub(crate) mod admission;
pub(crate) mod resize;
mod sync;
mod terminate;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

use crate::eviction::Eviction;
use crate::kubelet::Kubelet;
use crate::pod::PodExt;

/// What the API wants of a pod, as its worker last heard.
#[derive(Debug, Clone)]
pub(crate) struct Desired {
    pub(crate) pod: Arc<Pod>,
    /// Gone from the API.
    pub(crate) removed: bool,
    /// The node cannot keep it.
    pub(crate) evicted: Option<Eviction>,
}

/// How others reach a worker.
#[derive(Debug)]
pub(crate) struct Inbox {
    desired: Mutex<Desired>,
    /// Something happened that the worker should look at.
    pub(crate) wake: Arc<Notify>,
    /// The pod in the API changed: what is being done may be out of date.
    changed: Notify,
    /// Objects that the pod's volumes show have changed.
    volumes_changed: std::sync::atomic::AtomicBool,
}

impl Inbox {
    fn new(pod: Arc<Pod>) -> Self {
        Self {
            desired: Mutex::new(Desired { pod, removed: false, evicted: None }),
            wake: Arc::new(Notify::new()),
            changed: Notify::new(),
            volumes_changed: std::sync::atomic::AtomicBool::new(false),
        }
    }

    pub(crate) fn desired(&self) -> Desired {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, change: impl FnOnce(&mut Desired)) {
        change(&mut self.desired.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
        self.wake.notify_one();
    }
}

/// All workers.
#[derive(Debug, Default)]
pub(crate) struct PodWorkers {
    inboxes: Mutex<HashMap<String, Arc<Inbox>>>,
}

impl PodWorkers {
    fn inboxes(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a pod of the API to its worker, which is started if there is none.
    pub(crate) fn update(&self, kubelet: &Arc<Kubelet>, pod: Arc<Pod>) {
        let uid = pod.uid().to_owned();
        let mut inboxes = self.inboxes();
        if let Some(inbox) = inboxes.get(&uid) {
            inbox.update(|desired| desired.pod = pod);
            return;
        }
        let inbox = Arc::new(Inbox::new(pod));
        inboxes.insert(uid.clone(), inbox.clone());
        drop(inboxes);
        let kubelet = kubelet.clone();
        let shutdown = kubelet.shutdown.clone();
        component::spawn("pod worker", async move {
            // At shutdown workers stop where they are; containers run on and the next kubelet finds them.
            let ended = tokio::select! {
                () = shutdown.cancelled() => false,
                () = worker::run(kubelet.clone(), inbox) => true,
            };
            if ended {
                kubelet.workers.inboxes().remove(&uid);
            }
        });
    }

    /// The pod is gone from the API.
    pub(crate) fn remove(&self, pod: &Pod) {
        if let Some(inbox) = self.inboxes().get(pod.uid()) {
            inbox.update(|desired| desired.removed = true);
        }
    }

    /// Something about this pod changed outside the API. False when it has no worker.
    pub(crate) fn wake(&self, uid: &str) -> bool {
        match self.inboxes().get(uid) {
            Some(inbox) => {
                inbox.wake.notify_one();
                true
            }
            None => false,
        }
    }

    /// The node cannot keep the pod: it fails and is stopped at once.
    pub(crate) fn evict(&self, uid: &str, eviction: Eviction) {
        if let Some(inbox) = self.inboxes().get(uid) {
            inbox.update(|desired| {
                desired.evicted.get_or_insert(eviction);
            });
        }
    }

    /// What the pod's volumes show has changed.
    pub(crate) fn wake_for_volumes(&self, uid: &str) {
        if let Some(inbox) = self.inboxes().get(uid) {
            inbox.volumes_changed.store(true, std::sync::atomic::Ordering::Release);
            inbox.wake.notify_one();
        }
    }

    /// Whether the pod has a worker.
    pub(crate) fn has(&self, uid: &str) -> bool {
        self.inboxes().contains_key(uid)
    }

    /// Wakes all: the runtime came back, or its network did.
    pub(crate) fn wake_all(&self) {
        for inbox in self.inboxes().values() {
            inbox.wake.notify_one();
        }
    }
}
