//! The end of a pod. Upstream: `SyncTerminatingPod`, `SyncTerminatedPod`.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::worker::{Local, hurries, wait};
use super::{Desired, Inbox};
use crate::kubelet::Kubelet;
use crate::kuberuntime::inspect;
use crate::pod::PodExt;

const RETRY: Duration = Duration::from_secs(1);

impl Kubelet {
    /// Stops all that runs, reports how it ended, and releases volumes and cgroup. Logs and dead containers stay for `kubectl logs`.
    pub(super) async fn terminate_pod(self: &Arc<Self>, inbox: &Inbox, local: &mut Local) {
        loop {
            let Desired { pod, removed, .. } = inbox.desired();
            local.pod = pod.clone();
            let grace = pod.grace_period();
            let stopped = tokio::select! {
                biased;
                () = hurries(inbox, grace, removed) => continue,
                stopped = self.stop_once(&pod, local, removed) => stopped,
            };
            if stopped {
                break;
            }
            wait(inbox, Some(Instant::now() + RETRY)).await;
        }
        local.prober.stop();
        let Desired { pod, .. } = inbox.desired();
        self.objects.follow(pod.uid(), pod.namespace(), &[]);
        if let Ok(runtime) = inspect(&self.cri, pod.uid(), &mut local.cache).await {
            local.waiting.clear();
            self.report(&pod, local, &runtime, true);
        }
        self.release_node_resources(pod.uid()).await;
        self.images.forget_pod(pod.uid());
        self.update_qos_cgroups();
    }

    /// One try to stop everything; true when nothing runs any more.
    async fn stop_once(
        self: &Arc<Self>,
        pod: &Arc<k8s_openapi::api::core::v1::Pod>,
        local: &mut Local,
        removed: bool,
    ) -> bool {
        let runtime = match inspect(&self.cri, pod.uid(), &mut local.cache).await {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::debug!(%error, pod = pod.name(), "runtime does not answer");
                return false;
            }
        };
        local.prober.sync(self, pod, &runtime, true);
        if !removed {
            self.report(pod, local, &runtime, false);
        }
        // Gone from the API without a word: what grace it had is over. An evicted pod has none.
        let grace = (removed || local.evicted).then_some(1);
        if let Err(error) = self.kill_pod(Some(pod), &runtime, grace).await {
            tracing::warn!(%error, pod = pod.name(), "pod is not stopped yet");
            self.recorder.warning(&self.recorder.pod(pod), "FailedKillPod", &format!("error killing pod: {error}"));
            return false;
        }
        match inspect(&self.cri, pod.uid(), &mut local.cache).await {
            Ok(runtime) => runtime.alive().next().is_none(),
            Err(_) => false,
        }
    }

    /// Waits until the API object goes (asking for it once the pod is to be deleted), then removes the last traces.
    pub(super) async fn remove_pod(self: &Arc<Self>, inbox: &Inbox, local: &mut Local) {
        let mut asked = false;
        loop {
            let Desired { pod, removed, .. } = inbox.desired();
            if removed {
                break;
            }
            if pod.deleting() && !asked {
                asked = true;
                if let Ok(runtime) = inspect(&self.cri, pod.uid(), &mut local.cache).await {
                    self.report(&pod, local, &runtime, true);
                }
                self.status.finish(&pod);
            }
            wait(inbox, None).await;
        }
        let pod = inbox.desired().pod;
        loop {
            let removed = match inspect(&self.cri, pod.uid(), &mut local.cache).await {
                Ok(runtime) => self.remove_pod_from_runtime(&runtime).await,
                Err(error) => Err(error),
            };
            match removed {
                Ok(()) => break,
                Err(error) => tracing::debug!(%error, pod = pod.name(), "pod is not removed from the runtime yet"),
            }
            wait(inbox, Some(Instant::now() + RETRY)).await;
        }
        self.release_node_resources(pod.uid()).await;
        self.remove_logs(pod.namespace(), pod.name(), pod.uid());
        self.status.forget(pod.uid());
        tracing::debug!(pod = pod.name(), namespace = pod.namespace(), "pod is removed");
    }
}
