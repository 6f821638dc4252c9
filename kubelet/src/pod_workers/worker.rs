//! The loop of one pod.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};
use tokio::time::Instant;

use super::resize::ResizeCondition;
use super::{Desired, Inbox};
use crate::kubelet::Kubelet;
use crate::kuberuntime::Cache;
use crate::kuberuntime::backoff::Backoff;
use crate::kuberuntime::state::PodRuntime;
use crate::pod::PodExt;
use crate::prober::PodProber;
use crate::status::generate::{View, Waiting, status};
use crate::volume::{VolumeManager, Volumes};

/// After a failure without a delay of its own.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(10);

/// What a worker remembers of its pod. All of it can be found out again.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) cache: Cache,
    pub(super) crash: Backoff,
    pub(super) waiting: HashMap<String, Waiting>,
    pub(super) prober: PodProber,
    /// The node has accepted the pod.
    pub(super) admitted: bool,
    /// The kubelet decided that the pod has failed: reason and message.
    pub(super) failed: Option<(String, String)>,
    /// The node could not keep it.
    pub(super) evicted: bool,
    /// The volumes as last made.
    pub(super) volumes: Option<Volumes>,
    pub(super) volumes_due: bool,
    pub(super) refresh_at: Option<Instant>,
    pub(super) retries: u32,
    /// The last event that was told of a failing volume or sandbox, which is not told again for each try.
    pub(super) last_complaint: String,
    /// What running containers were last given, by id.
    pub(super) applied: HashMap<String, ResourceRequirements>,
    /// Why a resize is not done.
    pub(super) resize: Option<ResizeCondition>,
    /// A look at the API's present state of the pod is worth a new status.
    pub(super) pod: Arc<Pod>,
}

/// What a step of a worker ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Something was done: look again at once.
    Again,
    /// Nothing to do until something happens, or until then.
    Sleep(Option<Instant>),
    /// Try again soon, later each time.
    Retry,
    /// The pod is over: take down what is left.
    Terminate,
}

/// Runs until the pod is gone from the API and from the node.
pub(super) async fn run(kubelet: Arc<Kubelet>, inbox: Arc<Inbox>) {
    let mut local = Local {
        cache: Cache::default(),
        crash: Backoff::default(),
        waiting: HashMap::new(),
        prober: PodProber::new(inbox.wake.clone()),
        admitted: false,
        failed: None,
        evicted: false,
        volumes: None,
        volumes_due: false,
        refresh_at: None,
        retries: 0,
        last_complaint: String::new(),
        applied: HashMap::new(),
        resize: None,
        pod: inbox.desired().pod,
    };
    loop {
        let Desired { pod, removed, evicted } = inbox.desired();
        // Labels and annotations are what downward API volumes show.
        let relabelled = local.pod.metadata.labels != pod.metadata.labels
            || local.pod.metadata.annotations != pod.metadata.annotations;
        let changed = inbox.volumes_changed.swap(false, std::sync::atomic::Ordering::AcqRel);
        local.volumes_due |= (relabelled || changed) && VolumeManager::changes(&pod);
        local.pod = pod.clone();
        if removed || pod.deleting() || pod.finished() {
            break;
        }
        if let Some(eviction) = evicted {
            kubelet.recorder.warning(&kubelet.recorder.pod(&pod), "Evicted", &eviction.message);
            local.failed = Some(("Evicted".into(), eviction.message));
            local.evicted = true;
            break;
        }
        let next = tokio::select! {
            biased;
            () = ends(&inbox) => continue,
            next = kubelet.sync_pod(&pod, &mut local) => next,
        };
        let until = match next {
            Next::Again => {
                local.retries = 0;
                continue;
            }
            Next::Terminate => break,
            Next::Retry => {
                local.retries += 1;
                let delay = RETRY_FIRST.saturating_mul(1 << local.retries.min(6)).min(RETRY_MAX);
                Some(Instant::now() + delay)
            }
            Next::Sleep(until) => {
                local.retries = 0;
                until
            }
        };
        wait(&inbox, earliest(until, local.refresh_at)).await;
        if local.refresh_at.is_some_and(|at| at <= Instant::now()) {
            local.volumes_due = true;
        }
    }
    kubelet.terminate_pod(&inbox, &mut local).await;
    kubelet.remove_pod(&inbox, &mut local).await;
}

fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Waits for something to happen, at most until then.
pub(super) async fn wait(inbox: &Inbox, until: Option<Instant>) {
    match until {
        Some(until) => {
            tokio::select! {
                () = inbox.wake.notified() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
        None => inbox.wake.notified().await,
    }
}

/// Ends when the API wants the pod gone.
async fn ends(inbox: &Inbox) {
    loop {
        let Desired { pod, removed, evicted } = inbox.desired();
        if removed || pod.deleting() || evicted.is_some() {
            return;
        }
        inbox.changed.notified().await;
    }
}

/// Ends when the pod's grace is now shorter than `grace`, or the pod is gone from the API.
pub(super) async fn hurries(inbox: &Inbox, grace: i64, removed: bool) {
    loop {
        let desired = inbox.desired();
        if (desired.removed && !removed) || (desired.pod.deleting() && desired.pod.grace_period() < grace) {
            return;
        }
        inbox.changed.notified().await;
    }
}

impl Kubelet {
    /// Computes the pod's status and hands it on.
    pub(super) fn report(&self, pod: &Pod, local: &Local, runtime: &PodRuntime, terminal: bool) -> Option<String> {
        let probes = local.prober.results();
        let computed = status(
            pod,
            &View {
                runtime,
                probes: &probes,
                waiting: &local.waiting,
                runtime_name: self.runtime_name(),
                host_ips: &self.host_ips,
                terminal,
                failed: local.failed.as_ref(),
                evicted: local.evicted,
                applied: &local.applied,
                resize: local.resize.as_ref(),
                now: jiff::Timestamp::now(),
            },
        );
        let phase = computed.phase.clone();
        self.status.set(pod, computed);
        phase
    }
}
