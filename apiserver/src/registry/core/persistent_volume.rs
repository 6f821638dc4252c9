//! PersistentVolumes. Upstream: ValidatePersistentVolumeSpec (sources: that there is exactly one), ValidatePersistentVolumeUpdate.

use api::field::{Error, ErrorList};
use api::names;
use json::{Value, json};

use super::super::fields::{At, at, remove, set};
use super::super::internal::{Kind, difference};
use super::super::strategy::Strategy;
use super::super::validation::resources::{quantity, quantity_value};
use super::super::validation::{
    affinity, immutable, named, node_labels, one_of, optional_one_of, required_one_of, required_text, same, volume,
    volume_source,
};
use super::persistent_volume_claim::ACCESS_MODES;
use crate::context::RequestContext;

const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "rbd",
    "cephfs",
    "quobyte",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "azureDisk",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

const CSI_SECRETS: [&str; 4] =
    ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"];
/// Sources that are gone, with what is said of them.
const DEPRECATED: [(&str, &str, &str); 6] = [
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// The semantics of volumes.
#[derive(Debug, Clone, Copy)]
pub struct PersistentVolume;

impl Strategy for PersistentVolume {
    fn prepare_for_create(&self, ctx: &RequestContext, new: &mut Value) {
        let now = api::meta::time::format(ctx.now);
        set(new, "status", json!({"phase": "Pending", "lastPhaseTransitionTime": now}));
    }

    fn validate(&self, _ctx: &RequestContext, new: &Value) -> ErrorList {
        let mut errors = ErrorList::new();
        spec(&At::root(new).field("spec"), false, &mut errors);
        errors
    }

    fn warnings_on_create(&self, _ctx: &RequestContext, new: &Value) -> Vec<String> {
        let spec = At::root(new).field("spec");
        let mut warnings = Vec::new();
        if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
            let instead = "Instead, the recommended approach is to use dynamic provisioning.";
            warnings.push(format!(
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. {instead}"
            ));
        }
        for term in spec.field("nodeAffinity").field("required").field("nodeSelectorTerms").items() {
            warnings.extend(node_labels::selector_warnings(&term));
        }
        let gone = DEPRECATED.into_iter().filter(|(source, ..)| spec.has(source));
        warnings.extend(gone.map(|(_, shown, why)| format!("spec.{shown}: {why}")));
        warnings
    }

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let spec = At::root(new).field("spec");
        let (mut was, mut is) = (old["spec"].clone(), spec.value.clone());
        if at(&was, &["csi", "controllerExpandSecretRef"]).is_null() {
            // Where there was none, one may be added.
            for spec in [&mut was, &mut is] {
                if let Some(csi) = spec.get_mut("csi") {
                    remove(csi, "controllerExpandSecretRef");
                }
            }
        }
        if SOURCES.iter().any(|name| !same(at(&is, &[name]), at(&was, &[name]))) {
            let changes = difference(Kind::PersistentVolumeSource, &was, &is);
            errors.push(
                spec.field("persistentvolumesource")
                    .forbidden(format!("spec.persistentvolumesource is immutable after creation\n{changes}")),
            );
        }
        // The path is upstream's.
        let mode = At::new(spec.get("volumeMode"), api::field::Path::new("volumeMode"));
        immutable(&mode, at(old, &["spec", "volumeMode"]), &mut errors);
        let (nodes, before) = (spec.get("nodeAffinity"), at(old, &["spec", "nodeAffinity"]));
        if !before.is_null() && !same(nodes, before) {
            let nodes = At::new(nodes, api::field::Path::new("nodeAffinity"));
            errors.push(nodes.invalid("field is immutable, except for updating from beta label to GA"));
        }
        let class = spec.field("volumeAttributesClassName");
        if !class.is_set() && !at(old, &["spec", "volumeAttributesClassName"]).is_null() {
            errors.push(class.forbidden("update from non-nil value to nil is forbidden"));
        }
        errors
    }
}

/// Also for volumes given in a VolumeAttachment (`inline`). Upstream: ValidatePersistentVolumeSpec.
pub(crate) fn spec(spec: &At<'_>, inline: bool, errors: &mut ErrorList) {
    let modes = spec.field("accessModes");
    if modes.is_empty() {
        errors.push(modes.required(""));
    }
    for mode in modes.items() {
        one_of(&At::new(mode.value, modes.path.clone()), &ACCESS_MODES, errors);
    }
    if modes.slice().len() > 1 && modes.slice().iter().any(|mode| mode == "ReadWriteOncePod") {
        errors.push(modes.forbidden("may not use ReadWriteOncePod with other access modes"));
    }
    sources(spec, errors);
    if inline { inline_limits(spec, errors) } else { own_rules(spec, errors) }
}

/// What a volume that is an object of its own must have.
fn own_rules(spec: &At<'_>, errors: &mut ErrorList) {
    capacity(&spec.field("capacity"), errors);
    let policy = spec.field("persistentVolumeReclaimPolicy");
    required_one_of(&policy, &["Delete", "Recycle", "Retain"], errors);
    let (nodes, required) = (spec.field("nodeAffinity"), spec.field("nodeAffinity").field("required"));
    if required.is_set() {
        affinity::node_selector(&required, errors);
    } else if nodes.is_set() {
        errors.push(required.required("must specify required node constraints"));
    } else if spec.has("local") {
        errors.push(nodes.required("Local volume requires node affinity"));
    }
    let class = spec.field("storageClassName");
    if !class.str().is_empty() {
        named(&class, names::name_is_dns_subdomain(class.str(), false), errors);
    }
    optional_one_of(&spec.field("volumeMode"), &["Block", "Filesystem"], errors);
    let attributes = spec.field("volumeAttributesClassName");
    if !attributes.is_set() {
        return;
    }
    if attributes.str().is_empty() {
        errors.push(attributes.required("an empty string is disallowed"));
    } else {
        named(&attributes, names::name_is_dns_subdomain(attributes.str(), false), errors);
    }
    if !spec.has("csi") {
        errors.push(spec.field("csi").required("has to be specified when using volumeAttributesClassName"));
    }
}

/// What one given inline must have, and may not.
fn inline_limits(spec: &At<'_>, errors: &mut ErrorList) {
    const FORBIDDEN: &str = "may not be specified in the context of inline volumes";
    for field in ["claimRef", "nodeAffinity"].into_iter().filter(|field| spec.has(field)) {
        errors.push(spec.field(field).forbidden(FORBIDDEN));
    }
    for field in ["capacity", "storageClassName"].map(|field| spec.field(field)) {
        if !field.is_empty() {
            errors.push(field.forbidden(FORBIDDEN));
        }
    }
    if !spec.has("csi") {
        errors.push(spec.field("csi").required("has to be specified in the context of inline volumes"));
    }
    let policy = spec.field("persistentVolumeReclaimPolicy");
    if !matches!(policy.str(), "" | "Retain") {
        errors.push(policy.forbidden("may only be Retain in the context of inline volumes"));
    }
    let mode = spec.field("volumeMode");
    if mode.is_set() && mode.str() != "Filesystem" {
        errors
            .push(mode.forbidden("may not specify volumeMode other than Filesystem in the context of inline volumes"));
    }
}

fn capacity(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_empty() {
        errors.push(at.required(""));
    }
    if !at.has("storage") || at.entries().count() > 1 {
        errors.push(Error::not_supported(&at.path, at.bad(), ["storage"]));
    }
    for (name, amount) in at.entries() {
        quantity_value(name, &amount, errors);
        if quantity(&amount) <= api::quantity::Quantity::default() {
            errors.push(Error::invalid(&amount.path, quantity(&amount).to_string(), "must be greater than zero"));
        }
    }
}

fn sources(spec: &At<'_>, errors: &mut ErrorList) {
    let mut found = 0;
    for source in SOURCES.into_iter().filter(|source| spec.has(source)) {
        let (path, required) = volume_source::shape(source);
        let own = At::new(spec.get(source), spec.path.child(path));
        found += 1;
        if found > 1 {
            errors.push(spec.field(source).forbidden("may not specify more than 1 volume type"));
            continue;
        }
        for field in required.iter().map(|field| own.field(field)).filter(At::is_empty) {
            errors.push(field.required(""));
        }
        match source {
            "csi" => csi(&own, errors),
            _ => volume_source::details(source, &own, true, errors),
        }
    }
    if found == 0 {
        errors.push(spec.required("must specify a volume type"));
    }
    let root = spec.field("hostPath").text("path") == "/";
    if root && spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
        errors.push(
            spec.field("persistentVolumeReclaimPolicy").forbidden("may not be 'recycle' for a hostPath mount of '/'"),
        );
    }
}

fn csi(at: &At<'_>, errors: &mut ErrorList) {
    volume::driver_name(&at.field("driver"), errors);
    required_text(&at.field("volumeHandle"), errors);
    for reference in CSI_SECRETS.into_iter().filter(|reference| at.has(reference)) {
        volume_source::secret_reference(&at.field(reference), errors);
    }
}
