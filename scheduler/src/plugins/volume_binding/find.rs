//! Which volume a claim gets on a node, or that one is to be made there.

use std::sync::Arc;

use super::Reserved;
use crate::cache::Cluster;
use crate::framework::{Status, Verdict};
use crate::objects::{Node, PersistentVolume, PersistentVolumeClaim, SELECTED_NODE};

/// What binding a pod's waiting claims takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Claims that get an existing volume.
    pub(super) bindings: Vec<(Arc<PersistentVolumeClaim>, Arc<PersistentVolume>)>,
    /// Claims to be provisioned on the node.
    pub(super) provisions: Vec<Arc<PersistentVolumeClaim>>,
}

/// Upstream: `volumeBinder.checkBoundClaims`.
pub(super) fn check_bound(claims: &[Arc<PersistentVolumeClaim>], cluster: &Cluster, node: &Node) -> Verdict {
    for claim in claims {
        let Some(volume) = cluster.volumes.get("", &claim.volume_name) else {
            return Err(Status::unresolvable(
                "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
            ));
        };
        if !reaches(volume, node) {
            return Err(Status::unresolvable("node(s) didn't match PersistentVolume's node affinity"));
        }
    }
    Ok(())
}

/// Finds a volume for each waiting claim, smallest claims first, or a class that can make one here.
/// Upstream: `volumeBinder.FindPodVolumes`.
pub(super) fn place(
    claims: &[Arc<PersistentVolumeClaim>],
    cluster: &Cluster,
    reserved: &Reserved,
    node: &Node,
) -> Result<Plan, Status> {
    let conflict = || Status::unresolvable("node(s) didn't find available persistent volumes to bind");
    let mut plan = Plan::default();
    let mut claims: Vec<&Arc<PersistentVolumeClaim>> = claims.iter().collect();
    claims.sort_by_key(|claim| claim.request);
    for claim in claims {
        match claim.annotation(SELECTED_NODE) {
            Some(selected) if selected != node.name() => return Err(conflict()),
            Some(_) => {}
            None => {
                if let Some(volume) = find_volume(claim, cluster, reserved, node, &plan) {
                    plan.bindings.push((claim.clone(), volume));
                    continue;
                }
            }
        }
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
        if claim.class.is_empty() {
            return Err(Status::error(format!("no class for claim \"{namespace}/{name}\"")));
        }
        let Some(class) = cluster.storage_classes.get("", &claim.class) else {
            return Err(Status::error(format!("failed to find storage class \"{}\"", claim.class)));
        };
        let topologies = &class.allowed_topologies;
        let allowed = topologies.is_empty() || topologies.iter().any(|term| term.matches(node.labels()));
        if !class.provisions() || !allowed {
            return Err(conflict());
        }
        plan.provisions.push(claim.clone());
    }
    Ok(plan)
}

fn reaches(volume: &PersistentVolume, node: &Node) -> bool {
    volume.node_affinity.as_ref().is_none_or(|affinity| affinity.matches(node.name(), node.labels()))
}

/// The smallest volume that will do; one that is already promised to the claim comes first.
/// Upstream: `volume.FindMatchingVolume`.
fn find_volume(
    claim: &PersistentVolumeClaim,
    cluster: &Cluster,
    reserved: &Reserved,
    node: &Node,
    plan: &Plan,
) -> Option<Arc<PersistentVolume>> {
    let namespace = claim.metadata.namespace.as_deref().unwrap_or_default();
    let name = claim.metadata.name.as_deref().unwrap_or_default();
    let uid = claim.metadata.uid.as_deref().unwrap_or_default();
    let mut best: Option<&Arc<PersistentVolume>> = None;
    for (key, volume) in cluster.volumes.iter() {
        let chosen = plan.bindings.iter().any(|(_, taken)| taken.metadata.name == volume.metadata.name);
        let suits = volume.class == claim.class
            && volume.volume_mode == claim.volume_mode
            && volume.capacity >= claim.request
            && volume.metadata.deletion_timestamp.is_none()
            && claim.access_modes.iter().all(|mode| volume.access_modes.contains(mode))
            && reaches(volume, node);
        if chosen || !suits {
            continue;
        }
        if let Some((for_namespace, for_name, for_uid)) = &volume.claim {
            let ours = for_namespace == namespace && for_name == name && (for_uid.is_empty() || for_uid == uid);
            if ours {
                return Some(volume.clone());
            }
            continue;
        }
        let labels = volume.metadata.labels.clone().unwrap_or_default();
        let selected = claim.selector.as_ref().is_none_or(|selector| selector.matches(&labels));
        if !volume.available || !selected || reserved.is_taken(&key.name, uid) {
            continue;
        }
        if best.is_none_or(|best| volume.capacity < best.capacity) {
            best = Some(volume);
        }
    }
    best.cloned()
}
