//! What the sources that pods and persistent volumes have in common must be. Upstream: the validateXVolumeSource functions.

use std::sync::LazyLock;

use api::field::{Error, ErrorList};
use api::names;
use regex::Regex;

use super::super::fields::At;
use super::mount::no_backsteps;
use super::{dns_label, dns_subdomain, one_of, optional_one_of, required_text};

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
const HOST_PORTS: &str = "must be a host:port pair or multiple pairs separated by commas";
const MANAGED_DISK: &str =
    "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
const BLOB_DISK: &str = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
const MAX_TENANT: usize = 64;
/// The forms of an initiator's name, by how it begins.
const INITIATORS: [(&str, &str); 3] = [
    ("iqn", r"iqn\.[0-9]{4}-[0-9]{2}\.[[:alnum:]\-.]+:[^,;*&$|\s]+\z"),
    ("eui", r"\Aeui.[[:alnum:]]{16}\z"),
    ("naa", r"\Anaa.[[:alnum:]]{32}\z"),
];

static INITIATOR_FORMS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    INITIATORS.into_iter().filter_map(|(prefix, form)| Some((prefix, Regex::new(form).ok()?))).collect()
});

/// Where errors of a source are reported, and the fields that may not be empty.
pub(crate) fn shape(kind: &'static str) -> (&'static str, &'static [&'static str]) {
    match kind {
        "hostPath" | "local" => (kind, &["path"]),
        "gitRepo" => (kind, &["repository"]),
        "gcePersistentDisk" => ("persistentDisk", &["pdName"]),
        "awsElasticBlockStore" | "cinder" | "portworxVolume" => (kind, &["volumeID"]),
        "secret" => (kind, &["secretName"]),
        "nfs" => (kind, &["server", "path"]),
        "iscsi" => (kind, &["targetPortal", "iqn"]),
        "glusterfs" => (kind, &["endpoints", "path"]),
        "persistentVolumeClaim" => (kind, &["claimName"]),
        "rbd" => (kind, &["monitors", "image"]),
        "cephfs" => (kind, &["monitors"]),
        "quobyte" => (kind, &["volume"]),
        "flexVolume" => (kind, &["driver"]),
        "configMap" => (kind, &["name"]),
        "azureFile" => (kind, &["secretName", "shareName"]),
        "vsphereVolume" => (kind, &["volumePath"]),
        "photonPersistentDisk" => (kind, &["pdID"]),
        "azureDisk" => (kind, &["diskName", "diskURI"]),
        "storageos" => (kind, &["volumeName"]),
        "scaleIO" => (kind, &["gateway", "system", "volumeName"]),
        "image" => (kind, &["reference"]),
        _ => (kind, &[]),
    }
}

/// The rules of a source beyond [`shape`]; a `persistent` one refers to secrets of any namespace.
pub(crate) fn details(kind: &str, at: &At<'_>, persistent: bool, errors: &mut ErrorList) {
    match kind {
        "hostPath" if !at.text("path").is_empty() => {
            no_backsteps(&at.field("path"), errors);
            optional_one_of(&at.field("type"), &HOST_PATH_TYPES, errors);
        }
        "local" => no_backsteps(&at.field("path"), errors),
        "nfs" if !at.text("path").starts_with('/') => {
            errors.push(at.field("path").invalid_str("must be an absolute path"));
        }
        "gcePersistentDisk" | "awsElasticBlockStore" => partition(&at.field("partition"), errors),
        "iscsi" => iscsi(at, persistent, errors),
        "fc" => fibre_channel(at, errors),
        "flexVolume" => flex_options(&at.field("options"), errors),
        "azureDisk" => azure_disk(at, errors),
        "flocker" => flocker(at, errors),
        "quobyte" => quobyte(at, errors),
        "cinder" => secret(at, persistent, errors),
        "storageos" => {
            for name in ["volumeName", "volumeNamespace"].map(|field| at.field(field)) {
                if !name.str().is_empty() {
                    dns_label(&name, errors);
                }
            }
            secret(at, persistent, errors);
        }
        "azureFile" if persistent && at.has("secretNamespace") => {
            required_text(&at.field("secretNamespace"), errors);
        }
        _ => {}
    }
}

/// A reference to a secret, which may be left out.
fn secret(source: &At<'_>, persistent: bool, errors: &mut ErrorList) {
    let reference = source.field("secretRef");
    if !reference.is_set() {
        return;
    }
    required_text(&reference.field("name"), errors);
    if persistent {
        required_text(&reference.field("namespace"), errors);
    }
}

/// A secret anywhere, by valid names. Upstream: validatePVSecretReference.
pub(crate) fn secret_reference(at: &At<'_>, errors: &mut ErrorList) {
    let (name, namespace) = (at.field("name"), at.field("namespace"));
    if required_text(&name, errors) {
        dns_subdomain(&name, errors);
    }
    if required_text(&namespace, errors) {
        dns_label(&namespace, errors);
    }
}

fn partition(at: &At<'_>, errors: &mut ErrorList) {
    if !(0..=255).contains(&at.int()) {
        errors.push(at.invalid_int(names::inclusive_range_error(1, 255)));
    }
}

fn lun(at: &At<'_>, errors: &mut ErrorList) {
    errors.extend(names::is_in_range(at.int(), 0, 255).into_iter().map(|why| at.invalid_int(why)));
}

fn iscsi(at: &At<'_>, persistent: bool, errors: &mut ErrorList) {
    let name = at.field("iqn");
    if !name.str().is_empty() {
        initiator(&name, persistent, errors);
    }
    lun(&at.field("lun"), errors);
    let (asks_for_secret, reference) =
        (at.field("chapAuthDiscovery").bool() || at.field("chapAuthSession").bool(), at.field("secretRef"));
    if asks_for_secret && !reference.is_set() {
        errors.push(reference.required(""));
    }
    if persistent && reference.is_set() {
        required_text(&reference.field("name"), errors);
    }
    if at.has("initiatorName") {
        // The path is upstream's.
        let name = At::new(at.get("initiatorName"), at.path.child("initiatorname"));
        initiator(&name, persistent, errors);
    }
}

fn initiator(at: &At<'_>, persistent: bool, errors: &mut ErrorList) {
    let form = INITIATOR_FORMS.iter().find(|(prefix, _)| at.str().starts_with(prefix));
    match form {
        Some((_, form)) if form.is_match(at.str()) => {}
        None if !persistent => errors.push(at.invalid_str("must be valid format starting with iqn, eui, or naa")),
        _ => errors.push(at.invalid_str("must be valid format")),
    }
}

fn fibre_channel(at: &At<'_>, errors: &mut ErrorList) {
    let (targets, ids, number) = (at.field("targetWWNs"), at.field("wwids"), at.field("lun"));
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => errors.push(targets.required("must specify either targetWWNs or wwids, but not both")),
        (false, false) => {
            errors.push(targets.invalid("targetWWNs and wwids can not be specified simultaneously"));
        }
        _ => {}
    }
    if targets.is_empty() {
    } else if number.is_set() {
        lun(&number, errors);
    } else {
        errors.push(number.required("lun is required if targetWWNs is specified"));
    }
}

fn flex_options(at: &At<'_>, errors: &mut ErrorList) {
    for (key, option) in at.entries() {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.push(Error::invalid(&option.path, key, "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

fn azure_disk(at: &At<'_>, errors: &mut ErrorList) {
    let (kind, uri) = (at.field("kind"), at.field("diskURI"));
    optional_one_of(&at.field("cachingMode"), &["None", "ReadOnly", "ReadWrite"], errors);
    if kind.is_set() {
        one_of(&kind, &["Dedicated", "Managed", "Shared"], errors);
        let (begins, form) =
            if kind.str() == "Managed" { ("/subscriptions/", MANAGED_DISK) } else { ("https://", BLOB_DISK) };
        if !uri.str().starts_with(begins) {
            errors.push(uri.not_supported(&[form]));
        }
    }
}

fn flocker(at: &At<'_>, errors: &mut ErrorList) {
    let (name, id) = (at.field("datasetName"), at.text("datasetUUID"));
    match (name.str().is_empty(), id.is_empty()) {
        (true, true) => errors.push(at.required("one of datasetName and datasetUUID is required")),
        (false, false) => {
            let detail = "datasetName and datasetUUID can not be specified simultaneously";
            errors.push(Error::invalid(&at.path, "resource", detail));
        }
        _ => {}
    }
    if name.str().contains('/') {
        errors.push(name.invalid_str("must not contain '/'"));
    }
}

fn quobyte(at: &At<'_>, errors: &mut ErrorList) {
    let registry = at.field("registry");
    if registry.str().is_empty() {
        errors.push(registry.required(HOST_PORTS));
    } else if at.text("tenant").len() > MAX_TENANT {
        let detail = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(at.field("tenant").required(detail));
    } else {
        let is_pair = |pair: &str| {
            pair.rsplit_once(':')
                .is_some_and(|(host, _)| !host.contains(':') || (host.starts_with('[') && host.ends_with(']')))
        };
        for _ in registry.str().split(',').filter(|pair| !is_pair(pair)) {
            errors.push(registry.invalid_str(HOST_PORTS));
        }
    }
}
