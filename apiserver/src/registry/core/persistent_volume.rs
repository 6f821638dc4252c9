//! PersistentVolumes. Upstream: ValidatePersistentVolumeSpec (sources: that there is exactly one), ValidatePersistentVolumeUpdate.

use api::field::{Error, ErrorList};
use api::names;
use serde_json::{Value, json};

use super::super::fields::{At, at, set};
use super::super::strategy::Strategy;
use super::super::validation::resources::{quantity, quantity_value};
use super::super::validation::{affinity, named, one_of, optional_one_of, required_one_of, same, volume};
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

    fn validate_update(&self, ctx: &RequestContext, new: &Value, old: &Value) -> ErrorList {
        let mut errors = self.validate(ctx, new);
        let spec = At::root(new).field("spec");
        let source = |spec: &Value| SOURCES.iter().map(|source| at(spec, &[source]).clone()).collect::<Vec<_>>();
        let changed = source(spec.value).iter().zip(source(&old["spec"]).iter()).any(|(new, old)| !same(new, old));
        if changed {
            errors.push(
                spec.field("persistentvolumesource")
                    .forbidden("spec.persistentvolumesource is immutable after creation"),
            );
        }
        // The path is upstream's.
        let mode = At::new(spec.get("volumeMode"), api::field::Path::new("volumeMode"));
        super::super::validation::immutable(&mode, at(old, &["spec", "volumeMode"]), &mut errors);
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
    if spec.field("nodeAffinity").has("required") {
        affinity::node_selector(&spec.field("nodeAffinity").field("required"), errors);
    } else if spec.has("local") {
        errors.push(spec.field("nodeAffinity").required("Local volume requires node affinity"));
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
            errors.push(Error::invalid(
                &amount.path,
                quantity(&amount).to_string(),
                super::super::validation::POSITIVE,
            ));
        }
    }
}

fn sources(spec: &At<'_>, errors: &mut ErrorList) {
    let mut found = 0;
    for source in SOURCES.iter().filter(|source| spec.has(source)) {
        let own = spec.field(source);
        found += 1;
        if found > 1 {
            errors.push(own.forbidden("may not specify more than 1 volume type"));
            continue;
        }
        let mut needs = |field: &'static str| {
            if own.field(field).is_empty() {
                errors.push(own.field(field).required(""));
            }
        };
        match *source {
            "hostPath" | "local" => needs("path"),
            "nfs" => {
                needs("server");
                needs("path");
            }
            "csi" => {
                needs("volumeHandle");
                volume::driver_name(&own.field("driver"), errors);
            }
            _ => {}
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
