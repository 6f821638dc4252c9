//! RuntimeClass: overhead and scheduling of the class a pod names. Upstream: plugin/pkg/admission/runtimeclass.

use std::sync::Arc;

use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{at, items, object_mut, set};
use crate::registry::validation::same;

#[derive(Debug)]
pub(super) struct RuntimeClass;

/// The class a pod names; an error if there is none of that name.
fn class_of(attributes: Attributes<'_>, pod: &Value) -> Result<Option<Arc<Value>>, Status> {
    let Some(name) = at(pod, &["spec", "runtimeClassName"]).as_str() else { return Ok(None) };
    let class = attributes.ctx.objects.get("node.k8s.io", "runtimeclasses", "", name);
    class.map(Some).ok_or_else(|| {
        let why = format!("pod rejected: RuntimeClass {} not found", api::go_text::quote(name));
        forbidden(attributes, pod, why)
    })
}

impl Mutating for RuntimeClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        admit(attributes, pod)
    }
}

impl Validating for RuntimeClass {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Create
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        validate(attributes, pod)
    }
}

fn admit(attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
    if !attributes.is_resource("", "pods") {
        return Ok(());
    }
    let Some(class) = class_of(attributes, pod)? else { return Ok(()) };
    let overhead = at(&class, &["overhead", "podFixed"]);
    let own = at(pod, &["spec", "overhead"]);
    if !overhead.is_null() {
        if !own.is_null() && !same(own, overhead) {
            let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
            return Err(forbidden(attributes, pod, why));
        }
        set(object_mut(pod, "spec"), "overhead", overhead.clone());
    }
    for (key, value) in at(&class, &["scheduling", "nodeSelector"]).as_object().into_iter().flatten() {
        let spec = object_mut(pod, "spec");
        if spec["nodeSelector"].get(key).is_some_and(|own| own != value) {
            let own = spec["nodeSelector"][key].as_str().unwrap_or_default().to_owned();
            let why = format!(
                "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {}; pod.spec.nodeSelector[{key}] = {own}",
                value.as_str().unwrap_or_default()
            );
            return Err(forbidden(attributes, pod, why));
        }
        set(object_mut(spec, "nodeSelector"), key, value.clone());
    }
    let wanted = items(&class["scheduling"], "tolerations");
    if !wanted.is_empty() {
        let spec = object_mut(pod, "spec");
        let mut tolerations = items(spec, "tolerations").to_vec();
        tolerations
            .extend(wanted.iter().filter(|toleration| !tolerations.contains(toleration)).cloned().collect::<Vec<_>>());
        set(spec, "tolerations", tolerations);
    }
    Ok(())
}

fn validate(attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
    if !attributes.is_resource("", "pods") {
        return Ok(());
    }
    let overhead = at(pod, &["spec", "overhead"]);
    let Some(class) = class_of(attributes, pod)? else {
        return if overhead.is_null() {
            Ok(())
        } else {
            Err(forbidden(
                attributes,
                pod,
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            ))
        };
    };
    if !same(overhead, at(&class, &["overhead", "podFixed"])) {
        let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
        return Err(forbidden(attributes, pod, why));
    }
    Ok(())
}
