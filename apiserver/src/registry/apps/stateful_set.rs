//! StatefulSets. Upstream: ValidateStatefulSetSpec, pkg/registry/apps/statefulset/strategy.go.

use api::field::ErrorList;
use json::{Value, json};

use super::super::core::persistent_volume_claim;
use super::super::fields::{At, items, object_mut, remove, set, text};
use super::super::validation::{at_most_hundred_percent, dns_label, int_or_percent, nonnegative, one_of};
use super::template;
use super::workload::Workload;

/// The semantics of stateful sets.
pub(crate) const STATEFUL_SET: Workload = Workload {
    name_rule: api::names::name_is_dns_label,
    first_counts: &["replicas", "availableReplicas"],
    immutable: &["selector", "volumeClaimTemplates", "serviceName", "podManagementPolicy"],
    warnings,
    ..Workload::new(
        spec,
        &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
            "observedGeneration",
            "collisionCount",
        ],
    )
};

/// Of claims, and of a history without end.
fn warnings(new: &Value, old: Option<&Value>) -> Vec<String> {
    let spec = At::root(new).field("spec");
    let mut warnings = Vec::new();
    for claim in spec.field("volumeClaimTemplates").items() {
        // The paths are upstream's.
        let path = if old.is_some() { claim.path.child("Spec") } else { claim.path.clone() };
        warnings.extend(persistent_volume_claim::spec_warnings(&At::new(claim.get("spec"), path)));
    }
    if spec.field("revisionHistoryLimit").int() < 0 {
        let advice = "a negative value retains all historical revisions; a value >= 0 is recommended";
        warnings.push(format!("spec.revisionHistoryLimit: {advice}"));
    }
    warnings
}

fn spec(spec: &At<'_>, errors: &mut ErrorList) {
    let policy = spec.field("podManagementPolicy");
    match policy.str() {
        "OrderedReady" | "Parallel" => {}
        "" => errors.push(policy.required("")),
        _ => errors.push(policy.invalid_str("must be 'OrderedReady' or 'Parallel'")),
    }
    rollout(&spec.field("updateStrategy"), errors);
    let retention = spec.field("persistentVolumeClaimRetentionPolicy");
    if retention.is_set() {
        for field in ["whenDeleted", "whenScaled"] {
            one_of(&retention.field(field), &["Retain", "Delete"], errors);
        }
    }
    for claim in spec.field("volumeClaimTemplates").items() {
        persistent_volume_claim::spec(&claim.field("spec"), errors);
    }
    nonnegative(&spec.field("replicas"), errors);
    nonnegative(&spec.field("minReadySeconds"), errors);
    let start = At::new(spec.field("ordinals").get("start"), spec.path.child("ordinals.start"));
    nonnegative(&start, errors);
    if !spec.text("serviceName").is_empty() {
        dns_label(&spec.field("serviceName"), errors);
    }
    template::required_selector(spec, "statefulset", errors);
    let own = with_claims(spec);
    let pods = At::new(&own, spec.path.child("template"));
    template::for_selector(&pods, &spec.field("selector"), errors);
    template::runs_for_ever(&pods, "StatefulSet", errors);
}

fn rollout(strategy: &At<'_>, errors: &mut ErrorList) {
    let rolling = strategy.field("rollingUpdate");
    match strategy.text("type") {
        "" => errors.push(strategy.required("")),
        "OnDelete" if rolling.is_set() => {
            errors.push(rolling.invalid("only allowed for updateStrategy 'RollingUpdate'"))
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            nonnegative(&rolling.field("partition"), errors);
            let unavailable = rolling.field("maxUnavailable");
            if unavailable.is_set() {
                int_or_percent(&unavailable, errors);
                if template::amount(unavailable.value) == 0 {
                    errors.push(unavailable.invalid("cannot be 0"));
                }
                at_most_hundred_percent(&unavailable, errors);
            }
        }
        _ => errors.push(strategy.invalid("must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// The template as the controller will make pods of it: its claims are volumes, host name and subdomain are the controller's.
fn with_claims(spec: &At<'_>) -> Value {
    let mut template = spec.get("template").clone();
    let claims = spec.field("volumeClaimTemplates");
    let own = object_mut(&mut template, "spec");
    remove(own, "subdomain");
    remove(own, "hostname");
    if !claims.is_empty() {
        let name = |claim: &Value| text(&claim["metadata"], "name").to_owned();
        let mut volumes: Vec<Value> = claims
            .slice()
            .iter()
            .map(|claim| json!({"name": name(claim), "persistentVolumeClaim": {"claimName": name(claim)}}))
            .collect();
        let kept = items(own, "volumes")
            .iter()
            .filter(|volume| !claims.slice().iter().any(|claim| name(claim) == text(volume, "name")));
        volumes.extend(kept.cloned());
        set(own, "volumes", volumes);
    }
    template
}
