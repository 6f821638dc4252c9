//! Gives up pods before the node runs out of memory or disk, and tells the node's pressure conditions. Upstream: `pkg/kubelet/eviction`.
//!
//! Every ten seconds what is left is compared with the hard thresholds ([`signals`]); under pressure the pod that is ranked first goes
//! ([`rank`], pure), one at a time. A condition stays for five minutes after its cause, so that the scheduler is not told yes and no in turn.
//! emptyDirs that outgrew their sizeLimit take their own pod, pressure or not.

pub(crate) mod rank;
mod signals;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use tokio::time::Instant;

use crate::kubelet::Kubelet;
use crate::pod::PodExt;
use crate::resources::value;

use rank::Candidate;
use signals::Observed;

/// Upstream: `evictionMonitoringPeriod`.
const INTERVAL: Duration = Duration::from_secs(10);
/// Upstream: `evictionPressureTransitionPeriod`.
const TRANSITION: Duration = Duration::from_secs(300);

/// What the node is short of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
}

/// Reason and message of a pod that had to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Eviction {
    pub(crate) message: String,
}

/// When each pressure was last seen.
#[derive(Debug, Default)]
struct Seen {
    memory: Option<Instant>,
    disk: Option<Instant>,
}

impl Seen {
    /// Takes an observation; answers the conditions to tell.
    fn observe(&mut self, now: Instant, short: Pressure) -> Pressure {
        if short.memory {
            self.memory = Some(now);
        }
        if short.disk {
            self.disk = Some(now);
        }
        let lately = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < TRANSITION);
        Pressure { memory: lately(self.memory), disk: lately(self.disk) }
    }
}

/// Runs until shutdown.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let mut seen = Seen::default();
    let mut tick = tokio::time::interval(INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let Some(observed) = Observed::look(&kubelet.config.root_dir) else { continue };
        let short = observed.short(&kubelet.config);
        let pressure = seen.observe(Instant::now(), short);
        kubelet.pressure.send_if_modified(|before| std::mem::replace(before, pressure) != pressure);
        if short != Pressure::default() {
            evict_one(&kubelet, &observed, short);
        }
        evict_outgrown(&kubelet).await;
    }
}

fn evict_one(kubelet: &Kubelet, observed: &Observed, short: Pressure) {
    let pods = kubelet.pods.list();
    let candidates: Vec<Candidate> = pods
        .iter()
        .filter(|pod| !pod.finished() && !pod.deleting() && !rank::is_critical(pod))
        .map(|pod| Candidate::of(pod, kubelet.cgroups.usage(Some(pod)).map_or(0, |(_, memory)| memory)))
        .collect();
    let Some(first) = rank::first(candidates) else {
        tracing::warn!(?short, "the node is short of resources, and there is no pod to evict");
        return;
    };
    let (resource, threshold, left) = if short.memory {
        let threshold = kubelet.config.eviction_hard_memory.of(observed.memory_total);
        ("memory", threshold, observed.memory_available)
    } else {
        let threshold = kubelet.config.eviction_hard_nodefs.of(observed.disk_total);
        ("ephemeral-storage", threshold, observed.disk_available)
    };
    let quantity = |bytes: i64| crate::resources::bytes(bytes).0;
    let message = format!(
        "The node was low on resource: {resource}. Threshold quantity: {}, available: {}. ",
        quantity(threshold),
        quantity(left)
    );
    tracing::warn!(pod.uid = %first, %message, "pod is evicted");
    kubelet.workers.evict(&first, Eviction { message });
}

/// Pods with an emptyDir on disk that is larger than its sizeLimit.
async fn evict_outgrown(kubelet: &Arc<Kubelet>) {
    for pod in kubelet.pods.list() {
        if pod.finished() || pod.deleting() {
            continue;
        }
        for (name, limit, text) in limited_volumes(&pod) {
            let dir = kubelet.config.pod_dir(pod.uid()).join("volumes").join("kubernetes.io~empty-dir").join(&name);
            let used = tokio::task::spawn_blocking(move || disk_usage(&dir)).await.unwrap_or(0);
            if used > limit {
                let message = format!("Usage of EmptyDir volume \"{name}\" exceeds the limit \"{text}\". ");
                tracing::warn!(pod = pod.name(), %message, "pod is evicted");
                kubelet.workers.evict(pod.uid(), Eviction { message });
            }
        }
    }
}

/// Name, limit in bytes and as written.
fn limited_volumes(pod: &Pod) -> Vec<(String, i64, String)> {
    let volumes = pod.spec().volumes.iter().flatten();
    volumes
        .filter_map(|volume| {
            let source = volume.empty_dir.as_ref()?;
            let on_disk = source.medium.as_deref().unwrap_or_default().is_empty();
            let limit = source.size_limit.as_ref().filter(|limit| on_disk && value(limit) > 0)?;
            Some((volume.name.clone(), value(limit), limit.0.clone()))
        })
        .collect()
}

/// Bytes on disk of a folder; links are not followed.
fn disk_usage(dir: &Path) -> i64 {
    use std::os::unix::fs::MetadataExt;
    let mut total = 0i64;
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(meta) = entry.path().symlink_metadata() else { continue };
        total = total.saturating_add(i64::try_from(meta.blocks()).unwrap_or(0) * 512);
        if meta.is_dir() {
            total = total.saturating_add(disk_usage(&entry.path()));
        }
    }
    total
}
