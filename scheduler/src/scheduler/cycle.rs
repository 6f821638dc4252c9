//! One pod's turn: decide, then let other tasks write.
//!
//! Upstream: `schedule_one.go`.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Done, Scheduler};
use crate::events::Type;
use crate::framework::{ClusterEvent, Cycle, Diagnosis, PluginSet, PreBind, fit_error};
use crate::metrics::Attempt;
use crate::objects::Pod;
use crate::plugins::names;
use crate::preemption;
use crate::queue::QueuedPod;
use crate::schedule::{Failure, schedule};

/// Upstream: `ErrNoNodesAvailable`.
const NO_NODES: &str = "no nodes available to schedule pods";

/// What one cycle came to.
enum Decision {
    /// Bind to this node, after doing this.
    Bind(String, Vec<Box<dyn PreBind>>),
    /// Turned down by these plugins.
    Unschedulable(PluginSet, String, Nomination),
    /// Something else went wrong.
    Failed(String),
}

/// What becomes of the promise of a node.
enum Nomination {
    Keep,
    Clear,
    /// Promised this node once these pods have left it.
    Set(String, Vec<Arc<Pod>>),
}

impl Scheduler {
    /// Gives the next pod its turn.
    pub(super) fn schedule_one(&mut self) {
        let Some(queued) = self.queue.pop(Instant::now()) else { return };
        let pod = queued.pod.clone();
        if pod.is_terminating() {
            let note = format!("skip schedule deleting pod: {}/{}", pod.namespace(), pod.name());
            self.recorder.record(&pod, Type::Warning, "FailedScheduling", "Scheduling", note);
            return;
        }
        if self.cache.contains(pod.uid()) {
            return;
        }
        let start = Instant::now();
        self.cache.update_snapshot(&mut self.snapshot);
        match self.decide(&pod) {
            Decision::Bind(node, before) => self.begin_binding(queued, start, node, before),
            Decision::Unschedulable(plugins, message, nomination) => {
                self.metrics.attempt(&self.config.scheduler_name, Attempt::Unschedulable, start);
                self.turned_down(queued, plugins, &message, nomination);
            }
            Decision::Failed(message) => {
                self.metrics.attempt(&self.config.scheduler_name, Attempt::Error, start);
                self.failed(queued, &message);
            }
        }
    }

    fn decide(&mut self, pod: &Arc<Pod>) -> Decision {
        let cycle = Cycle { pod, snapshot: &self.snapshot, cluster: &self.cluster };
        let nominator = &self.queue.nominator;
        let chosen = match schedule(&self.profile, &cycle, nominator, &mut self.search) {
            Ok(chosen) => chosen,
            Err(Failure::NoNodes) => {
                // What waits for any node at all waits as if for its name.
                let mut plugins = PluginSet::default();
                self.profile.index(names::NODE_NAME).into_iter().for_each(|plugin| plugins.insert(plugin));
                return Decision::Unschedulable(plugins, NO_NODES.to_owned(), Nomination::Clear);
            }
            Err(Failure::Error(status)) => return Decision::Failed(status.message()),
            Err(Failure::Unfit(mut diagnosis, state)) => {
                let nomination = match preemption::find(&self.profile, &cycle, &state, &diagnosis, nominator) {
                    preemption::Outcome::Preempt { node, victims, message } => {
                        self.metrics.preemption(victims.len());
                        diagnosis.post_filter_message = message;
                        Nomination::Set(node, victims)
                    }
                    preemption::Outcome::Hopeless { message } => {
                        self.metrics.preemption(0);
                        diagnosis.post_filter_message = message;
                        Nomination::Clear
                    }
                    preemption::Outcome::NotEligible { message } => {
                        diagnosis.post_filter_message = message;
                        Nomination::Keep
                    }
                };
                let message = fit_error(self.snapshot.nodes.len(), &diagnosis);
                return Decision::Unschedulable(diagnosis.plugins, message, nomination);
            }
        };
        tracing::debug!(
            pod.namespace = pod.namespace(),
            pod.name = pod.name(),
            node = chosen.node.name(),
            chosen.evaluated,
            chosen.feasible,
            "node chosen"
        );
        match self.profile.reserve(&cycle, &chosen.node) {
            Ok(before) => Decision::Bind(chosen.node.name().to_owned(), before),
            Err((plugin, status)) if status.is_rejected() => {
                let mut plugins = PluginSet::default();
                plugins.insert(plugin);
                let diagnosis = Diagnosis { nodes: vec![(0, status)], ..Diagnosis::default() };
                Decision::Unschedulable(plugins, fit_error(1, &diagnosis), Nomination::Clear)
            }
            Err((_, status)) => Decision::Failed(status.message()),
        }
    }

    /// Takes the pod as bound and lets a task bind it.
    fn begin_binding(&mut self, queued: QueuedPod, start: Instant, node: String, before: Vec<Box<dyn PreBind>>) {
        let pod = queued.pod.clone();
        self.cache.assume_pod(&pod, &node);
        self.queue.nominator.remove(pod.uid());
        self.binding += 1;
        let (profile, recorder, done) = (self.profile.clone(), self.recorder.clone(), self.done.clone());
        let statuses = self.statuses.clone();
        component::spawn("bind pod", async move {
            let outcome = async {
                if !before.is_empty() {
                    // It may take long: others (autoscalers) are told where the pod is going.
                    statuses.expect(&pod, &node).await;
                }
                for step in &before {
                    step.pre_bind().await?;
                }
                profile.bind(&pod, &node).await
            };
            let verdict = outcome.await;
            if verdict.is_ok() {
                let note = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
                recorder.record(&pod, Type::Normal, "Scheduled", "Binding", note);
            }
            // The loop is gone only at shutdown.
            let _ = done.send(Done::Bind(Box::new(queued), start, verdict)).await;
        });
    }

    /// Takes the outcome of a task in.
    pub(super) fn finish(&mut self, outcome: Done) {
        match outcome {
            Done::Bind(queued, start, Ok(())) => {
                self.binding -= 1;
                self.metrics.attempt(&self.config.scheduler_name, Attempt::Scheduled, start);
                self.metrics.bound(&queued);
            }
            Done::Bind(queued, start, Err(status)) => {
                self.binding -= 1;
                self.metrics.attempt(&self.config.scheduler_name, Attempt::Error, start);
                let pod = queued.pod.clone();
                if self.cache.is_assumed(pod.uid()) {
                    self.cache.forget_pod(pod.uid());
                    self.wake(&ClusterEvent::AssignedPodDelete(&pod));
                }
                self.failed(*queued, &status.message());
            }
            Done::Preempted { uid, succeeded } => {
                self.preempting.end(&uid);
                if !succeeded {
                    // Nothing else would wake it.
                    self.queue.back_off(&uid, Instant::now());
                } else if self.queue.is_gated(&uid) {
                    // Room came while it was held back.
                    self.queue.activate(&uid);
                }
            }
        }
    }

    /// The pod as it is now, if it still is to be scheduled.
    fn still_waits(&self, queued: &mut QueuedPod) -> bool {
        match self.watches.newest(&queued.pod) {
            Some(newest) if newest.uid() == queued.pod.uid() && newest.node_name.is_empty() => {
                queued.pod = newest;
                true
            }
            _ => false,
        }
    }

    fn turned_down(&mut self, mut queued: QueuedPod, plugins: PluginSet, message: &str, nomination: Nomination) {
        if !self.still_waits(&mut queued) {
            return;
        }
        let pod = queued.pod.clone();
        self.queue.add_unschedulable(queued, plugins, Instant::now());
        let nominated = match &nomination {
            Nomination::Keep => None,
            Nomination::Clear => Some(""),
            Nomination::Set(node, _) => Some(node.as_str()),
        };
        if let Nomination::Set(node, victims) = &nomination {
            self.preempt(&pod, node, victims);
        }
        if let Some(node) = nominated {
            self.queue.nominator.add(&pod, node);
        }
        self.say(&pod, "Unschedulable", message, nominated);
    }

    fn failed(&mut self, mut queued: QueuedPod, message: &str) {
        if !self.still_waits(&mut queued) {
            return;
        }
        let pod = queued.pod.clone();
        tracing::warn!(pod.namespace = pod.namespace(), pod.name = pod.name(), message, "pod not scheduled, retrying");
        self.queue.nominator.remove(pod.uid());
        self.queue.add_failed(queued, Instant::now());
        self.say(&pod, "SchedulerError", message, Some(""));
    }

    fn say(&self, pod: &Pod, reason: &str, message: &str, nominated: Option<&str>) {
        self.recorder.record(pod, Type::Warning, "FailedScheduling", "Scheduling", message.to_owned());
        self.statuses.not_scheduled(pod, reason, message, nominated);
    }

    /// Lets a task remove the victims; pods of lower priority that were promised the node look for another.
    fn preempt(&mut self, pod: &Arc<Pod>, node: &str, victims: &[Arc<Pod>]) {
        for displaced in preemption::displaced(pod, node, &self.queue.nominator) {
            self.queue.nominator.remove(displaced.uid());
            self.statuses.clear_nomination(&displaced);
            self.queue.activate(displaced.uid());
        }
        if victims.iter().all(|victim| victim.is_terminating()) {
            return;
        }
        self.preempting.begin(pod.uid());
        let (client, recorder, done) = (self.client.clone(), self.recorder.clone(), self.done.clone());
        let (pod, node, victims) = (pod.clone(), node.to_owned(), victims.to_vec());
        component::spawn("preempt pods", async move {
            let outcome = preemption::execute(&client, &recorder, &pod, &node, &victims).await;
            if let Err(error) = &outcome {
                tracing::warn!(node, %error, "victims not removed");
            }
            let _ = done.send(Done::Preempted { uid: pod.uid().to_owned(), succeeded: outcome.is_ok() }).await;
        });
    }
}
