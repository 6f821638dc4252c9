//! Pods that wait: for their turn, for their back-off, or for something to change.
//!
//! ```text
//!            add                    pop (also from backoff when active is empty)
//! (new) ------------> active_q ------------------> (scheduling cycle)
//!   |                  ^    ^                        |            |
//!   | gated            |    '----- backoff_q <-------'(failure)   | turned down
//!   v                  |               ^                          v
//! gated --gate opens---'               '------- unschedulable_pods (until an event helps, or 5 minutes)
//! ```
//!
//! No clock is read here: every method is told the time. Upstream counterpart: `pkg/scheduler/backend/queue`.

mod nominator;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub(crate) use nominator::Nominator;

use crate::framework::{ClusterEvent, PluginSet, Profile};
use crate::objects::Pod;
use crate::plugins::{QueueKey, queue_key};

/// How long a pod may stay unschedulable before it is tried again without a reason.
/// Upstream: `podMaxInUnschedulablePodsDuration`.
pub(crate) const MAX_IN_UNSCHEDULABLE: Duration = Duration::from_secs(5 * 60);

/// A pod with the history of its attempts. Upstream: `framework.QueuedPodInfo`.
#[derive(Clone, Debug)]
pub(crate) struct QueuedPod {
    /// The pod as last seen.
    pub pod: Arc<Pod>,
    /// When it came, or came back, into the queue.
    pub timestamp: Instant,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was first tried.
    pub initial_attempt: Option<Instant>,
    /// The plugins that turned it down last.
    pub plugins: PluginSet,
    /// How often plugins turned it down.
    unschedulable_count: u32,
    /// How often in a row something else went wrong.
    error_count: u32,
}

impl QueuedPod {
    /// A pod that was not tried yet.
    pub(crate) fn new(pod: Arc<Pod>, now: Instant) -> Self {
        Self {
            pod,
            timestamp: now,
            attempts: 0,
            initial_attempt: None,
            plugins: PluginSet::default(),
            unschedulable_count: 0,
            error_count: 0,
        }
    }
}

/// Where a waiting pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active(QueueKey),
    /// Until when; true after an error, which is never cut short.
    Backoff(Instant, bool),
    Unschedulable,
    /// Held back by the plugin of this place before it entered.
    Gated(usize),
}

#[derive(Debug)]
struct Waiting {
    queued: QueuedPod,
    place: Place,
}

/// How many pods wait where. Upstream: the metric `scheduler_pending_pods`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    /// Ready to be tried.
    pub active: usize,
    /// In back-off.
    pub backoff: usize,
    /// Turned down.
    pub unschedulable: usize,
    /// Held back.
    pub gated: usize,
}

/// The scheduling queue. Upstream: `PriorityQueue`.
#[derive(Debug)]
pub(crate) struct SchedulingQueue {
    profile: Arc<Profile>,
    initial_backoff: Duration,
    max_backoff: Duration,
    pods: HashMap<Arc<str>, Waiting>,
    active_q: BTreeMap<QueueKey, Arc<str>>,
    /// By the end of the wait.
    backoff_q: BTreeSet<(Instant, Arc<str>)>,
    error_backoff_q: BTreeSet<(Instant, Arc<str>)>,
    /// By the time they were turned down.
    unschedulable_pods: BTreeSet<(Instant, Arc<str>)>,
    gated: BTreeSet<Arc<str>>,
    next_number: u64,
    /// Pods for which room is being made.
    pub nominator: Nominator,
}

impl SchedulingQueue {
    /// An empty queue. `profile` says what may enter and which events help.
    pub(crate) fn new(profile: Arc<Profile>, initial_backoff: Duration, max_backoff: Duration) -> Self {
        Self {
            profile,
            initial_backoff,
            max_backoff,
            pods: HashMap::new(),
            active_q: BTreeMap::new(),
            backoff_q: BTreeSet::new(),
            error_backoff_q: BTreeSet::new(),
            unschedulable_pods: BTreeSet::new(),
            gated: BTreeSet::new(),
            next_number: 0,
            nominator: Nominator::default(),
        }
    }

    /// A pod that waits for the first time.
    pub(crate) fn add(&mut self, pod: Arc<Pod>, now: Instant) {
        self.nominator.update(None, &pod);
        self.take(pod.uid());
        self.enter(QueuedPod::new(pod, now));
    }

    /// A waiting pod changed. `event` is the change as the plugins see it, when it may matter.
    /// False when the pod does not wait here.
    pub(crate) fn update(&mut self, pod: &Arc<Pod>, event: Option<&ClusterEvent<'_>>, now: Instant) -> bool {
        let Some(waiting) = self.pods.get_mut(pod.uid()) else { return false };
        let old = std::mem::replace(&mut waiting.queued.pod, pod.clone());
        let (place, plugins) = (waiting.place, waiting.queued.plugins);
        self.nominator.update(Some(&old), pod);
        match place {
            Place::Active(_) if old.priority != pod.priority => self.activate(pod.uid()),
            Place::Unschedulable if event.is_some_and(|event| self.profile.is_worth_requeuing(pod, plugins, event)) => {
                self.readmit(pod.uid(), now);
            }
            Place::Gated(_) if self.profile.pre_enqueue(pod).is_ok() => self.activate(pod.uid()),
            _ => {}
        }
        true
    }

    /// A waiting pod is gone, or is assigned.
    pub(crate) fn delete(&mut self, uid: &str) {
        self.nominator.remove(uid);
        self.take(uid);
    }

    /// The next pod to try: the first of the active queue, else the one whose back-off ends first (errors excepted).
    /// It is the caller's until it is given back. Upstream: `Pop` with `SchedulerPopFromBackoffQ`.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<QueuedPod> {
        let uid = match self.active_q.first_key_value() {
            Some((_, uid)) => uid.clone(),
            None => self.backoff_q.first()?.1.clone(),
        };
        let mut queued = self.take(&uid)?;
        queued.attempts += 1;
        queued.initial_attempt.get_or_insert(now);
        Some(queued)
    }

    /// Takes a pod back that plugins turned down. Upstream: `AddUnschedulablePodIfNotPresent`.
    pub(crate) fn add_unschedulable(&mut self, mut queued: QueuedPod, plugins: PluginSet, now: Instant) {
        queued.plugins = plugins;
        queued.timestamp = now;
        queued.unschedulable_count += 1;
        queued.error_count = 0;
        self.put(queued, Place::Unschedulable);
    }

    /// Takes a pod back after something else went wrong: it is tried again after a wait.
    pub(crate) fn add_failed(&mut self, mut queued: QueuedPod, now: Instant) {
        queued.plugins = PluginSet::default();
        queued.timestamp = now;
        queued.error_count += 1;
        let until = self.backoff_end(&queued);
        self.put(queued, Place::Backoff(until, true));
    }

    /// Something happened: pods it may help are tried again. Upstream: `MoveAllToActiveOrBackoffQueue`.
    pub(crate) fn move_all(&mut self, event: &ClusterEvent<'_>, now: Instant) {
        let profile = &self.profile;
        let helped = |uid: &&Arc<str>| {
            let waiting = self.pods.get(&***uid);
            waiting
                .is_some_and(|waiting| profile.is_worth_requeuing(&waiting.queued.pod, waiting.queued.plugins, event))
        };
        let helped: Vec<Arc<str>> =
            self.unschedulable_pods.iter().map(|(_, uid)| uid).filter(helped).cloned().collect();
        for uid in helped {
            self.readmit(&uid, now);
        }
    }

    /// Lets a waiting pod be tried again after a wait, as after an error.
    pub(crate) fn back_off(&mut self, uid: &str, now: Instant) {
        if let Some(queued) = self.take(uid) {
            self.add_failed(queued, now);
        }
    }

    /// Lets a pod that waits for something to change, or is held back, be tried at once. Upstream: `Activate`.
    pub(crate) fn activate(&mut self, uid: &str) {
        if let Some(queued) = self.take(uid) {
            self.enter(queued);
        }
    }

    /// Moves what has waited long enough.
    pub(crate) fn flush(&mut self, now: Instant) {
        let backoff = self.backoff_q.iter().take_while(|(until, _)| *until <= now);
        let failed = self.error_backoff_q.iter().take_while(|(until, _)| *until <= now);
        let due: Vec<Arc<str>> = backoff.chain(failed).map(|(_, uid)| uid.clone()).collect();
        for uid in due {
            self.activate(&uid);
        }
        let overdue = |(since, _): &&(Instant, Arc<str>)| *since + MAX_IN_UNSCHEDULABLE <= now;
        let due: Vec<Arc<str>> =
            self.unschedulable_pods.iter().take_while(overdue).map(|(_, uid)| uid.clone()).collect();
        for uid in due {
            self.readmit(&uid, now);
        }
    }

    /// When [`flush`](Self::flush) will have something to do.
    pub(crate) fn next_flush(&self) -> Option<Instant> {
        let backoff = [self.backoff_q.first(), self.error_backoff_q.first()].into_iter().flatten().map(|(at, _)| *at);
        let overdue = self.unschedulable_pods.first().map(|(since, _)| *since + MAX_IN_UNSCHEDULABLE);
        backoff.chain(overdue).min()
    }

    /// True when [`pop`](Self::pop) will give a pod.
    pub(crate) fn is_ready(&self) -> bool {
        !self.active_q.is_empty() || !self.backoff_q.is_empty()
    }

    /// Whether a pod waits here.
    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.pods.contains_key(uid)
    }

    /// Whether a plugin holds a pod back.
    pub(crate) fn is_gated(&self, uid: &str) -> bool {
        self.gated.contains(uid)
    }

    /// How many pods wait where.
    pub(crate) fn pending(&self) -> Pending {
        Pending {
            active: self.active_q.len(),
            backoff: self.backoff_q.len() + self.error_backoff_q.len(),
            unschedulable: self.unschedulable_pods.len(),
            gated: self.gated.len(),
        }
    }

    /// A pod may be tried again: at once when its back-off is over, else then.
    fn readmit(&mut self, uid: &str, now: Instant) {
        let Some(queued) = self.take(uid) else { return };
        let until = self.backoff_end(&queued);
        if until > now {
            self.put(queued, Place::Backoff(until, false));
        } else {
            self.enter(queued);
        }
    }

    fn backoff_end(&self, queued: &QueuedPod) -> Instant {
        let count = if queued.error_count > 0 { queued.error_count } else { queued.unschedulable_count };
        let doubled = match count {
            0 => Duration::ZERO,
            count => self.initial_backoff.saturating_mul(1_u32.checked_shl(count - 1).unwrap_or(u32::MAX)),
        };
        queued.timestamp + doubled.min(self.max_backoff)
    }

    /// Lets a pod into the active queue, unless a plugin holds it back.
    fn enter(&mut self, queued: QueuedPod) {
        let place = match self.profile.pre_enqueue(&queued.pod) {
            Ok(()) => {
                self.next_number += 1;
                Place::Active(queue_key(&queued.pod, queued.timestamp, self.next_number))
            }
            Err(plugin) => Place::Gated(plugin),
        };
        self.put(queued, place);
    }

    fn put(&mut self, queued: QueuedPod, place: Place) {
        let uid: Arc<str> = queued.pod.uid().into();
        match place {
            Place::Backoff(until, false) => self.backoff_q.insert((until, uid.clone())),
            Place::Backoff(until, true) => self.error_backoff_q.insert((until, uid.clone())),
            Place::Unschedulable => self.unschedulable_pods.insert((queued.timestamp, uid.clone())),
            Place::Active(key) => self.active_q.insert(key, uid.clone()).is_none(),
            Place::Gated(_) => self.gated.insert(uid.clone()),
        };
        self.pods.insert(uid, Waiting { queued, place });
    }

    fn take(&mut self, uid: &str) -> Option<QueuedPod> {
        let (uid, Waiting { queued, place }) = self.pods.remove_entry(uid)?;
        match place {
            Place::Active(key) => drop(self.active_q.remove(&key)),
            Place::Backoff(until, false) => drop(self.backoff_q.remove(&(until, uid))),
            Place::Backoff(until, true) => drop(self.error_backoff_q.remove(&(until, uid))),
            Place::Unschedulable => drop(self.unschedulable_pods.remove(&(queued.timestamp, uid))),
            Place::Gated(_) => drop(self.gated.remove(&uid)),
        }
        Some(queued)
    }
}

#[cfg(test)]
mod tests;
