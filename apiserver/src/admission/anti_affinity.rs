//! LimitPodHardAntiAffinityTopology: nobody keeps others out of more than a node.
//! Upstream: plugin/pkg/admission/antiaffinity.

use api::status::Status;
use json::Value;

use super::plugins::forbidden;
use super::{Attributes, Operation, Validating};
use crate::registry::fields::{at, items, text};

const NODE: &str = "kubernetes.io/hostname";

#[derive(Debug)]
pub(super) struct LimitPodHardAntiAffinityTopology;

impl Validating for LimitPodHardAntiAffinityTopology {
    fn handles(&self, operation: Operation) -> bool {
        matches!(operation, Operation::Create | Operation::Update)
    }

    fn validate(&self, attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
        if attributes.is_resource("", "pods") { check(attributes, pod) } else { Ok(()) }
    }
}

fn check(attributes: Attributes<'_>, pod: &Value) -> Result<(), Status> {
    let own = at(pod, &["spec", "affinity", "podAntiAffinity"]);
    let terms = items(own, "requiredDuringSchedulingIgnoredDuringExecution");
    let Some(key) = terms.iter().map(|term| text(term, "topologyKey")).find(|key| *key != NODE) else { return Ok(()) };
    let why = format!(
        "affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {NODE} is allowed"
    );
    Err(forbidden(attributes, pod, why))
}
