//! persistentvolumeclaim-, persistentvolume- and volumeattributesclass-protection-controller: what is in use is not deleted.
//!
//! Each is a finalizer that is taken off when the object is to be deleted and nobody uses it any more: a claim no pod
//! with a node names, a volume that is not bound, a class that no claim and no volume names.
//!
//! Upstream: pkg/controller/volume/pvcprotection, pvprotection, vacprotection.

use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::Metadata;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Serialize;

use crate::engine::{Applier, Context, Controller, Error, Key, Plan, Requeue, Resource, Write, apply};
use crate::{meta, pods};

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
const CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";
const BY_CLAIM: &str = "claim";
const BY_CLASS: &str = "attributes class";

/// The claims a pod names, directly or by a generic ephemeral volume.
pub(crate) fn claims_of(pod: &Pod) -> Vec<String> {
    let namespace = meta::namespace(&pod.metadata);
    let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| match (&volume.persistent_volume_claim, &volume.ephemeral) {
            (Some(claim), _) => Some(format!("{namespace}/{}", claim.claim_name)),
            (None, Some(_)) => Some(format!("{namespace}/{}-{}", meta::name(&pod.metadata), volume.name)),
            (None, None) => None,
        })
        .collect()
}

/// Runs the protection of claims until shutdown.
pub(crate) async fn run_claims(context: Context, name: &'static str) {
    let claims: Informer<PersistentVolumeClaim> = context.informers.of();
    let all_pods: Informer<Pod> = context.informers.of();
    all_pods.add_index(BY_CLAIM, claims_of);
    let applier = Arc::new(context.applier(name));
    let (read, read_pods) = (claims.clone(), all_pods.clone());
    Controller::new(name, &context)
        .watch(&claims, |change: &Change<PersistentVolumeClaim>, queue| queue.add(Key::of(&**change.object())))
        .watch(&all_pods, |change: &Change<Pod>, queue| {
            let pod = change.object();
            if matches!(change, Change::Deleted(_)) || pods::is_terminal(pod) || pods::node_name(pod).is_none() {
                let namespace = meta::namespace(&pod.metadata);
                for claim in claims_of(pod) {
                    queue.add(Key::new(namespace, claim.rsplit_once('/').map_or("", |(_, name)| name)));
                }
            }
        })
        .run(1, move |key: Key| {
            let claim = read.get(&key.namespace, &key.name);
            let used = read_pods.by_index(BY_CLAIM, &key.to_string()).iter().any(|pod| pods::node_name(pod).is_some());
            let applier = applier.clone();
            async move { reconcile_claim(&applier, claim.as_deref(), used).await }
        })
        .await;
}

async fn reconcile_claim(
    applier: &Applier,
    claim: Option<&PersistentVolumeClaim>,
    used: bool,
) -> Result<Requeue, Error> {
    let Some(claim) = claim else { return Ok(Requeue::Done) };
    let plan = plan(claim, CLAIM_FINALIZER, used);
    if meta::is_deleting(&claim.metadata) && !plan.operations.is_empty() {
        // A pod may have been bound a moment ago, before the cache shows it.
        let path = Resource::of::<Pod>().path(meta::namespace(&claim.metadata), "", "");
        let list: k8s_openapi::List<Pod> = apply::get(applier.client(), &path).await?;
        let key = Key::of(claim).to_string();
        if list.items.iter().any(|pod| pods::node_name(pod).is_some() && claims_of(pod).contains(&key)) {
            return Ok(Requeue::Done);
        }
    }
    finish(applier, plan).await
}

/// Runs the protection of volumes until shutdown.
pub(crate) async fn run_volumes(context: Context, name: &'static str) {
    let volumes: Informer<PersistentVolume> = context.informers.of();
    let applier = Arc::new(context.applier(name));
    let read = volumes.clone();
    Controller::new(name, &context)
        .watch(&volumes, |change: &Change<PersistentVolume>, queue| queue.add(Key::of(&**change.object())))
        .run(1, move |key: Key| {
            let volume = read.get("", &key.name);
            let applier = applier.clone();
            async move {
                let Some(volume) = volume else { return Ok(Requeue::Done) };
                let bound = volume.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound");
                finish(&applier, plan(&*volume, VOLUME_FINALIZER, bound)).await
            }
        })
        .await;
}

/// The attributes classes a claim has, is to have, or is being given.
fn classes_of_claim(claim: &PersistentVolumeClaim) -> Vec<String> {
    let wanted = claim.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.clone());
    let status = claim.status.as_ref();
    let current = status.and_then(|status| status.current_volume_attributes_class_name.clone());
    let target = status
        .and_then(|status| status.modify_volume_status.as_ref())
        .and_then(|modify| modify.target_volume_attributes_class_name.clone());
    [wanted, current, target].into_iter().flatten().filter(|name| !name.is_empty()).collect()
}

fn classes_of_volume(volume: &PersistentVolume) -> Vec<String> {
    let name = volume.spec.as_ref().and_then(|spec| spec.volume_attributes_class_name.clone());
    name.into_iter().filter(|name| !name.is_empty()).collect()
}

/// Runs the protection of attributes classes until shutdown.
pub(crate) async fn run_classes(context: Context, name: &'static str) {
    let classes: Informer<VolumeAttributesClass> = context.informers.of();
    let claims: Informer<PersistentVolumeClaim> = context.informers.of();
    let volumes: Informer<PersistentVolume> = context.informers.of();
    claims.add_index(BY_CLASS, classes_of_claim);
    volumes.add_index(BY_CLASS, classes_of_volume);
    let applier = Arc::new(context.applier(name));
    let read = (classes.clone(), claims.clone(), volumes.clone());
    Controller::new(name, &context)
        .watch(&classes, |change: &Change<VolumeAttributesClass>, queue| queue.add(Key::of(&**change.object())))
        .watch(&claims, |change: &Change<PersistentVolumeClaim>, queue| {
            released(change, classes_of_claim).into_iter().for_each(|class| queue.add(Key::new("", &class)));
        })
        .watch(&volumes, |change: &Change<PersistentVolume>, queue| {
            released(change, classes_of_volume).into_iter().for_each(|class| queue.add(Key::new("", &class)));
        })
        .run(1, move |key: Key| {
            let (classes, claims, volumes) = &read;
            let class = classes.get("", &key.name);
            let used =
                !claims.by_index(BY_CLASS, &key.name).is_empty() || !volumes.by_index(BY_CLASS, &key.name).is_empty();
            let applier = applier.clone();
            async move {
                let Some(class) = class else { return Ok(Requeue::Done) };
                finish(&applier, plan(&*class, CLASS_FINALIZER, used)).await
            }
        })
        .await;
}

/// What an object named before a change and does not name after it.
fn released<K>(change: &Change<K>, names: fn(&K) -> Vec<String>) -> Vec<String> {
    match change {
        Change::Applied { old: Some(old), new } => {
            let kept = names(new);
            names(old).into_iter().filter(|name| !kept.contains(name)).collect()
        }
        Change::Applied { old: None, .. } => Vec::new(),
        Change::Deleted(object) => names(object),
    }
}

async fn finish(applier: &Applier, plan: Plan) -> Result<Requeue, Error> {
    match applier.apply_plan(plan).await {
        Err(error) if error.is_not_found() => Ok(Requeue::Done),
        other => other,
    }
}

fn plan<K: Metadata<Ty = ObjectMeta> + Serialize + Clone>(object: &K, finalizer: &str, used: bool) -> Plan {
    let mut plan = Plan::default();
    let (deleting, present) = (meta::is_deleting(object.metadata()), meta::has_finalizer(object.metadata(), finalizer));
    let mut changed = object.clone();
    let finalizers = changed.metadata_mut().finalizers.get_or_insert_default();
    match (deleting, present) {
        (true, true) if !used => finalizers.retain(|one| one != finalizer),
        (false, false) => finalizers.push(finalizer.to_owned()),
        _ => return plan,
    }
    plan.push(Write::update(&changed));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{object, show};

    fn claim(metadata: &str) -> PersistentVolumeClaim {
        object(&format!(
            "{{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {{name: a, namespace: ns{metadata}}}}}"
        ))
    }

    #[test]
    fn the_finalizer_is_put_on_and_taken_off_when_unused() {
        assert!(
            show(&plan(&claim(""), CLAIM_FINALIZER, false))
                .contains(r#""finalizers":["kubernetes.io/pvc-protection"]"#)
        );
        let deleting =
            claim(", deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [kubernetes.io/pvc-protection, other]");
        assert!(plan(&deleting, CLAIM_FINALIZER, true).operations.is_empty());
        assert!(show(&plan(&deleting, CLAIM_FINALIZER, false)).contains(r#""finalizers":["other"]"#));
        assert!(
            plan(&claim(", finalizers: [kubernetes.io/pvc-protection]"), CLAIM_FINALIZER, false).operations.is_empty()
        );
    }

    #[test]
    fn a_claim_names_the_class_it_has_and_those_it_moves_between() {
        let claim: PersistentVolumeClaim = object(
            "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: {volumeAttributesClassName: gold}, status: {currentVolumeAttributesClassName: silver, modifyVolumeStatus: {status: Pending, targetVolumeAttributesClassName: gold}}}",
        );
        assert_eq!(classes_of_claim(&claim), ["gold", "silver", "gold"]);
    }

    #[test]
    fn a_class_is_looked_at_when_something_lets_go_of_it() {
        let named = |class: &str| -> Arc<PersistentVolume> {
            Arc::new(object(&format!(
                "{{apiVersion: v1, kind: PersistentVolume, metadata: {{name: a}}, spec: {{volumeAttributesClassName: {class}}}}}"
            )))
        };
        let moved = Change::Applied { old: Some(named("a")), new: named("b") };
        assert_eq!(released(&moved, classes_of_volume), ["a"]);
        assert_eq!(released(&Change::Deleted(named("b")), classes_of_volume), ["b"]);
        assert!(released(&Change::Applied { old: None, new: named("b") }, classes_of_volume).is_empty());
    }

    #[test]
    fn claims_of_generic_ephemeral_volumes_are_named_after_the_pod() {
        let pod: Pod = object(
            "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns}, spec: {containers: [], volumes: [{name: a, persistentVolumeClaim: {claimName: c}}, {name: b, ephemeral: {}}, {name: d, emptyDir: {}}]}}",
        );
        assert_eq!(claims_of(&pod), ["ns/c", "ns/p-b"]);
    }
}
