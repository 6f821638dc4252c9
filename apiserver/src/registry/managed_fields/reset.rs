//! What a write through an endpoint cannot change, because the strategy behind it takes it from the stored object.
//! Upstream: GetResetFields of the strategies in pkg/registry.

use api::managed_fields::Reset;

use crate::registry::resource::Resource;

const STATUS: Reset = Reset::Fields(&[&["status"]]);
const SPEC: Reset = Reset::Fields(&[&["spec"]]);
const SPEC_AND_METADATA: Reset = Reset::Fields(&[&["spec"], &["metadata"]]);

/// Resources whose status endpoint resets metadata, too.
const STATUS_KEEPS_METADATA: [&str; 16] = [
    "apiservices",
    "compositepodgroups",
    "csinodes",
    "devicetaintrules",
    "evictionrequests",
    "flowschemas",
    "podcertificaterequests",
    "podgroups",
    "prioritylevelconfigurations",
    "resourceclaims",
    "resourcepoolstatusrequests",
    "servicecidrs",
    "storageversionmigrations",
    "storageversions",
    "validatingadmissionpolicies",
    "volumeattachments",
];

/// Where one resource differs from the rest: plural, subresource, what is reset. Upstream's strategies of ephemeral containers and of
/// resizing say what they reset, but nobody asks them: who sends more comes to own it.
const EXCEPTIONS: [(&str, &str, Reset); 6] = [
    ("certificatesigningrequests", "", Reset::Fields(&[&["spec"], &["status"]])),
    ("certificatesigningrequests", "status", Reset::Fields(&[&["spec"], &["status", "conditions"]])),
    ("certificatesigningrequests", "approval", Reset::Fields(&[&["spec"], &["status", "certificate"]])),
    ("deployments", "status", Reset::Fields(&[&["spec"], &["metadata", "labels"]])),
    ("namespaces", "finalize", STATUS),
    (
        "pods",
        "status",
        Reset::Fields(&[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]),
    ),
];

/// What a write through a subresource ("" is the object itself) resets.
pub(super) fn fields(resource: &Resource, subresource: &str) -> Reset {
    if let Some(custom) = resource.as_custom() {
        return custom.reset(subresource);
    }
    let plural = resource.info.plural.as_ref();
    if let Some((_, _, reset)) = EXCEPTIONS.iter().find(|(of, through, _)| *of == plural && *through == subresource) {
        return *reset;
    }
    match subresource {
        "" if resource.has_status() => STATUS,
        "status" if STATUS_KEEPS_METADATA.contains(&plural) => SPEC_AND_METADATA,
        "status" => SPEC,
        _ => Reset::Nothing,
    }
}
