//! NodeVolumeLimits: a CSI driver attaches only so many volumes to a node.

use std::collections::{BTreeMap, BTreeSet};

use crate::cache::{Cluster, NodeInfo};
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreFilter, Status, Verdict};
use crate::objects::Pod;

/// Upstream: `plugins/nodevolumelimits`, `CSILimits`.
#[derive(Debug)]
pub(super) struct NodeVolumeLimits;

#[derive(Clone, Debug)]
struct Limits<'a> {
    cluster: &'a Cluster,
    /// Driver to the identities of the pod's volumes.
    wanted: BTreeMap<String, BTreeSet<String>>,
}

/// The CSI volumes of a pod by driver; a claim not bound yet stands for the volume it will get.
fn volumes(pod: &Pod, cluster: &Cluster) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in pod.claims() {
        let Some(claim) = cluster.claims.get(pod.namespace(), name) else { continue };
        let volume = cluster.volumes.get("", &claim.volume_name).and_then(|volume| volume.csi.clone());
        let by_class = || {
            let class = cluster.storage_classes.get("", &claim.class)?;
            Some((class.provisioner.clone(), format!("{}/{name}", pod.namespace())))
        };
        if let Some((driver, handle)) = volume.or_else(by_class) {
            found.entry(driver).or_default().insert(handle);
        }
    }
    found
}

impl Plugin for NodeVolumeLimits {
    fn name(&self) -> &'static str {
        "NodeVolumeLimits"
    }

    fn queueing_hint(&self, _pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::CsiNode | ClusterEvent::Claim(_) | ClusterEvent::NodeAdd(_) => Hint::Queue,
            ClusterEvent::AssignedPodDelete(gone) => Hint::when(gone.claims().next().is_some()),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        let wanted = volumes(cycle.pod, cycle.cluster);
        if wanted.is_empty() {
            return PreFilter::Skip;
        }
        PreFilter::Filter(Box::new(Limits { cluster: cycle.cluster, wanted }))
    }
}

impl<'a> Filter<'a> for Limits<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        let Some(csi_node) = self.cluster.csi_nodes.get("", node.name()) else { return Ok(()) };
        if !self.wanted.keys().any(|driver| csi_node.limits.contains_key(driver)) {
            return Ok(());
        }
        let mut attached: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for pod in &node.pods {
            for (driver, handles) in volumes(pod, self.cluster) {
                attached.entry(driver).or_default().extend(handles);
            }
        }
        for (driver, wanted) in &self.wanted {
            let Some(limit) = csi_node.limits.get(driver) else { continue };
            let present = attached.get(driver);
            let new = wanted.iter().filter(|handle| !present.is_some_and(|present| present.contains(*handle))).count();
            if new > 0 && present.map_or(0, BTreeSet::len) + new > usize::try_from(*limit).unwrap_or(0) {
                return Err(Status::unschedulable("node(s) exceed max volume count"));
            }
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}
