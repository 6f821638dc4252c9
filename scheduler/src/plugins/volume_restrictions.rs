//! VolumeRestrictions: disks that only one pod a node may use, and claims that only one pod at all may use.

use crate::cache::NodeInfo;
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::{Pod, Volume};

/// Upstream: `plugins/volumerestrictions`.
#[derive(Debug)]
pub(super) struct VolumeRestrictions;

#[derive(Clone, Debug)]
struct Restrictions<'a> {
    pod: &'a Pod,
    /// Claims of the pod with the access mode `ReadWriteOncePod`.
    once: Vec<&'a str>,
    /// Other pods that use one of them.
    in_use: i64,
}

impl Restrictions<'_> {
    fn uses(&self, pod: &Pod) -> i64 {
        if pod.namespace() != self.pod.namespace() {
            return 0;
        }
        pod.claims().filter(|(name, _)| self.once.contains(name)).count() as i64
    }
}

fn clash(one: &Volume, other: &Volume) -> bool {
    match (one, other) {
        (
            Volume::Disk { identity: a, read_only: a_only, exclusive },
            Volume::Disk { identity: b, read_only: b_only, .. },
        ) => a == b && (*exclusive || !(*a_only && *b_only)),
        _ => false,
    }
}

impl<'a> Filter<'a> for Restrictions<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        let taken = |volume: &Volume| node.pods.iter().any(|pod| pod.volumes.iter().any(|other| clash(volume, other)));
        if self.pod.volumes.iter().any(taken) {
            return Err(Status::unschedulable("node(s) had no available disk"));
        }
        if self.in_use > 0 {
            return Err(Status::unschedulable(
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod",
            ));
        }
        Ok(())
    }

    fn add_pod(&mut self, pod: &Pod, _node: &NodeInfo) {
        self.in_use += self.uses(pod);
    }

    fn remove_pod(&mut self, pod: &Pod, _node: &NodeInfo) {
        self.in_use -= self.uses(pod);
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

impl Plugin for VolumeRestrictions {
    fn name(&self) -> &'static str {
        "VolumeRestrictions"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::NodeAdd(_) => Hint::Queue,
            ClusterEvent::AssignedPodDelete(gone) => {
                let shares = |volume: &Volume| gone.volumes.iter().any(|other| other == volume || clash(volume, other));
                Hint::when(pod.volumes.iter().any(shares))
            }
            ClusterEvent::Claim(claim) => Hint::when(claim.metadata.namespace.as_deref() == Some(pod.namespace())),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let pod = cycle.pod;
        let has_disk = pod.volumes.iter().any(|volume| matches!(volume, Volume::Disk { .. }));
        let once: Vec<&str> = pod
            .claims()
            .map(|(name, _)| name)
            .filter(|name| {
                let claim = cycle.cluster.claims.get(pod.namespace(), name);
                claim.is_some_and(|claim| claim.access_modes.iter().any(|mode| mode == "ReadWriteOncePod"))
            })
            .collect();
        if !has_disk && once.is_empty() {
            return PreFilter::Skip;
        }
        let mut in_use = 0;
        for name in &once {
            let key = format!("{}/{name}", pod.namespace());
            in_use += cycle.snapshot.nodes.iter().filter_map(|info| info.claims.get(&key)).sum::<usize>() as i64;
        }
        PreFilter::Filter(Box::new(Restrictions { pod, once, in_use }))
    }
}
