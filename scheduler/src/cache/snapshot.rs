//! What one scheduling cycle reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::NodeInfo;

/// All nodes, in an order that goes round the zones, so that a search that stops early still spreads over them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    /// The nodes.
    pub nodes: Vec<Arc<NodeInfo>>,
    /// Places in `nodes`, by name.
    index: HashMap<Arc<str>, usize>,
    /// Places of nodes that hold pods with terms about other pods.
    pub with_affinity: Vec<usize>,
    /// Places of nodes that hold pods that may keep others away.
    pub with_required_anti_affinity: Vec<usize>,
    /// On how many nodes each image is.
    pub image_nodes: HashMap<Arc<str>, usize>,
    affinity_changed: bool,
    /// Counts the orders of nodes; a new one makes every index void.
    order: u64,
    /// The newest change it shows.
    generation: u64,
    /// The generation of each node, side by side for quick looking through.
    generations: Vec<u64>,
}

impl Snapshot {
    /// A snapshot of these nodes.
    #[cfg(test)]
    pub(crate) fn of(nodes: impl IntoIterator<Item = NodeInfo>) -> Self {
        let nodes: Vec<Arc<NodeInfo>> = nodes.into_iter().map(Arc::new).collect();
        let mut images: HashMap<Arc<str>, usize> = HashMap::new();
        for name in nodes.iter().flat_map(|info| info.node.images.iter().flat_map(|image| &image.names)) {
            *images.entry(name.as_str().into()).or_default() += 1;
        }
        let mut snapshot = Self::default();
        snapshot.rebuild(&nodes, &images);
        snapshot
    }

    /// The place of a node.
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// A node by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<NodeInfo>> {
        self.index_of(name).map(|index| &self.nodes[index])
    }

    /// Counts the orders of nodes: while it stays the same, so does each node's index.
    pub(crate) fn order(&self) -> u64 {
        self.order
    }

    /// The newest change it shows.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The generation of each node, by index.
    pub(crate) fn generations(&self) -> &[u64] {
        &self.generations
    }

    pub(super) fn set_generation(&mut self, generation: u64) {
        self.generation = generation;
    }

    pub(super) fn rebuild<'a>(
        &mut self,
        nodes: impl IntoIterator<Item = &'a Arc<NodeInfo>>,
        image_nodes: &HashMap<Arc<str>, usize>,
    ) {
        let mut zones: BTreeMap<(String, String), Vec<&Arc<NodeInfo>>> = BTreeMap::new();
        for info in nodes {
            let (region, zone) = info.node.zone_key();
            zones.entry((region.to_owned(), zone.to_owned())).or_default().push(info);
        }
        for zone in zones.values_mut() {
            zone.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        }
        self.nodes.clear();
        let longest = zones.values().map(Vec::len).max().unwrap_or(0);
        for round in 0..longest {
            self.nodes.extend(zones.values().filter_map(|zone| zone.get(round)).map(|info| Arc::clone(info)));
        }
        self.index = self.nodes.iter().enumerate().map(|(index, info)| (info.name().into(), index)).collect();
        self.generations = self.nodes.iter().map(|info| info.generation).collect();
        self.order += 1;
        self.image_nodes.clone_from(image_nodes);
        self.affinity_changed = true;
        self.finish_update();
    }

    pub(super) fn replace(&mut self, info: &Arc<NodeInfo>) {
        let Some(index) = self.index_of(info.name()) else { return };
        let old = &mut self.nodes[index];
        self.affinity_changed |= (old.with_affinity > 0) != (info.with_affinity > 0)
            || (old.with_required_anti_affinity > 0) != (info.with_required_anti_affinity > 0);
        *old = info.clone();
        self.generations[index] = info.generation;
    }

    pub(super) fn finish_update(&mut self) {
        if !std::mem::take(&mut self.affinity_changed) {
            return;
        }
        let places = |holds: fn(&NodeInfo) -> bool| {
            self.nodes.iter().enumerate().filter(|(_, info)| holds(info)).map(|(index, _)| index).collect()
        };
        let with_affinity = places(|info| info.with_affinity > 0);
        let with_required_anti_affinity = places(|info| info.with_required_anti_affinity > 0);
        self.with_affinity = with_affinity;
        self.with_required_anti_affinity = with_required_anti_affinity;
    }
}
