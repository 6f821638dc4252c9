//! StorageObjectInUseProtection and PersistentVolumeClaimResize. Upstream: plugin/pkg/admission/storage.

use api::meta;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{At, at, text};
use crate::registry::validation::resources::quantity;

/// What is in use is not removed: a finalizer that the protection controllers take away.
#[derive(Debug)]
pub(super) struct StorageObjectInUseProtection;

impl Mutating for StorageObjectInUseProtection {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let target = &attributes.ctx.target;
        let finalizer = match (target.group.as_str(), target.resource.as_str(), target.subresource.as_str()) {
            ("", "persistentvolumes", "") => Some("kubernetes.io/pv-protection"),
            ("", "persistentvolumeclaims", "") => Some("kubernetes.io/pvc-protection"),
            ("storage.k8s.io", "volumeattributesclasses", "") => Some("kubernetes.io/vac-protection"),
            _ => None,
        };
        if let Some(finalizer) = finalizer.filter(|finalizer| !meta::has_finalizer(object, finalizer)) {
            let finalizers = meta::finalizers(object).map(str::to_owned).chain([finalizer.to_owned()]).collect();
            meta::set_finalizers(object, finalizers);
        }
        Ok(())
    }
}

/// Only claims of a class that allows it may grow.
#[derive(Debug)]
pub(super) struct PersistentVolumeClaimResize;

impl Validating for PersistentVolumeClaimResize {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, attributes: Attributes<'_>, claim: &Value) -> Result<(), Status> {
        check_resize(attributes, claim)
    }
}

fn check_resize(attributes: Attributes<'_>, claim: &Value) -> Result<(), Status> {
    let Some(old) = attributes.old.filter(|_| attributes.is_resource("", "persistentvolumeclaims")) else {
        return Ok(());
    };
    let size = |claim: &Value| quantity(&At::root(at(claim, &["spec", "resources", "requests", "storage"])));
    if size(claim) <= size(old) {
        return Ok(());
    }
    if at(old, &["status", "phase"]) != "Bound" {
        return Err(forbidden(attributes, claim, "Only bound persistent volume claims can be expanded"));
    }
    let class = text(&claim["spec"], "storageClassName");
    let class = attributes.ctx.objects.get("storage.k8s.io", "storageclasses", "", class);
    if class.is_some_and(|class| class["allowVolumeExpansion"] == true) {
        return Ok(());
    }
    let why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize";
    Err(forbidden(attributes, claim, why))
}
