//! Notices what containers do: by CRI's events, by containerd's own where its CRI has none (before 2.0), else by a list each second.
//! Upstream: `pleg`.
//!
//! Only tells workers that something about their pod changed; they look themselves. The kubelet's own actions need no notice: a worker
//! looks again after each. The same loop keeps an eye on the runtime's health.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::kubelet::{Kubelet, RuntimeState};
use crate::kuberuntime::labels::POD_UID;

/// Without events. Upstream's generic PLEG does the same.
const RELIST: Duration = Duration::from_secs(1);
/// With events a list only finds what an event would have missed.
const RELIST_WITH_EVENTS: Duration = Duration::from_secs(5);
const AFTER_SIGN: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];
const TRY_EVENTS_AGAIN: Duration = Duration::from_secs(10);
/// How often the runtime is asked how it is, once it is well.
const HEALTH: Duration = Duration::from_secs(5);
/// A runtime that is restarted is not reported missing. Upstream: `baseRuntimeSyncThreshold`.
const PATIENCE: Duration = Duration::from_secs(30);
/// And before, at first; each look that finds it unwell doubles the pause.
const HEALTH_AT_START: Duration = Duration::from_millis(50);

/// Pod uid to a digest of what it has.
type Seen = HashMap<String, u64>;

/// Runs until shutdown.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let health = watch_health(kubelet.clone());
    let changes = watch_changes(kubelet);
    tokio::join!(health, changes);
}

/// Where signs of change come from.
enum Source {
    /// CRI's events name the pod.
    Cri(cri::Events),
    /// containerd's own only say that something ended.
    Containerd(tonic::Streaming<cri::containerd::Envelope>),
    /// Nowhere: only lists tell.
    None,
}

impl Source {
    async fn open(cri: &cri::Client) -> Self {
        if let Ok(events) = cri.container_events().await {
            return Self::Cri(events);
        }
        match cri::containerd::exits(cri).await {
            Ok(events) => Self::Containerd(events),
            Err(_) => Self::None,
        }
    }

    /// How long until the next list without a sign.
    fn pause(&self) -> Duration {
        if matches!(self, Self::None) { RELIST } else { RELIST_WITH_EVENTS }
    }

    /// The next sign; false when the source has dried up.
    async fn next(&mut self, kubelet: &Kubelet) -> bool {
        match self {
            Self::Cri(events) => match events.next().await {
                Some(Ok(event)) => {
                    if let Some(uid) = event.pod_sandbox_status.and_then(|s| s.metadata).map(|metadata| metadata.uid) {
                        kubelet.workers.wake(&uid);
                    }
                    true
                }
                _ => false,
            },
            Self::Containerd(events) => matches!(events.next().await, Some(Ok(_))),
            Self::None => std::future::pending().await,
        }
    }
}

async fn watch_changes(kubelet: Arc<Kubelet>) {
    let mut seen = Seen::new();
    let mut source = Source::open(&kubelet.cri).await;
    let mut opened = Instant::now();
    // After a sign the list is asked at once and, since CRI may learn of it a moment later, twice more.
    let mut soon: &[Duration] = &[];
    loop {
        if let Err(error) = relist(&kubelet, &mut seen).await {
            tracing::debug!(%error, "containers are not listed");
        }
        let pause = match soon.split_first() {
            Some((next, rest)) => {
                soon = rest;
                *next
            }
            None => source.pause(),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            more = source.next(&kubelet) => {
                soon = &AFTER_SIGN;
                if !more {
                    tokio::time::sleep(RELIST).await;
                    source = Source::open(&kubelet.cri).await;
                    opened = Instant::now();
                }
            }
        }
        // A runtime that was away, or was replaced by a newer one, may have events now.
        if matches!(source, Source::None) && opened.elapsed() > TRY_EVENTS_AGAIN {
            source = Source::open(&kubelet.cri).await;
            opened = Instant::now();
        }
    }
}

/// Lists everything and wakes the workers whose pods look different.
async fn relist(kubelet: &Arc<Kubelet>, seen: &mut Seen) -> Result<(), cri::Error> {
    let (sandboxes, containers) =
        tokio::try_join!(kubelet.cri.list_pod_sandbox(None), kubelet.cri.list_containers(None))?;
    let mut digests: HashMap<String, Vec<(String, i32)>> = HashMap::new();
    for sandbox in sandboxes {
        if let Some(uid) = sandbox.labels.get(POD_UID) {
            digests.entry(uid.clone()).or_default().push((sandbox.id, sandbox.state));
        }
    }
    for container in containers {
        if let Some(uid) = container.labels.get(POD_UID) {
            digests.entry(uid.clone()).or_default().push((container.id, container.state + 10));
        }
    }
    let mut now = Seen::with_capacity(digests.len());
    for (uid, mut parts) in digests {
        parts.sort();
        let mut hasher = std::hash::DefaultHasher::new();
        parts.hash(&mut hasher);
        now.insert(uid, hasher.finish());
    }
    for (uid, digest) in &now {
        if seen.get(uid) != Some(digest) && !kubelet.workers.wake(uid) {
            kubelet.orphan(uid);
        }
    }
    for uid in seen.keys().filter(|uid| !now.contains_key(*uid)) {
        kubelet.workers.wake(uid);
    }
    *seen = now;
    Ok(())
}

async fn watch_health(kubelet: Arc<Kubelet>) {
    let mut said = false;
    let mut answered: Option<Instant> = None;
    let mut unwell = HEALTH_AT_START;
    loop {
        let state = match kubelet.cri.status(false).await {
            Ok(answer) => {
                let conditions = answer.status.unwrap_or_default().conditions;
                let problem = |name: &str| match conditions.iter().find(|condition| condition.r#type == name) {
                    Some(condition) if condition.status => None,
                    Some(condition) => {
                        Some(format!("{name}=false reason:{} message:{}", condition.reason, condition.message))
                    }
                    None => Some(format!("{name} is not reported")),
                };
                if said {
                    tracing::info!("container runtime answers again");
                    said = false;
                }
                answered = Some(Instant::now());
                RuntimeState { unreachable: None, runtime: problem("RuntimeReady"), network: problem("NetworkReady") }
            }
            Err(error) => {
                if !said {
                    tracing::error!(%error, "container runtime does not answer: start it, or set its endpoint; waiting");
                    said = true;
                }
                if answered.is_some_and(|at| at.elapsed() < PATIENCE) {
                    tokio::time::sleep(RELIST).await;
                    continue;
                }
                let text = error.to_string();
                RuntimeState { unreachable: Some(text.clone()), runtime: Some(text.clone()), network: Some(text) }
            }
        };
        let well = state.is_ready();
        let changed = kubelet.runtime_state.send_if_modified(|before| {
            let differs = *before != state;
            *before = state;
            differs
        });
        if changed {
            kubelet.workers.wake_all();
        }
        let pause = if well { HEALTH } else { unwell };
        unwell = if well { HEALTH_AT_START } else { (unwell * 2).min(HEALTH) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = kubelet.look_at_runtime.notified() => unwell = HEALTH_AT_START,
        }
    }
}
