//! Writes what the scheduler says in pods' statuses, without making it wait.
//!
//! The newest word about a pod replaces one not yet written; one write a pod is under way at a time, so that words
//! arrive in order. A failed write is not repeated: the next attempt to schedule says it again. Upstream: `updatePod`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Key, WorkQueue};
use component::{Clock, Shutdown, SystemClock};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::objects::Pod;

/// Writes under way at a time.
const WORKERS: usize = 4;

/// Hands out writes. Cloning shares it.
#[derive(Clone)]
pub(crate) struct StatusWriter {
    client: kube::Client,
    queue: WorkQueue<Key>,
    pending: Arc<Mutex<HashMap<Key, Value>>>,
}

impl std::fmt::Debug for StatusWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StatusWriter").finish_non_exhaustive()
    }
}

impl StatusWriter {
    /// A writer that works until `shutdown`.
    pub(crate) fn new(client: kube::Client, shutdown: &Shutdown) -> Self {
        let writer = Self { client, queue: WorkQueue::new(), pending: Arc::default() };
        for _ in 0..WORKERS {
            component::spawn_until("scheduler statuses", shutdown, writer.clone().work());
        }
        writer
    }

    /// Says that a pod could not be scheduled, and where room is made for it (`Some("")`: nowhere; none: as before).
    pub(crate) fn not_scheduled(&self, pod: &Pod, reason: &str, message: &str, nominated: Option<&str>) {
        if let Some(change) = change(pod, reason, message, nominated, SystemClock.now()) {
            self.write(pod, change);
        }
    }

    /// Takes the promise of a node back.
    pub(crate) fn clear_nomination(&self, pod: &Pod) {
        let uid = &pod.metadata.uid;
        self.write(pod, json!({"metadata": {"uid": uid}, "status": {"nominatedNodeName": null}}));
    }

    /// Says where a pod will be bound, and waits until that is written. Upstream: `NominatedNodeNameForExpectation`.
    pub(crate) async fn expect(&self, pod: &Pod, node: &str) {
        let change = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"nominatedNodeName": node}});
        self.patch(&Key::of(pod), change).await;
    }

    fn write(&self, pod: &Pod, change: Value) {
        let key = Key::of(pod);
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), change);
        self.queue.add(key);
    }

    async fn work(self) {
        while let Some(key) = self.queue.get().await {
            let change = self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Some(change) = change {
                self.patch(&key, change).await;
            }
            self.queue.done(&key);
        }
    }

    async fn patch(&self, key: &Key, change: Value) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &key.namespace);
        let written = pods.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(change)).await;
        if let Err(error) = written {
            tracing::debug!(pod = %key, %error, "pod status not written");
        }
    }
}

/// The patch that says it; none when the pod's status says so already.
fn change(pod: &Pod, reason: &str, message: &str, nominated: Option<&str>, now: jiff::Timestamp) -> Option<Value> {
    let old = pod.scheduled_condition.as_ref();
    let same = old.is_some_and(|old| {
        old.status == "False"
            && old.reason.as_deref() == Some(reason)
            && old.message.as_deref() == Some(message)
            && old.observed_generation == pod.metadata.generation
    });
    let nominated = nominated.filter(|node| *node != pod.nominated_node_name);
    if same && nominated.is_none() {
        return None;
    }
    let mut status = serde_json::Map::new();
    if !same {
        // The time of the transition moves only when the status does.
        let since = old.filter(|old| old.status == "False").and_then(|old| old.last_transition_time.clone());
        let mut condition = json!({
            "type": "PodScheduled", "status": "False", "reason": reason, "message": message,
            "lastProbeTime": null, "lastTransitionTime": since.unwrap_or(Time(now)),
        });
        if let Some(generation) = pod.metadata.generation {
            condition["observedGeneration"] = generation.into();
        }
        status.insert("conditions".to_owned(), json!([condition]));
    }
    match nominated {
        None => {}
        Some("") => drop(status.insert("nominatedNodeName".to_owned(), Value::Null)),
        Some(node) => drop(status.insert("nominatedNodeName".to_owned(), node.into())),
    }
    Some(json!({"metadata": {"uid": pod.metadata.uid}, "status": status}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u", "generation": 1}, "status": status}))
            .unwrap()
    }

    #[test]
    fn what_the_status_says_already_is_not_written() {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "m",
            "observedGeneration": 1});
        let pod = pod(json!({"conditions": [condition]}));
        let now = jiff::Timestamp::UNIX_EPOCH;
        assert_eq!(change(&pod, "Unschedulable", "m", Some(""), now), None);
        let patch = change(&pod, "Unschedulable", "m", Some("n"), now).unwrap();
        assert_eq!(patch["status"], json!({"nominatedNodeName": "n"}));
    }

    #[test]
    fn a_new_message_keeps_the_time_of_the_transition() {
        let pod = pod(json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "old", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}));
        let patch = change(&pod, "Unschedulable", "new", None, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let condition = &patch["status"]["conditions"][0];
        assert_eq!(condition["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert_eq!(condition["message"], "new");
    }
}
