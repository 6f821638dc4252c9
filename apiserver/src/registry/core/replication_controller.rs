//! ReplicationControllers. Upstream: ValidateReplicationControllerSpec.

use api::field::ErrorList;
use json::json;

use super::super::apps::template;
use super::super::apps::workload::Workload;
use super::super::fields::At;
use super::super::validation::{nonnegative, required_nonnegative};

/// The semantics of replication controllers.
pub(crate) const REPLICATION_CONTROLLER: Workload = Workload {
    first_counts: &["replicas"],
    // Its selector may change.
    immutable: &[],
    orphans: true,
    names_pods: true,
    warns_of_old: true,
    ..Workload::new(
        spec,
        &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"],
    )
};

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    nonnegative(&spec.field("minReadySeconds"), errors);
    if spec.field("selector").is_empty() {
        errors.push(spec.field("selector").required(""));
    }
    required_nonnegative(&spec.field("replicas"), errors);
    let own = spec.field("template");
    if !own.is_set() {
        errors.push(own.required(""));
        return;
    }
    let selector = json!({"matchLabels": spec.get("selector")});
    template::for_selector(&own, &At::root(&selector), errors);
    template::runs_for_ever(&own, "ReplicationController", errors);
}
