//! The engine: runs the plugins of a profile at each extension point.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::{ClusterEvent, Code, Cycle, Filter, Hint, Plugin, PreBind, PreFilter, Score, Status, Verdict};
use crate::cache::NodeInfo;
use crate::objects::Pod;

/// A set of plugins of a profile, by place in its list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PluginSet(u32);

impl PluginSet {
    /// Adds a plugin.
    pub(crate) fn insert(&mut self, plugin: usize) {
        self.0 |= 1 << plugin;
    }

    /// Whether it holds a plugin.
    pub(crate) fn contains(self, plugin: usize) -> bool {
        self.0 & (1 << plugin) != 0
    }
}

/// What the plugins keep for one pod through one cycle. Upstream: `framework.CycleState`.
#[derive(Debug, Default)]
pub(crate) struct CycleState<'a> {
    /// The filter of each plugin that has one for this pod, by place of the plugin.
    filters: Vec<(usize, Box<dyn Filter<'a> + 'a>)>,
}

impl Clone for CycleState<'_> {
    fn clone(&self) -> Self {
        Self { filters: self.filters.iter().map(|(plugin, filter)| (*plugin, filter.boxed())).collect() }
    }
}

impl CycleState<'_> {
    /// Tells the filters of a pod that is thought to run on a node.
    pub(crate) fn add_pod(&mut self, pod: &Pod, node: &NodeInfo) {
        self.filters.iter_mut().for_each(|(_, filter)| filter.add_pod(pod, node));
    }

    /// Tells the filters that a pod is thought gone from a node.
    pub(crate) fn remove_pod(&mut self, pod: &Pod, node: &NodeInfo) {
        self.filters.iter_mut().for_each(|(_, filter)| filter.remove_pod(pod, node));
    }
}

/// What PreFilter gave.
#[derive(Debug)]
pub(crate) enum PreFiltered<'a> {
    /// Look at all nodes, or only at those named; the plugins that named them.
    Nodes(CycleState<'a>, Option<BTreeSet<Cow<'a, str>>>, PluginSet),
    /// No node will do. What was computed is kept where removing pods might help.
    Rejected(CycleState<'a>, Status, PluginSet),
}

/// A scheduler's plugins in the order they run, with the weight of their scores. Upstream: `frameworkImpl`.
#[derive(Debug)]
pub(crate) struct Profile {
    plugins: Vec<(Box<dyn Plugin>, i64)>,
}

impl Profile {
    /// A profile of these plugins and weights.
    pub(crate) fn new(plugins: Vec<(Box<dyn Plugin>, i64)>) -> Self {
        debug_assert!(plugins.len() <= 32, "PluginSet holds 32");
        Self { plugins }
    }

    /// The place of a plugin.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.plugins.iter().position(|(plugin, _)| plugin.name() == name)
    }

    /// The plugins' names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.plugins.iter().map(|(plugin, _)| plugin.name())
    }

    /// PreEnqueue: the first plugin that holds the pod back.
    pub(crate) fn pre_enqueue(&self, pod: &Pod) -> Result<(), usize> {
        match self.plugins.iter().position(|(plugin, _)| plugin.pre_enqueue(pod).is_err()) {
            Some(plugin) => Err(plugin),
            None => Ok(()),
        }
    }

    /// Whether an event may help a pod that `plugins` turned down.
    pub(crate) fn is_worth_requeuing(&self, pod: &Pod, plugins: PluginSet, event: &ClusterEvent<'_>) -> bool {
        let held_by = |(index, _): &(usize, _)| plugins.contains(*index);
        let mut rejectors = self.plugins.iter().enumerate().filter(held_by);
        rejectors.any(|(_, (plugin, _))| plugin.queueing_hint(pod, event) == Hint::Queue)
    }

    /// PreFilter. Upstream: `RunPreFilterPlugins`.
    pub(crate) fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFiltered<'a> {
        let mut state = CycleState::default();
        let mut names: Option<BTreeSet<Cow<'a, str>>> = None;
        let mut naming = PluginSet::default();
        let mut naming_plugins: Vec<&str> = Vec::new();
        let mut rejected: Option<(usize, Status)> = None;
        for (index, (plugin, _)) in self.plugins.iter().enumerate() {
            match plugin.pre_filter(cycle) {
                PreFilter::Skip => {}
                PreFilter::Filter(filter) => state.filters.push((index, filter)),
                PreFilter::FilterOn(allowed, filter) => {
                    state.filters.push((index, filter));
                    naming.insert(index);
                    naming_plugins.push(plugin.name());
                    let narrowed = match names.take() {
                        None => allowed,
                        Some(names) => names.intersection(&allowed).cloned().collect(),
                    };
                    if narrowed.is_empty() {
                        naming_plugins.sort_unstable();
                        let message = match naming_plugins.as_slice() {
                            [one] => format!("node(s) didn't satisfy plugin {one}"),
                            many => format!("node(s) didn't satisfy plugin(s) [{}] simultaneously", many.join(" ")),
                        };
                        return PreFiltered::Rejected(state, Status::unresolvable(message), naming);
                    }
                    names = Some(narrowed);
                }
                PreFilter::Reject(status) => {
                    let status = status.by(plugin.name());
                    match status.code {
                        // Removing pods may help: the state of the other plugins is needed for that.
                        Code::Unschedulable => rejected = Some((index, status)),
                        Code::UnschedulableAndUnresolvable => {
                            let mut plugins = PluginSet::default();
                            plugins.insert(index);
                            return PreFiltered::Rejected(state, status, plugins);
                        }
                        Code::Error => {
                            let name = plugin.name();
                            let text = format!("running PreFilter plugin \"{name}\": {}", status.message());
                            return PreFiltered::Rejected(state, Status::error(text).by(name), PluginSet::default());
                        }
                    }
                }
            }
        }
        match rejected {
            Some((index, status)) => {
                let mut plugins = naming;
                plugins.insert(index);
                PreFiltered::Rejected(state, status, plugins)
            }
            None => PreFiltered::Nodes(state, names, naming),
        }
    }

    /// Filter: the first plugin's refusal, with its place. Upstream: `RunFilterPlugins`.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn filter(&self, state: &CycleState<'_>, node: &NodeInfo) -> Result<(), (usize, Status)> {
        for (plugin, filter) in &state.filters {
            if let Err(status) = filter.filter(node) {
                return Err((*plugin, status.by(self.plugins[*plugin].0.name())));
            }
        }
        Ok(())
    }

    /// PreScore, Score, Normalize and weights: the total of each node. Upstream: `prioritizeNodes`.
    pub(crate) fn score<'a>(&'a self, cycle: &Cycle<'a>, nodes: &[&'a Arc<NodeInfo>]) -> Vec<i64> {
        let mut totals = vec![0; nodes.len()];
        let mut scores = vec![0; nodes.len()];
        for (plugin, weight) in self.plugins.iter().filter(|(_, weight)| *weight != 0) {
            let Some(scorer) = plugin.pre_score(cycle, nodes) else { continue };
            score_all(&*scorer, nodes, &mut scores);
            for ((total, score), node) in totals.iter_mut().zip(&scores).zip(nodes) {
                *total += score * weight;
                tracing::trace!(
                    pod = cycle.pod.name(),
                    plugin = plugin.name(),
                    node = node.name(),
                    score = score * weight,
                    "plugin scored node"
                );
            }
        }
        totals
    }

    /// Reserve and Permit. What is returned must be done before binding.
    ///
    /// # Errors
    /// A refusal, with the plugin's place.
    pub(crate) fn reserve(&self, cycle: &Cycle<'_>, node: &NodeInfo) -> Result<Vec<Box<dyn PreBind>>, (usize, Status)> {
        let mut before_binding = Vec::new();
        for (index, (plugin, _)) in self.plugins.iter().enumerate() {
            let refused = |status: Status| (index, status.by(plugin.name()));
            before_binding.extend(plugin.reserve(cycle, node).map_err(refused)?);
        }
        for (index, (plugin, _)) in self.plugins.iter().enumerate() {
            plugin.permit(cycle, node).map_err(|status| (index, status.by(plugin.name())))?;
        }
        Ok(before_binding)
    }

    /// Bind and PostBind. Upstream: `RunBindPlugins`.
    ///
    /// # Errors
    /// Why the pod could not be bound.
    pub(crate) async fn bind(&self, pod: &Pod, node: &str) -> Verdict {
        for (plugin, _) in &self.plugins {
            let Some(binding) = plugin.bind(pod, node) else { continue };
            let name = plugin.name();
            binding.await.map_err(|status| {
                Status::error(format!("running Bind plugin \"{name}\": {}", status.message())).by(name)
            })?;
            self.plugins.iter().for_each(|(plugin, _)| plugin.post_bind(pod, node));
            return Ok(());
        }
        Err(Status::error("no bind plugin took the pod"))
    }
}

fn score_all(scorer: &dyn Score, nodes: &[&Arc<NodeInfo>], scores: &mut [i64]) {
    for (index, (score, node)) in scores.iter_mut().zip(nodes).enumerate() {
        *score = scorer.score(index, node);
    }
    scorer.normalize(scores);
}
