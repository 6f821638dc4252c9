//! Where volumes appear in a container, and the paths they may have. Upstream: ValidateVolumeMounts, ValidateVolumeDevices.

use std::collections::HashSet;

use api::field::{Error, ErrorList};
use json::Value;

use super::super::fields::At;
use super::{one_of, required_text};

/// No `..` among the elements of a path.
pub(super) fn no_backsteps(at: &At<'_>, errors: &mut ErrorList) {
    if at.str().split('/').any(|element| element == "..") {
        errors.push(at.invalid_str("must not contain '..'"));
    }
}

/// Relative, and without `..`. Upstream: validateLocalDescendingPath.
pub(super) fn local_path(at: &At<'_>, errors: &mut ErrorList) {
    if at.str().starts_with('/') {
        errors.push(at.invalid_str("must be a relative path"));
    }
    no_backsteps(at, errors);
}

/// As [`local_path`], and not beginning with `..`, which names of the atomic writer do.
pub(super) fn local_unreserved_path(at: &At<'_>, errors: &mut ErrorList) {
    local_path(at, errors);
    if at.str().starts_with("..") && !at.str().starts_with("../") {
        errors.push(at.invalid_str("must not start with '..'"));
    }
}

/// Volumes of the pod: name and source.
pub(super) type Volumes<'a> = Vec<(&'a str, &'a Value)>;

fn source<'a>(volumes: &Volumes<'a>, name: &str) -> Option<&'a Value> {
    volumes.iter().find(|(own, _)| *own == name).map(|(_, source)| *source)
}

pub(super) fn volume_mounts(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut ErrorList) {
    let mounts = container.field("volumeMounts");
    let devices = container.field("volumeDevices");
    let mut paths = HashSet::new();
    for mount in mounts.items() {
        let (name, path) = (mount.field("name"), mount.field("mountPath"));
        required_text(&name, errors);
        if source(volumes, name.str()).is_none() {
            errors.push(Error::not_found(&name.path, name.str()));
        }
        required_text(&path, errors);
        if !paths.insert(path.str()) {
            errors.push(path.invalid_str("must be unique"));
        }
        if devices.items().any(|device| device.text("name") == name.str()) {
            errors.push(name.invalid_str("must not already exist in volumeDevices"));
        }
        if devices.items().any(|device| device.text("devicePath") == path.str()) {
            errors.push(path.invalid_str("must not already exist as a path in volumeDevices"));
        }
        // Upstream reports these at the list, not at the mount.
        let at_list = |field: &'static str| At::new(mount.field(field).value, mounts.path.child(field));
        if !mount.text("subPath").is_empty() {
            local_path(&at_list("subPath"), errors);
        }
        if !mount.text("subPathExpr").is_empty() {
            if !mount.text("subPath").is_empty() {
                errors.push(mount.field("subPathExpr").invalid_str("subPathExpr and subPath are mutually exclusive"));
            }
            local_path(&at_list("subPathExpr"), errors);
        }
        propagation(&at_list("mountPropagation"), container, errors);
        recursive_read_only(&mount, &at_list("recursiveReadOnly"), errors);
    }
}

fn propagation(at: &At<'_>, container: &At<'_>, errors: &mut ErrorList) {
    if !at.is_set() {
        return;
    }
    one_of(at, &["Bidirectional", "HostToContainer", "None"], errors);
    let privileged = container.field("securityContext").field("privileged").bool();
    if at.str() == "Bidirectional" && !privileged {
        errors.push(at.forbidden("Bidirectional mount propagation is available only to privileged containers"));
    }
}

fn recursive_read_only(mount: &At<'_>, at: &At<'_>, errors: &mut ErrorList) {
    match at.str() {
        _ if !at.is_set() => {}
        "Disabled" => {}
        "Enabled" | "IfPossible" => {
            if !mount.field("readOnly").bool() {
                errors.push(at.forbidden("may only be specified when readOnly is true"));
            }
            if !matches!(mount.text("mountPropagation"), "" | "None") {
                errors.push(at.forbidden("may only be specified when mountPropagation is None or not specified"));
            }
        }
        _ => errors.push(at.not_supported(&["Disabled", "Enabled", "IfPossible"])),
    }
}

pub(super) fn volume_devices(container: &At<'_>, volumes: &Volumes<'_>, errors: &mut ErrorList) {
    let mounts = container.field("volumeMounts");
    let (mut names, mut paths) = (HashSet::new(), HashSet::new());
    for device in container.field("volumeDevices").items() {
        let (name, path) = (device.field("name"), device.field("devicePath"));
        let found = source(volumes, name.str());
        required_text(&name, errors);
        if names.contains(name.str()) {
            errors.push(name.invalid_str("must be unique"));
        }
        match found {
            Some(source) if source.get("persistentVolumeClaim").is_none() && source.get("ephemeral").is_none() => {
                errors.push(name.invalid_str(
                    "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
                ));
            }
            Some(_) => {}
            None => errors.push(Error::not_found(&name.path, name.str())),
        }
        required_text(&path, errors);
        if paths.contains(path.str()) {
            errors.push(path.invalid_str("must be unique"));
        }
        if path.str().split('/').any(|element| element == "..") {
            errors.push(path.invalid_str("can not contain backsteps ('..')"));
        } else {
            paths.insert(path.str());
        }
        if mounts.items().any(|mount| mount.text("name") == name.str()) {
            errors.push(name.invalid_str("must not already exist in volumeMounts"));
        }
        if mounts.items().any(|mount| mount.text("mountPath") == path.str()) {
            errors.push(path.invalid_str("must not already exist as a path in volumeMounts"));
        }
        names.insert(name.str());
    }
}
