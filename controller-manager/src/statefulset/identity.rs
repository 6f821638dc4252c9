//! Names, ordinals, labels and volumes that make a pod this pod of its set.
//!
//! Upstream: statefulset utils (getParentNameAndOrdinal, identityMatches, updateStorage).

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};

use crate::{meta, pods};

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";
pub(super) const REVISION: &str = "controller-revision-hash";

/// The owner's name and the number in a pod's name.
fn parse(name: &str) -> Option<(&str, i32)> {
    let (parent, number) = name.rsplit_once('-')?;
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((parent, number.parse().ok()?))
}

pub(super) fn ordinal(pod: &Pod) -> Option<i32> {
    parse(meta::name(&pod.metadata)).map(|(_, ordinal)| ordinal)
}

pub(super) fn is_member(set: &StatefulSet, pod: &Pod) -> bool {
    parse(meta::name(&pod.metadata)).is_some_and(|(parent, _)| parent == meta::name(&set.metadata))
}

pub(super) fn start(set: &StatefulSet) -> i32 {
    set.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or(0)
}

pub(super) fn replicas(set: &StatefulSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

pub(super) fn is_in_range(set: &StatefulSet, ordinal: i32) -> bool {
    ordinal >= start(set) && ordinal < start(set) + replicas(set)
}

pub(super) fn revision(pod: &Pod) -> &str {
    meta::labels(&pod.metadata).get(REVISION).map(String::as_str).unwrap_or_default()
}

pub(super) fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", meta::name(&template.metadata), meta::name(&set.metadata))
}

/// The claims of one pod.
pub(super) fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    templates
        .map(|template| {
            let mut claim = template.clone();
            claim.metadata.name = Some(claim_name(set, template, ordinal));
            claim.metadata.namespace.clone_from(&set.metadata.namespace);
            let labels = claim.metadata.labels.get_or_insert_default();
            labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
            claim.status = None;
            claim
        })
        .collect()
}

/// A pod of `template`, not yet created.
pub(super) fn new_pod(set: &StatefulSet, template: &PodTemplateSpec, revision: &str, ordinal: i32) -> Pod {
    let owner = meta::controller_ref::<StatefulSet>(&set.metadata);
    let mut pod = pods::from_template(template, meta::namespace(&set.metadata), owner);
    pod.metadata.generate_name = None;
    pod.metadata.name = Some(format!("{}-{ordinal}", meta::name(&set.metadata)));
    set_identity(&mut pod, ordinal);
    pod.metadata.labels.get_or_insert_default().insert(REVISION.to_owned(), revision.to_owned());
    let name = pod.metadata.name.clone();
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = name;
    spec.subdomain = set.spec.service_name.clone().filter(|name| !name.is_empty());
    set_storage(set, &mut pod, ordinal);
    pod
}

fn set_identity(pod: &mut Pod, ordinal: i32) {
    let name = meta::name(&pod.metadata).to_owned();
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_NAME.to_owned(), name);
    labels.insert(POD_INDEX.to_owned(), ordinal.to_string());
}

fn set_storage(set: &StatefulSet, pod: &mut Pod, ordinal: i32) {
    let wanted = volumes(set, ordinal);
    if wanted.is_empty() {
        return;
    }
    let spec = pod.spec.get_or_insert_default();
    let present = spec.volumes.take().unwrap_or_default();
    let others = present.into_iter().filter(|volume| !wanted.contains_key(&volume.name)).collect::<Vec<_>>();
    spec.volumes = Some(wanted.into_values().chain(others).collect());
}

fn volumes(set: &StatefulSet, ordinal: i32) -> BTreeMap<String, Volume> {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    templates
        .map(|template| {
            let source =
                PersistentVolumeClaimVolumeSource { claim_name: claim_name(set, template, ordinal), read_only: None };
            let name = meta::name(&template.metadata).to_owned();
            (name.clone(), Volume { name, persistent_volume_claim: Some(source), ..Volume::default() })
        })
        .collect()
}

/// The pod with its identity put right, if it was wrong.
pub(super) fn corrected(set: &StatefulSet, pod: &Pod, ordinal: i32) -> Option<Pod> {
    let named = meta::labels(&pod.metadata).get(POD_NAME).is_some_and(|name| name == meta::name(&pod.metadata));
    let present = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let mounted: BTreeMap<&str, &str> = present
        .filter_map(|volume| Some((volume.name.as_str(), volume.persistent_volume_claim.as_ref()?.claim_name.as_str())))
        .collect();
    let wanted = volumes(set, ordinal);
    let stored = wanted.iter().all(|(name, volume)| {
        let claim = volume.persistent_volume_claim.as_ref().map(|claim| claim.claim_name.as_str());
        mounted.get(name.as_str()).copied() == claim
    });
    if named && stored {
        return None;
    }
    let mut pod = pod.clone();
    set_identity(&mut pod, ordinal);
    if !stored {
        set_storage(set, &mut pod, ordinal);
    }
    Some(pod)
}
