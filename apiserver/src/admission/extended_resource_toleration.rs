//! ExtendedResourceToleration: who asks for a device tolerates the taint that keeps others off its nodes.
//! Upstream: plugin/pkg/admission/extendedresourcetoleration.

use std::collections::BTreeSet;

use api::status::Status;
use json::{Value, json};

use super::{Attributes, Mutating, Operation};
use crate::registry::fields::{at, items, object_mut, set, text};
use crate::registry::validation::resources::is_extended;

#[derive(Debug)]
pub(super) struct ExtendedResourceToleration;

impl Mutating for ExtendedResourceToleration {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") {
            let spec = object_mut(pod, "spec");
            let mut tolerations = items(spec, "tolerations").to_vec();
            for device in devices(spec) {
                tolerate(&mut tolerations, &device);
            }
            if !tolerations.is_empty() {
                set(spec, "tolerations", tolerations);
            }
        }
        Ok(())
    }
}

fn devices(spec: &Value) -> BTreeSet<String> {
    let containers = ["containers", "initContainers"].into_iter().flat_map(|list| items(spec, list));
    let requests = containers.filter_map(|container| at(container, &["resources", "requests"]).as_object());
    requests.flat_map(|requests| requests.keys()).filter(|name| is_extended(name)).map(ToString::to_string).collect()
}

/// In place of one that differs in nothing but what it does not say.
fn tolerate(tolerations: &mut Vec<Value>, device: &str) {
    let own = json!({"key": device, "operator": "Exists", "effect": "NoSchedule"});
    let is_same = |other: &&mut Value| {
        ["key", "operator", "effect", "value"].iter().all(|field| text(other, field) == text(&own, field))
    };
    match tolerations.iter_mut().find(is_same) {
        Some(place) => *place = own.clone(),
        None => tolerations.push(own),
    }
}
