//! NodeDeclaredFeatureValidator: a pod on a node is changed in no way that the node's kubelet does not know.
//! Upstream: plugin/pkg/admission/nodedeclaredfeatures, component-helpers nodedeclaredfeatures.

use api::go_text::quote;
use api::meta;
use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::{items, text};
use crate::registry::validation::same;

/// A feature that a change of a pod's spec needs. In the order they are told in.
struct Feature {
    name: &'static str,
    is_needed: fn(new: &Value, old: &Value) -> bool,
}

const FEATURES: [Feature; 3] = [
    Feature {
        name: "InPlacePodLevelResourcesVerticalScaling",
        is_needed: |new, old| !same(&new["resources"], &old["resources"]),
    },
    Feature {
        name: "InPlacePodVerticalScalingInitContainers",
        is_needed: |new, old| {
            let pairs = items(old, "initContainers").iter().zip(items(new, "initContainers"));
            pairs
                .filter(|(old, _)| text(old, "restartPolicy") != "Always")
                .any(|(old, new)| old["resources"] != new["resources"])
        },
    },
    Feature {
        name: "InPlacePodVerticalScalingMemoryBackedVolumes",
        is_needed: |new, old| {
            let size = |volume: &Value| volume["emptyDir"]["sizeLimit"].clone();
            let resized = |(new, old): (&Value, &Value)| {
                text(new, "name") == text(old, "name")
                    && text(&new["emptyDir"], "medium") == "Memory"
                    && !size(new).is_null()
                    && !size(old).is_null()
                    && size(new) != size(old)
            };
            let (new, old) = (items(new, "volumes"), items(old, "volumes"));
            new.len() == old.len() && new.iter().zip(old).any(resized)
        },
    },
];

#[derive(Debug)]
pub(super) struct NodeDeclaredFeatureValidator;

impl Validating for NodeDeclaredFeatureValidator {
    fn handles(&self, operation: Operation) -> bool {
        operation == Operation::Update
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        let concerned = attributes.is_resource("", "pods") || attributes.is_subresource("", "pods", "resize");
        let old = attributes.old.filter(|old| concerned && meta::generation(old) != meta::generation(pod));
        old.map_or(Ok(()), |old| check(attributes, pod, old))
    }
}

fn check(attributes: Attributes<'_>, pod: &Value, old: &Value) -> Result<(), Status> {
    let name = text(&pod["spec"], "nodeName");
    let mut needed: Vec<&str> =
        FEATURES.iter().filter(|own| (own.is_needed)(&pod["spec"], &old["spec"])).map(|own| own.name).collect();
    if name.is_empty() || needed.is_empty() {
        return Ok(());
    }
    let Some(node) = attributes.ctx.objects.get("", "nodes", "", name) else {
        return Err(forbidden(attributes, pod, format!("node {} not found", quote(name))));
    };
    let declared = items(&node["status"], "declaredFeatures");
    needed.retain(|feature| !declared.iter().any(|own| own == feature));
    if needed.is_empty() {
        return Ok(());
    }
    let (needed, name) = (needed.join(", "), quote(name));
    let why = format!("pod update requires features {needed} which are not available on node {name}");
    Err(forbidden(attributes, pod, why))
}
