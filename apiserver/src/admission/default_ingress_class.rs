//! DefaultIngressClass: an Ingress that names no class gets the default one.
//! Upstream: plugin/pkg/admission/network/defaultingressclass.

use api::meta;
use api::status::Status;
use futures::future::{BoxFuture, ready};
use json::Value;

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{at, object_mut, set};

const GROUP: &str = "networking.k8s.io";

#[derive(Debug)]
pub(super) struct DefaultIngressClass;

impl Mutating for DefaultIngressClass {
    fn name(&self) -> &'static str {
        "DefaultIngressClass"
    }

    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit<'a>(&'a self, attributes: Attributes<'a>, ingress: &'a mut Value) -> BoxFuture<'a, Result<(), Status>> {
        let named = !at(ingress, &["spec", "ingressClassName"]).is_null()
            || meta::annotation(ingress, "kubernetes.io/ingress.class").is_some();
        if attributes.is_resource(GROUP, "ingresses") && !named {
            let mut classes = attributes.ctx.objects.list(GROUP, "ingressclasses", "");
            classes
                .retain(|class| meta::annotation(class, "ingressclass.kubernetes.io/is-default-class") == Some("true"));
            let newest = classes.iter().max_by(|one, other| {
                let created = |class: &Value| meta::creation_timestamp(class);
                created(one).cmp(&created(other)).then_with(|| meta::name(other).cmp(meta::name(one)))
            });
            if let Some(class) = newest {
                set(object_mut(ingress, "spec"), "ingressClassName", meta::name(class));
            }
        }
        Box::pin(ready(Ok(())))
    }
}
