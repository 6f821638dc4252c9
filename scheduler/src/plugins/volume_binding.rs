//! VolumeBinding: a pod goes where its volumes are, or can be made.
//!
//! Claims bound to a volume limit the nodes by the volume's node affinity. Claims that wait for their first consumer
//! are given a volume, or a node to be provisioned on, once the pod has its node: Reserve decides, PreBind writes it
//! and waits for the controllers to bind. Free capacity that drivers publish (CSIStorageCapacity) is not looked at.

mod bind;
mod find;

use std::sync::Arc;

use crate::cache::{Cluster, NodeInfo};
use crate::framework::{ClusterEvent, Cycle, Filter, Hint, Plugin, PreBind, PreFilter, Status, Verdict};
use crate::objects::{BindingMode, ClaimPhase, PersistentVolumeClaim, Pod};

use bind::Reserved;

/// Upstream: `plugins/volumebinding`.
pub(super) struct VolumeBinding {
    client: Option<kube::Client>,
    /// Volumes promised to a claim and not yet seen bound.
    reserved: Reserved,
}

impl std::fmt::Debug for VolumeBinding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VolumeBinding").field("reserved", &self.reserved).finish_non_exhaustive()
    }
}

impl VolumeBinding {
    pub(super) fn new(client: Option<kube::Client>) -> Self {
        Self { client, reserved: Reserved::default() }
    }
}

/// The claims of a pod.
#[derive(Clone, Debug, Default)]
struct Claims {
    bound: Vec<Arc<PersistentVolumeClaim>>,
    /// To be bound once the pod has a node.
    delayed: Vec<Arc<PersistentVolumeClaim>>,
}

/// Sorts a pod's claims, or says why the pod cannot run yet.
fn sort_claims(pod: &Pod, cluster: &Cluster) -> Result<Claims, Status> {
    let mut claims = Claims::default();
    let mut unbound_immediate = false;
    for (name, ephemeral) in pod.claims() {
        let Some(claim) = cluster.claims.get(pod.namespace(), name) else {
            return Err(Status::unresolvable(if ephemeral {
                format!("waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\"")
            } else {
                format!("persistentvolumeclaim \"{name}\" not found")
            }));
        };
        if claim.phase == ClaimPhase::Lost {
            let volume = &claim.volume_name;
            return Err(Status::unresolvable(format!(
                "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{volume}\""
            )));
        }
        if claim.metadata.deletion_timestamp.is_some() {
            return Err(Status::unresolvable(format!("persistentvolumeclaim \"{name}\" is being deleted")));
        }
        let owners = claim.metadata.owner_references.iter().flatten();
        if ephemeral && !owners.into_iter().any(|owner| owner.controller == Some(true) && owner.uid == pod.uid()) {
            let namespace = pod.namespace();
            let pod = pod.name();
            return Err(Status::unresolvable(format!(
                "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
            )));
        }
        if claim.is_fully_bound() {
            claims.bound.push(claim.clone());
            continue;
        }
        let class = cluster.storage_classes.get("", &claim.class);
        let delayed = class.is_some_and(|class| class.binding_mode == BindingMode::WaitForFirstConsumer);
        if delayed && claim.volume_name.is_empty() {
            claims.delayed.push(claim.clone());
        } else {
            unbound_immediate = true;
        }
    }
    if unbound_immediate {
        return Err(Status::unresolvable("pod has unbound immediate PersistentVolumeClaims"));
    }
    Ok(claims)
}

#[derive(Clone, Debug)]
struct Placement<'a> {
    cluster: &'a Cluster,
    claims: Claims,
    reserved: Reserved,
}

impl<'a> Filter<'a> for Placement<'a> {
    fn filter(&self, node: &NodeInfo) -> Verdict {
        find::check_bound(&self.claims.bound, self.cluster, &node.node)?;
        find::place(&self.claims.delayed, self.cluster, &self.reserved, &node.node).map(|_| ())
    }

    fn boxed(&self) -> Box<dyn Filter<'a> + 'a> {
        Box::new(self.clone())
    }
}

impl Plugin for VolumeBinding {
    fn name(&self) -> &'static str {
        "VolumeBinding"
    }

    fn queueing_hint(&self, pod: &Pod, event: &ClusterEvent<'_>) -> Hint {
        match event {
            ClusterEvent::Claim(claim) => {
                let name = claim.metadata.name.as_deref().unwrap_or_default();
                let ours = claim.metadata.namespace.as_deref() == Some(pod.namespace());
                Hint::when(ours && pod.claims().any(|(wanted, _)| wanted == name))
            }
            ClusterEvent::Volume | ClusterEvent::StorageClass | ClusterEvent::CsiNode | ClusterEvent::NodeAdd(_) => {
                Hint::Queue
            }
            ClusterEvent::NodeUpdate(_, _, change) => Hint::when(change.labels),
            _ => Hint::Skip,
        }
    }

    fn pre_filter<'a>(&'a self, cycle: &Cycle<'a>) -> PreFilter<'a> {
        if cycle.pod.claims().next().is_none() {
            return PreFilter::Skip;
        }
        match sort_claims(cycle.pod, cycle.cluster) {
            Ok(claims) => {
                let reserved = self.reserved.clone();
                PreFilter::Filter(Box::new(Placement { cluster: cycle.cluster, claims, reserved }))
            }
            Err(status) => PreFilter::Reject(status),
        }
    }

    fn reserve(&self, cycle: &Cycle<'_>, node: &NodeInfo) -> Result<Option<Box<dyn PreBind>>, Status> {
        if cycle.pod.claims().next().is_none() {
            return Ok(None);
        }
        let claims = sort_claims(cycle.pod, cycle.cluster)?;
        if claims.delayed.is_empty() {
            return Ok(None);
        }
        let plan = find::place(&claims.delayed, cycle.cluster, &self.reserved, &node.node)?;
        let client = self.client.clone().ok_or_else(|| Status::error("no client to bind volumes with"))?;
        Ok(Some(Box::new(bind::Bindings::new(client, self.reserved.clone(), node.name(), plan))))
    }
}
