//! Claiming: which of the selected objects a controller manages, and the patches that adopt orphans and release strays.
//!
//! Upstream: controller.BaseControllerRefManager.

use std::sync::Arc;

use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::Selector;
use serde_json::json;

use crate::engine::{Applier, Error, Operation, PatchKind, Resource, Write, apply};
use crate::meta;

/// The outcome of looking at all candidates.
#[derive(Debug)]
pub(crate) struct Claim<K> {
    /// Already managed and still selected.
    pub owned: Vec<Arc<K>>,
    /// Selected but managed by nobody: to be adopted.
    pub adopt: Vec<Arc<K>>,
    /// Managed but no longer selected: to be released.
    pub release: Vec<Arc<K>>,
}

/// Sorts `candidates` (owned by `owner` or orphans of its namespace). `wanted` filters what may be adopted.
pub(crate) fn plan<K: Metadata<Ty = ObjectMeta>>(
    owner: &ObjectMeta,
    selector: &Selector,
    candidates: impl IntoIterator<Item = Arc<K>>,
    wanted: impl Fn(&K) -> bool,
) -> Claim<K> {
    let mut claim = Claim { owned: Vec::new(), adopt: Vec::new(), release: Vec::new() };
    for object in candidates {
        let metadata = object.metadata();
        let selected = meta::selects(selector, metadata) && wanted(&object);
        match meta::controller_of(metadata) {
            Some(reference) if Some(&reference.uid) != owner.uid.as_ref() => {}
            Some(_) if selected => claim.owned.push(object),
            Some(_) if !meta::is_deleting(owner) => claim.release.push(object),
            Some(_) => {}
            None => {
                let possible = selected && !meta::is_deleting(owner) && !meta::is_deleting(metadata);
                if possible && metadata.namespace == owner.namespace {
                    claim.adopt.push(object);
                }
            }
        }
    }
    claim
}

/// The patch that makes `owner` the object's controller.
pub(crate) fn adopt<K: Metadata<Ty = ObjectMeta>>(
    metadata: &ObjectMeta,
    owner: &OwnerReference,
    finalizers: &[&str],
) -> Write {
    let mut body = json!({"metadata": {"uid": metadata.uid, "ownerReferences": [owner]}});
    if !finalizers.is_empty() {
        body["metadata"]["finalizers"] = json!(finalizers);
    }
    Write::patch::<K>(metadata, PatchKind::Strategic, body)
}

/// The patch that frees the object from the controller with `owner_uid`.
pub(crate) fn release<K: Metadata<Ty = ObjectMeta>>(
    metadata: &ObjectMeta,
    owner_uid: &str,
    finalizers: &[&str],
) -> Write {
    let mut body =
        json!({"metadata": {"uid": metadata.uid, "ownerReferences": [{"$patch": "delete", "uid": owner_uid}]}});
    if !finalizers.is_empty() {
        body["metadata"]["$deleteFromPrimitiveList/finalizers"] = json!(finalizers);
    }
    Write::patch::<K>(metadata, PatchKind::Strategic, body)
}

/// Carries a claim out and returns everything now managed.
///
/// Before the first adoption the owner is read past the cache: an owner that is being deleted must not adopt what its
/// end orphaned a moment ago.
pub(crate) async fn apply<K, Owner>(
    applier: &Applier,
    owner: &ObjectMeta,
    claim: Claim<K>,
    finalizers: &[&str],
) -> Result<Vec<Arc<K>>, Error>
where
    K: Metadata<Ty = ObjectMeta>,
    Owner: Metadata<Ty = ObjectMeta> + serde::de::DeserializeOwned,
{
    for object in &claim.release {
        match applier.write(&release::<K>(object.metadata(), meta::uid(owner), finalizers)).await {
            // Gone, or somebody else's already.
            Err(error) if error.is_not_found() || error.is_invalid() => {}
            other => drop(other?),
        }
    }
    let mut owned = claim.owned;
    if claim.adopt.is_empty() {
        return Ok(owned);
    }
    let path = Resource::of::<Owner>().path(meta::namespace(owner), meta::name(owner), "");
    let fresh: Owner = apply::get(applier.client(), &path).await?;
    if fresh.metadata().uid != owner.uid || meta::is_deleting(fresh.metadata()) {
        let object = format!("{} {}", Owner::KIND, meta::name(owner));
        return Err(Error::Stale { object, message: "gone or being deleted, cannot adopt".to_owned() });
    }
    let reference = meta::controller_ref::<Owner>(owner);
    for object in claim.adopt {
        match applier.apply(Operation::Write(adopt::<K>(object.metadata(), &reference, finalizers))).await {
            Ok(()) => owned.push(object),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(owned)
}
