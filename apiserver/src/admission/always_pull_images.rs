//! AlwaysPullImages: nobody runs an image that is on a node without being allowed to pull it.
//! Upstream: plugin/pkg/admission/alwayspullimages.

use std::collections::HashSet;

use api::field::{Error, Path};
use api::status::Status;
use json::Value;

use super::limit_ranger::joined;
use super::plugins::forbidden;
use super::{Attributes, Mutating, Operation, Validating};
use crate::registry::fields::{items, items_mut, object_mut, set, text};

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const ALWAYS: &str = "Always";

#[derive(Debug)]
pub(super) struct AlwaysPullImages;

/// Pods that are new, or that name an image they did not.
fn concerns(attributes: Attributes<'_>, pod: &Value) -> bool {
    let images = |pod: &Value| -> HashSet<String> {
        let containers = LISTS.iter().flat_map(|list| items(&pod["spec"], list).to_vec());
        containers.map(|container| text(&container, "image").to_owned()).collect()
    };
    attributes.is_resource("", "pods") && attributes.old.is_none_or(|old| !images(pod).is_subset(&images(old)))
}

impl Mutating for AlwaysPullImages {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn admit(&self, attributes: Attributes<'_>, pod: &mut Value) -> Result<(), Status> {
        if concerns(attributes, pod) {
            let spec = object_mut(pod, "spec");
            for list in LISTS {
                items_mut(spec, list).for_each(|container| set(container, "imagePullPolicy", ALWAYS));
            }
            let images = items_mut(spec, "volumes").filter_map(|volume| volume.get_mut("image"));
            images.filter(|image| image.is_object()).for_each(|image| set(image, "pullPolicy", ALWAYS));
        }
        Ok(())
    }
}

impl Validating for AlwaysPullImages {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if concerns(attributes, pod) { check(attributes, pod) } else { Ok(()) }
    }
}

fn check(attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
    let spec = Path::new("spec");
    let mut refusals = Vec::new();
    let mut look = |path: Path, policy: &str| {
        if policy != ALWAYS {
            let error = Error::not_supported(&path, policy, [ALWAYS]);
            refusals.push(forbidden(attributes, pod, error.to_string()).message);
        }
    };
    for list in LISTS {
        for (index, container) in items(&pod["spec"], list).iter().enumerate() {
            look(spec.child(list).index(index).child("imagePullPolicy"), text(container, "imagePullPolicy"));
        }
    }
    for (index, volume) in items(&pod["spec"], "volumes").iter().enumerate() {
        if volume["image"].is_object() {
            let path = spec.child("volumes").index(index).child("image").child("pullPolicy");
            look(path, text(&volume["image"], "pullPolicy"));
        }
    }
    // Several refusals are one error that has no code of its own.
    joined(refusals).map_or(Ok(()), |why| Err(Status::unknown(500, why)))
}
