//! Sends statuses to the API: each pod's latest, one at a time, again until it is taken. Upstream: `status.Manager`.
//!
//! A worker hands over a status and goes on. Statuses that are overtaken before they were sent are never sent.
//! After a crash nothing is lost: the next kubelet computes the status again from the runtime.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use component::Shutdown;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};

use client::{Informer, WorkQueue};

use super::conditions::{DISRUPTION, OWN};
use super::patch::patch;
use crate::pod::PodExt;

/// After a failure; an API server that was away for long must not be waited for any longer.
const RETRY: Duration = Duration::from_secs(1);
/// How many statuses are on their way at once.
const SENDERS: usize = 8;

#[derive(Debug, Clone)]
struct Wanted {
    namespace: String,
    name: String,
    status: Option<Arc<PodStatus>>,
    /// Everything of the pod is gone from this node: the API object may go.
    delete: bool,
}

/// The latest status of each pod.
pub(crate) struct StatusManager {
    client: kube::Client,
    pods: Informer<Pod>,
    wanted: Mutex<HashMap<String, Wanted>>,
    /// What the API last answered, which the watch may not have brought yet.
    sent: Mutex<HashMap<String, Arc<PodStatus>>>,
    queue: WorkQueue<String>,
}

impl std::fmt::Debug for StatusManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusManager").finish_non_exhaustive()
    }
}

impl StatusManager {
    pub(crate) fn new(client: kube::Client, pods: Informer<Pod>) -> Arc<Self> {
        Arc::new(Self { client, pods, wanted: Mutex::default(), sent: Mutex::default(), queue: WorkQueue::new() })
    }

    /// Starts the senders.
    pub(crate) fn start(self: &Arc<Self>, shutdown: &Shutdown) {
        for _ in 0..SENDERS {
            let this = self.clone();
            component::spawn_until("pod status", shutdown, async move {
                while let Some(uid) = this.queue.get().await {
                    match this.send(&uid).await {
                        Ok(()) => this.queue.forget(&uid),
                        Err(error) => {
                            tracing::debug!(%error, pod.uid = %uid, "pod status is not written yet");
                            this.queue.add_after(uid.clone(), RETRY);
                        }
                    }
                    this.queue.done(&uid);
                }
            });
        }
    }

    fn wanted(&self) -> std::sync::MutexGuard<'_, HashMap<String, Wanted>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<PodStatus>>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a pod's status; it is sent if it differs from what the API has.
    pub(crate) fn set(&self, pod: &Pod, status: PodStatus) {
        let uid = pod.uid().to_owned();
        {
            let mut wanted = self.wanted();
            let entry = wanted.entry(uid.clone()).or_insert_with(|| Wanted {
                namespace: pod.namespace().into(),
                name: pod.name().into(),
                status: None,
                delete: false,
            });
            if entry.status.as_deref() == Some(&status) && !entry.delete {
                // Sent before; but if somebody else changed the object, the patch is computed again.
                let known = self.pods.get(pod.namespace(), pod.name());
                if known.is_some_and(|known| known.status.as_ref() == Some(&status)) {
                    return;
                }
            }
            entry.status = Some(Arc::new(status));
        }
        self.queue.add(uid);
    }

    /// The pod's containers, volumes and cgroup are gone: after its last status its API object is deleted.
    pub(crate) fn finish(&self, pod: &Pod) {
        let uid = pod.uid().to_owned();
        self.wanted()
            .entry(uid.clone())
            .or_insert_with(|| Wanted {
                namespace: pod.namespace().into(),
                name: pod.name().into(),
                status: None,
                delete: false,
            })
            .delete = true;
        self.queue.add(uid);
    }

    /// Forgets a pod that is gone from the API.
    pub(crate) fn forget(&self, uid: &str) {
        self.wanted().remove(uid);
        self.sent().remove(uid);
    }

    /// The latest status handed over, sent or not.
    pub(crate) fn get(&self, uid: &str) -> Option<Arc<PodStatus>> {
        self.wanted().get(uid).and_then(|wanted| wanted.status.clone())
    }

    async fn send(&self, uid: &str) -> Result<(), kube::Error> {
        let Some(wanted) = self.wanted().get(uid).cloned() else { return Ok(()) };
        let known = self.pods.get(&wanted.namespace, &wanted.name).filter(|pod| pod.uid() == uid);
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &wanted.namespace);
        if let Some(status) = &wanted.status {
            let empty = PodStatus::default();
            let sent = self.sent().get(uid).cloned();
            let base = sent.as_deref().or_else(|| known.as_ref().and_then(|pod| pod.status.as_ref())).unwrap_or(&empty);
            let mut status = (**status).clone();
            if let Some(known) = &known {
                keep_foreign_conditions(known.status(), &mut status);
            }
            if let Some(patch) = patch(uid, base, &status) {
                let params = PatchParams::default();
                match api.patch_status(&wanted.name, &params, &Patch::Strategic(patch)).await {
                    Ok(_) => {
                        self.sent().insert(uid.to_owned(), Arc::new(status));
                    }
                    Err(error) if is_gone(&error) => {
                        self.forget(uid);
                        return Ok(());
                    }
                    Err(error) => {
                        // Not known what the API has now: next time the whole status is sent.
                        self.sent().remove(uid);
                        return Err(error);
                    }
                }
            }
        }
        if wanted.delete {
            let params = DeleteParams {
                grace_period_seconds: Some(0),
                preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
                ..DeleteParams::default()
            };
            match api.delete(&wanted.name, &params).await {
                Ok(_) => {}
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Conditions that others wrote in the meantime are not the kubelet's to change.
fn keep_foreign_conditions(known: &PodStatus, status: &mut PodStatus) {
    let foreign = known.conditions.iter().flatten().filter(|condition| !OWN.contains(&condition.type_.as_str()));
    let conditions = status.conditions.get_or_insert_default();
    let ours = |condition: &PodCondition| {
        OWN.contains(&condition.type_.as_str())
            || (condition.type_ == DISRUPTION && condition.reason.as_deref() == Some("TerminationByKubelet"))
    };
    conditions.retain(ours);
    let missing: Vec<_> =
        foreign.filter(|foreign| conditions.iter().all(|own| own.type_ != foreign.type_)).cloned().collect();
    conditions.extend(missing);
}

/// The pod is gone, or another of its name has taken its place (the uid in the patch or precondition conflicts).
fn is_gone(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code == 404 || (status.code == 409 && status.message.contains("UID")),
        _ => false,
    }
}
