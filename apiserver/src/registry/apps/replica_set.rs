//! ReplicaSets. Upstream: ValidateReplicaSetSpec, pkg/registry/apps/replicaset/strategy.go.

use api::field::ErrorList;

use super::super::fields::At;
use super::super::validation::nonnegative;
use super::template;
use super::workload::Workload;

/// The semantics of replica sets.
pub(crate) const REPLICA_SET: Workload = Workload {
    first_counts: &["replicas"],
    names_pods: true,
    ..Workload::new(
        spec,
        &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "observedGeneration",
            "terminatingReplicas",
        ],
    )
};

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    nonnegative(&spec.field("replicas"), errors);
    nonnegative(&spec.field("minReadySeconds"), errors);
    // "deployment" is what upstream says here.
    template::required_selector(spec, "deployment", errors);
    template::for_selector(&spec.field("template"), &spec.field("selector"), errors);
    template::runs_for_ever(&spec.field("template"), "ReplicaSet", errors);
}
