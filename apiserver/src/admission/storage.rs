//! DefaultStorageClass, StorageObjectInUseProtection and PersistentVolumeClaimResize. Upstream: plugin/pkg/admission/storage.

use api::meta;
use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{At, at, object_mut, set, text};
use crate::registry::validation::resources::quantity;

const DEFAULT_CLASS: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// A claim that names no class gets the default one: the newest, then the first by name.
#[derive(Debug)]
pub(super) struct DefaultStorageClass;

impl Mutating for DefaultStorageClass {
    fn name(&self) -> &'static str {
        "DefaultStorageClass"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, claim: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
        let named =
            !at(claim, &["spec", "storageClassName"]).is_null() || meta::annotation(claim, CLASS_ANNOTATION).is_some();
        if attributes.is_resource("", "persistentvolumeclaims") && !named {
            let is_default =
                |class: &Value| DEFAULT_CLASS.iter().any(|key| meta::annotation(class, key) == Some("true"));
            let mut classes = attributes.ctx.objects.list("storage.k8s.io", "storageclasses", "");
            classes.retain(|class| is_default(class));
            let newest = classes.iter().max_by(|one, other| {
                let created = |class: &Value| meta::creation_timestamp(class);
                created(one).cmp(&created(other)).then_with(|| meta::name(other).cmp(meta::name(one)))
            });
            if let Some(class) = newest {
                set(object_mut(claim, "spec"), "storageClassName", meta::name(class));
            }
        }
        Box::pin(ready(Ok(())))
    }
}

/// What is in use is not removed: a finalizer that the protection controllers take away.
#[derive(Debug)]
pub(super) struct StorageObjectInUseProtection;

impl Mutating for StorageObjectInUseProtection {
    fn name(&self) -> &'static str {
        "StorageObjectInUseProtection"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, object: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
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
        Box::pin(ready(Ok(())))
    }
}

/// Only claims of a class that allows it may grow.
#[derive(Debug)]
pub(super) struct PersistentVolumeClaimResize;

impl Validating for PersistentVolumeClaimResize {
    fn name(&self) -> &'static str {
        "PersistentVolumeClaimResize"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate<'a>(&'a self, attributes: Attributes<'a>, claim: &'a Value) -> BoxFuture<'a, Result<(), Status>> {
        Box::pin(ready(check_resize(attributes, claim)))
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
