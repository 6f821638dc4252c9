//! Volumes, claims, storage classes, CSI drivers.

use super::*;
use crate::meta;

pub(in super::super) fn phase_or_terminating(object: &Value, _: &Context<'_>) -> Value {
    if meta::is_being_deleted(object) { "Terminating".into() } else { str_at(object, "status.phase").into() }
}

pub(in super::super) fn pv_access_modes(volume: &Value, _: &Context<'_>) -> Value {
    access_modes(volume, "spec.accessModes")
}

pub(in super::super) fn pv_claim(volume: &Value, _: &Context<'_>) -> Value {
    match at(volume, "spec.claimRef") {
        Some(claim) => format!("{}/{}", str_at(claim, "namespace"), str_at(claim, "name")).into(),
        None => "".into(),
    }
}

/// The class of a volume or a claim; the annotation of old goes first.
pub(in super::super) fn storage_class(object: &Value, _: &Context<'_>) -> Value {
    let annotation = meta::annotation(object, "volume.beta.kubernetes.io/storage-class");
    annotation.unwrap_or_else(|| str_at(object, "spec.storageClassName")).into()
}

pub(in super::super) fn pvc_capacity(claim: &Value, _: &Context<'_>) -> Value {
    match (str_at(claim, "spec.volumeName"), str_at(claim, "status.capacity.storage")) {
        ("", _) => "".into(),
        (_, "") => "0".into(),
        (_, capacity) => capacity.into(),
    }
}

pub(in super::super) fn pvc_access_modes(claim: &Value, _: &Context<'_>) -> Value {
    if str_at(claim, "spec.volumeName").is_empty() { "".into() } else { access_modes(claim, "status.accessModes") }
}

pub(in super::super) fn csi_token_requests(driver: &Value, _: &Context<'_>) -> Value {
    match at(driver, "spec.tokenRequests").and_then(Value::as_array) {
        None => "<unset>".into(),
        Some(requests) => requests.iter().map(|r| str_at(r, "audience")).collect::<Vec<_>>().join(",").into(),
    }
}

/// The class claims get by default: of those marked so the youngest, of equally young ones the first by name.
pub(in super::super) fn effective_default_storage_class(classes: &[&Value]) -> String {
    let is_default = |class: &&&Value| {
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
            .iter()
            .any(|annotation| meta::annotation(class, annotation) == Some("true"))
    };
    let younger = |a: &&&Value, b: &&&Value| {
        let by_age = meta::creation_timestamp(a).cmp(&meta::creation_timestamp(b));
        by_age.then_with(|| meta::name(b).cmp(meta::name(a)))
    };
    classes.iter().filter(is_default).max_by(younger).map(|class| meta::name(class).to_owned()).unwrap_or_default()
}

/// Marked in a list only: one class alone does not tell.
pub(in super::super) fn storage_class_name(class: &Value, context: &Context<'_>) -> Value {
    let name = meta::name(class);
    if !name.is_empty() && name == context.note { format!("{name} (default)").into() } else { name.into() }
}

fn access_modes(object: &Value, path: &str) -> Value {
    let modes = items_at(object, path);
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let present = known.iter().filter(|(mode, _)| modes.iter().any(|m| m.as_str() == Some(mode)));
    present.map(|(_, short)| *short).collect::<Vec<_>>().join(",").into()
}
