//! Volumes of a pod: exactly one source each, and what each source must have. Upstream: ValidateVolumes.

use api::field::{Error, ErrorList};
use api::names;

use super::super::certificates::{is_kubernetes_signer, signer_name};
use super::super::fields::At;
use super::env::{VOLUME_FIELDS, field_selector, resource_selector};
use super::mount::{Volumes, local_unreserved_path};
use super::resources::quantity;
use super::selector::label_selector;
use super::{dns_label, named, required_one_of, required_text, user_annotations, volume_source};

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const PULL_POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];

/// Sources in the order upstream looks at them.
const SOURCES: [&str; 30] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
];

/// The volumes that are fine, for the containers to refer to. `pod_name` is "" for templates.
pub(super) fn volumes<'a>(at: &At<'a>, pod_name: &str, errors: &mut ErrorList) -> Volumes<'a> {
    let mut good: Volumes<'a> = Vec::new();
    let created = |claim: &str| {
        let of_pod =
            |volume: &At<'_>| volume.has("ephemeral") && format!("{pod_name}-{}", volume.text("name")) == claim;
        !pod_name.is_empty() && at.items().any(|volume| of_pod(&volume))
    };
    for volume in at.items() {
        let mut own = ErrorList::new();
        source(&volume, pod_name, &mut own);
        let name = volume.field("name");
        if required_text(&name, &mut own) {
            dns_label(&name, &mut own);
        }
        if good.iter().any(|(known, _)| *known == name.str()) {
            own.push(name.duplicate());
        }
        if own.is_empty() {
            good.push((name.str(), volume.value));
        }
        errors.extend(own);
        let claim = volume.field("persistentVolumeClaim").field("claimName");
        if !claim.str().is_empty() && created(claim.str()) {
            errors.push(claim.invalid_str("must not reference a PVC that gets created for an ephemeral volume"));
        }
    }
    good
}

fn source(volume: &At<'_>, pod_name: &str, errors: &mut ErrorList) {
    let mut found = 0;
    for kind in SOURCES.into_iter().filter(|kind| volume.has(kind)) {
        if found > 0 {
            let shown = if kind == "downwardAPI" { "downwarAPI" } else { kind };
            errors.push(Error::forbidden(&volume.path.child(shown), "may not specify more than 1 volume type"));
            continue;
        }
        found += 1;
        let (path, required) = volume_source::shape(kind);
        let at = At::new(volume.get(kind), volume.path.child(path));
        for field in required {
            if at.field(field).is_empty() {
                errors.push(at.field(field).required(""));
            }
        }
        details(kind, &at, volume, pod_name, errors);
    }
    if found == 0 {
        errors.push(volume.required("must specify a volume type"));
    }
}

fn details(kind: &str, at: &At<'_>, volume: &At<'_>, pod_name: &str, errors: &mut ErrorList) {
    match kind {
        "emptyDir" => {
            let limit = at.field("sizeLimit");
            if limit.is_set() && quantity(&limit) < api::quantity::Quantity::default() {
                errors.push(limit.forbidden("SizeLimit field must be a valid resource quantity"));
            }
        }
        "secret" | "configMap" => {
            mode(&at.field("defaultMode"), errors);
            at.field("items").items().for_each(|item| key_to_path(&item, errors));
        }
        "gitRepo" => super::mount::local_path(&at.field("directory"), errors),
        "downwardAPI" => {
            mode(&at.field("defaultMode"), errors);
            for item in at.field("items").items() {
                // Upstream reports these at the volume source, not at the item.
                downward_file(&At::new(item.value, at.path.clone()), errors);
            }
        }
        "projected" => projected(at, errors),
        "csi" => {
            driver_name(&at.field("driver"), errors);
            let reference = at.field("nodePublishSecretRef");
            if reference.is_set() {
                let name = reference.field("name");
                if required_text(&name, errors) {
                    let complaints = names::name_is_dns_subdomain(name.str(), false);
                    named(&At::new(name.value, at.path.child("name")), complaints, errors);
                }
            }
        }
        "ephemeral" => {
            if !at.has("volumeClaimTemplate") {
                errors.push(at.field("volumeClaimTemplate").required(""));
            } else {
                let spec = at.field("volumeClaimTemplate").field("spec");
                super::super::core::persistent_volume_claim::spec(&spec, errors);
            }
            let name = volume.text("name");
            if !pod_name.is_empty() && !name.is_empty() {
                let claim = format!("{pod_name}-{name}");
                for complaint in names::name_is_dns_subdomain(&claim, false) {
                    errors.push(volume.field("name").invalid_str(format!("PVC name \"{claim}\": {complaint}")));
                }
            }
        }
        "image" => required_one_of(&at.field("pullPolicy"), &PULL_POLICIES, errors),
        _ => volume_source::details(kind, at, false, errors),
    }
}

fn mode(at: &At<'_>, errors: &mut ErrorList) {
    if at.is_set() && !(0..=0o777).contains(&at.int()) {
        errors.push(at.invalid_int(MODE));
    }
}

fn key_to_path(at: &At<'_>, errors: &mut ErrorList) {
    required_text(&at.field("key"), errors);
    required_text(&at.field("path"), errors);
    local_unreserved_path(&at.field("path"), errors);
    mode(&at.field("mode"), errors);
}

fn downward_file(at: &At<'_>, errors: &mut ErrorList) {
    required_text(&at.field("path"), errors);
    local_unreserved_path(&at.field("path"), errors);
    if at.has("fieldRef") {
        field_selector(&at.field("fieldRef"), &VOLUME_FIELDS, errors);
        if at.has("resourceFieldRef") {
            let detail = "fieldRef and resourceFieldRef can not be specified simultaneously";
            errors.push(Error::invalid(&at.path, "resource", detail));
        }
    } else if at.has("resourceFieldRef") {
        resource_selector(&at.field("resourceFieldRef"), true, errors);
    } else {
        errors.push(at.required("one of fieldRef and resourceFieldRef is required"));
    }
    mode(&at.field("mode"), errors);
}

fn projected<'a>(at: &At<'a>, errors: &mut ErrorList) {
    mode(&at.field("defaultMode"), errors);
    let mut paths: Vec<&'a str> = Vec::new();
    let mut claim = |path: &'a str, shown: &str, errors: &mut ErrorList| {
        if path.is_empty() {
        } else if paths.contains(&path) {
            errors.push(Error::invalid(&at.path, shown, "conflicting duplicate paths"));
        } else {
            paths.push(path);
        }
    };
    for source in at.field("sources").items() {
        let kinds =
            ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"];
        let given = kinds.iter().filter(|kind| source.has(kind)).count();
        for kind in ["secret", "configMap"].into_iter().filter(|kind| source.has(kind)) {
            let object = source.field(kind);
            required_text(&object.field("name"), errors);
            for item in object.field("items").items() {
                key_to_path(&item, errors);
                claim(item.value["path"].as_str().unwrap_or_default(), object.text("name"), errors);
            }
        }
        if source.has("downwardAPI") {
            let files = source.field("downwardAPI");
            for item in files.field("items").items() {
                downward_file(&At::new(item.value, files.path.clone()), errors);
                let path = item.value["path"].as_str().unwrap_or_default();
                claim(path, path, errors);
            }
        }
        if source.has("serviceAccountToken") {
            let token = source.field("serviceAccountToken");
            let seconds = token.field("expirationSeconds");
            match seconds.value.as_i64() {
                None => errors.push(seconds.required("")),
                Some(value) if value < 600 => {
                    errors.push(seconds.invalid_int("may not specify a duration less than 10 minutes"))
                }
                Some(value) if value > 1 << 32 => {
                    errors.push(seconds.invalid_int("may not specify a duration larger than 2^32 seconds"));
                }
                Some(_) => {}
            }
            // Upstream reports the path at the volume source.
            let path = At::new(token.get("path"), at.path.child("path"));
            if required_text(&path, errors) {
                local_unreserved_path(&path, errors);
            }
        }
        if source.has("clusterTrustBundle") {
            let bundle = source.field("clusterTrustBundle");
            trust_bundle(&bundle, errors);
            let path = bundle.value["path"].as_str().unwrap_or_default();
            claim(path, path, errors);
        }
        if source.has("podCertificate") {
            let certificate = source.field("podCertificate");
            pod_certificate(&certificate, errors);
            let paths = CERTIFICATE_PATHS.map(|field| certificate.field(field));
            for path in paths.iter().filter(|path| !path.is_empty()) {
                local_unreserved_path(path, errors);
                claim(path.value.as_str().unwrap_or_default(), path.str(), errors);
            }
            if paths.iter().all(At::is_empty) {
                errors.push(
                    certificate
                        .required("specify at least one of credentialBundlePath, keyPath, and certificateChainPath"),
                );
            }
        }
        if given > 1 {
            errors.push(source.forbidden("may not specify more than 1 volume type per source"));
        }
    }
}

fn trust_bundle(at: &At<'_>, errors: &mut ErrorList) {
    match (at.has("name"), at.has("signerName")) {
        (true, true) => errors.push(at.invalid("only one of name and signerName may be used")),
        (true, false) => {
            if at.text("name").is_empty() {
                errors.push(at.field("name").required("must be a valid object name"));
            }
            if at.has("labelSelector") {
                errors.push(at.field("labelSelector").invalid("labelSelector must be unset if name is specified"));
            }
        }
        (false, true) => {
            if at.text("signerName").is_empty() {
                errors.push(at.field("signerName").required("must be a valid signer name"));
            }
            label_selector(&at.field("labelSelector"), errors);
        }
        (false, false) => errors.push(at.required("either name or signerName must be specified")),
    }
    required_text(&at.field("path"), errors);
    local_unreserved_path(&at.field("path"), errors);
}

const CERTIFICATE_PATHS: [&str; 3] = ["credentialBundlePath", "keyPath", "certificateChainPath"];
const KEY_TYPES: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];

/// A key and certificate for the pod, but for where they are written.
fn pod_certificate(at: &At<'_>, errors: &mut ErrorList) {
    const DAY: i64 = 24 * 60 * 60;
    let signer = at.field("signerName");
    signer_name(&signer, errors);
    user_annotations(&at.field("userAnnotations"), errors);
    if !KEY_TYPES.contains(&at.text("keyType")) {
        errors.push(at.field("keyType").not_supported(&KEY_TYPES));
    }
    let expiration = at.field("maxExpirationSeconds");
    if !expiration.is_set() {
        return;
    }
    if expiration.int() < 3600 {
        errors.push(expiration.invalid_int("if provided, maxExpirationSeconds must be >= 3600"));
    }
    let longest = if is_kubernetes_signer(signer.str()) { DAY } else { 91 * DAY };
    if expiration.int() > longest {
        errors.push(expiration.invalid_int(format!("if provided, maxExpirationSeconds must be <= {longest}")));
    }
}

/// Upstream: ValidateCSIDriverName.
pub(crate) fn driver_name(at: &At<'_>, errors: &mut ErrorList) {
    if !required_text(at, errors) {
        return;
    }
    if at.str().len() > 63 {
        errors.push(Error::too_long(&at.path, 63));
    }
    named(at, names::is_dns1123_subdomain(&at.str().to_lowercase()), errors);
}

/// As [`driver_name`] where the rule is declared on the field: length and shape are told in other words.
/// Upstream: validate.LongNameCaseless, validate.MaxLength.
pub(crate) fn driver_name_declared(at: &At<'_>, errors: &mut ErrorList) {
    if !required_text(at, errors) {
        return;
    }
    if at.str().chars().count() > 63 {
        errors.push(Error::too_long_characters(&at.path, 63));
    }
    named(at, names::is_long_name_caseless(at.str()), errors);
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::field::Path;
    use json::{Value, json};

    fn faults(certificate: Value) -> String {
        let volume = json!({"sources": [{"podCertificate": certificate}]});
        let mut errors = ErrorList::new();
        projected(&At::new(&volume, Path::new("projected")), &mut errors);
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn pod_certificates_live_an_hour_to_91_days_those_of_kubernetes_signers_a_day() {
        let lasting = |signer: &str, seconds: i64| {
            faults(
                json!({"signerName": signer, "keyType": "ED25519", "keyPath": "key", "maxExpirationSeconds": seconds}),
            )
        };
        assert_eq!(lasting("example.com/foo", 3600), "");
        assert!(lasting("example.com/foo", 3599).contains("if provided, maxExpirationSeconds must be >= 3600"));
        assert_eq!(lasting("example.com/foo", 91 * 86400), "");
        assert!(lasting("example.com/foo", 91 * 86400 + 1).contains("maxExpirationSeconds must be <= 7862400"));
        assert!(lasting("kubernetes.io/foo", 86401).contains("maxExpirationSeconds must be <= 86400"));
    }

    #[test]
    fn pod_certificates_are_written_somewhere_once() {
        assert!(faults(json!({"signerName": "a.b/c", "keyType": "ED25519"})).contains("specify at least one of"));
        let twice = json!({"signerName": "a.b/c", "keyType": "RSA1024", "keyPath": "x", "certificateChainPath": "x"});
        assert!(faults(twice.clone()).contains("conflicting duplicate paths"));
        assert!(faults(twice).contains("supported values: \"RSA3072\""));
    }
}
