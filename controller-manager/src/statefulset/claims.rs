//! Who owns the claims of a set, by `persistentVolumeClaimRetentionPolicy`: whoever owns a claim takes it along.
//!
//! Upstream: isClaimOwnerUpToDate, updateClaimOwnerRefForSetAndPod.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::identity;
use crate::meta;

/// `(when scaled, when deleted)`: true means delete.
fn policy(set: &StatefulSet) -> (bool, bool) {
    let policy = set.spec.persistent_volume_claim_retention_policy.clone().unwrap_or_default();
    let deletes = |value: Option<String>| value.as_deref() == Some("Delete");
    (deletes(policy.when_scaled), deletes(policy.when_deleted))
}

fn names<K: k8s_openapi::Resource>(reference: &OwnerReference, owner: &ObjectMeta) -> bool {
    reference.api_version == K::API_VERSION && reference.kind == K::KIND && reference.name == meta::name(owner)
}

fn is_stale<K: k8s_openapi::Resource>(claim: &PersistentVolumeClaim, owner: &ObjectMeta) -> bool {
    let reference = claim.metadata.owner_references.iter().flatten().find(|reference| names::<K>(reference, owner));
    reference.is_some_and(|reference| reference.uid != meta::uid(owner))
}

/// The claim still belongs to a pod of the same name that is gone: wait until the garbage collector has taken it.
pub(super) fn belongs_to_former(set: &StatefulSet, claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    policy(set).0 && is_stale::<Pod>(claim, &pod.metadata)
}

/// The claim with the owners its policy asks for, if they differ.
pub(super) fn corrected(set: &StatefulSet, pod: &Pod, claim: &PersistentVolumeClaim) -> Option<PersistentVolumeClaim> {
    if is_stale::<StatefulSet>(claim, &set.metadata) || is_stale::<Pod>(claim, &pod.metadata) {
        return None;
    }
    let (when_scaled, when_deleted) = policy(set);
    let present = claim.metadata.owner_references.clone().unwrap_or_default();
    let ours = |reference: &OwnerReference| {
        names::<StatefulSet>(reference, &set.metadata) || names::<Pod>(reference, &pod.metadata)
    };
    let mut wanted: Vec<OwnerReference> = present.iter().filter(|reference| !ours(reference)).cloned().collect();
    // Somebody else manages the claim: the policy is not for it.
    let managed_elsewhere = wanted.iter().any(|reference| reference.controller == Some(true));
    let scaled_down = identity::ordinal(pod).is_none_or(|ordinal| !identity::is_in_range(set, ordinal));
    if !managed_elsewhere {
        if when_deleted && !(when_scaled && scaled_down) {
            wanted.push(meta::controller_ref::<StatefulSet>(&set.metadata));
        }
        if when_scaled && scaled_down {
            wanted.push(meta::controller_ref::<Pod>(&pod.metadata));
        }
    }
    let same = present.len() == wanted.len() && wanted.iter().all(|reference| present.contains(reference));
    if same {
        return None;
    }
    let mut claim = claim.clone();
    claim.metadata.owner_references = Some(wanted);
    Some(claim)
}
