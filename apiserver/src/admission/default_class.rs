//! DefaultIngressClass and DefaultStorageClass: what names no class gets the default one; of several the newest, then the first
//! by name. Upstream: plugin/pkg/admission/network/defaultingressclass, plugin/pkg/admission/storage/storageclass/setdefault.

use api::meta;
use api::status::Status;
use json::Value;

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{at, object_mut, set};

/// What has classes, and how it names them.
#[derive(Debug)]
pub(super) struct DefaultClass {
    /// Group and resource of what has a class.
    of: (&'static str, &'static str),
    /// The field of its spec that names it.
    field: &'static str,
    /// The annotation that did before there was a field.
    annotation: &'static str,
    /// Group and resource of the classes.
    classes: (&'static str, &'static str),
    /// The annotations that make one the default.
    marks: &'static [&'static str],
}

/// Of Ingresses.
pub(super) const INGRESS: DefaultClass = DefaultClass {
    of: ("networking.k8s.io", "ingresses"),
    field: "ingressClassName",
    annotation: "kubernetes.io/ingress.class",
    classes: ("networking.k8s.io", "ingressclasses"),
    marks: &["ingressclass.kubernetes.io/is-default-class"],
};

/// Of PersistentVolumeClaims.
pub(super) const STORAGE: DefaultClass = DefaultClass {
    of: ("", "persistentvolumeclaims"),
    field: "storageClassName",
    annotation: "volume.beta.kubernetes.io/storage-class",
    classes: ("storage.k8s.io", "storageclasses"),
    marks: &["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"],
};

impl Mutating for DefaultClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, attributes: Attributes<'_>, object: &mut Value) -> Result<(), Status> {
        let names_one =
            !at(object, &["spec", self.field]).is_null() || meta::annotation(object, self.annotation).is_some();
        if names_one || !attributes.is_resource(self.of.0, self.of.1) {
            return Ok(());
        }
        let mut classes = attributes.ctx.objects.list(self.classes.0, self.classes.1, "");
        classes.retain(|class| self.marks.iter().any(|mark| meta::annotation(class, mark) == Some("true")));
        let newest = classes.iter().max_by(|one, other| {
            let created = |class: &Value| meta::creation_timestamp(class);
            created(one).cmp(&created(other)).then_with(|| meta::name(other).cmp(meta::name(one)))
        });
        if let Some(class) = newest {
            set(object_mut(object, "spec"), self.field, meta::name(class));
        }
        Ok(())
    }
}
