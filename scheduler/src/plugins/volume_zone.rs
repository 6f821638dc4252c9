//! VolumeZone: a volume labelled with a zone or region is used from there.

use crate::cache::NodeInfo;
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::{Labels, Pod};

/// The labels that bind a volume to a place, and the other name of each.
const TOPOLOGY_LABELS: [(&str, &str); 4] = [
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
];

/// Upstream: `plugins/volumezone`.
#[derive(Debug)]
pub(super) struct VolumeZone;

/// Label, its other name, and the values allowed.
#[derive(Clone, Debug)]
struct Zones<'a>(Vec<(&'static str, &'static str, Vec<&'a str>)>);

impl Plugin for VolumeZone {
    fn name(&self) -> &'static str {
        "VolumeZone"
    }

    fn queueing_hint(&self, _pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(_) | ClusterEvent::Claim(_) | ClusterEvent::Volume | ClusterEvent::StorageClass => {
                Hint::Queue
            }
            ClusterEvent::NodeUpdate(_, _, change) => Hint::when(change.labels),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let mut zones = Vec::new();
        for (name, _) in cycle.pod.claims() {
            let Some(claim) = cycle.cluster.claims.get(cycle.pod.namespace(), name) else { continue };
            let Some(volume) = cycle.cluster.volumes.get("", &claim.volume_name) else { continue };
            let labels = volume.metadata.labels.iter().flatten();
            for (key, value) in labels {
                if let Some((label, other)) = TOPOLOGY_LABELS.iter().find(|(label, _)| label == key) {
                    zones.push((*label, *other, value.split("__").collect()));
                }
            }
        }
        if zones.is_empty() { PreFilter::Skip } else { PreFilter::Filter(Box::new(Zones(zones))) }
    }
}

impl<'a> Filter<'a> for Zones<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        let labels: &Labels = node.node.labels();
        // A node that says nothing of its place is not held to it.
        if !TOPOLOGY_LABELS.iter().any(|(label, _)| labels.contains_key(*label)) {
            return Ok(());
        }
        for (label, other, allowed) in &self.0 {
            let here = labels.get(*label).or_else(|| labels.get(*other));
            if !here.is_some_and(|here| allowed.contains(&here.as_str())) {
                return Err(Status::unresolvable("node(s) had no available volume zone"));
            }
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}
