//! ephemeral-volume-controller: makes the claims of pods' generic ephemeral volumes.
//!
//! Upstream: pkg/controller/volume/ephemeral.

use std::sync::Arc;

use client::{Change, Informer};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::engine::{Context, Controller, Error, Key, Plan, Requeue, Write};
use crate::meta;

const WORKERS: usize = 5;

/// Runs the controller until shutdown.
pub(crate) async fn run(context: Context, name: &'static str) {
    let pods: Informer<Pod> = context.informers.of();
    let claims: Informer<PersistentVolumeClaim> = context.informers.of();
    let applier = Arc::new(context.applier("ephemeral_volume"));
    let (read, read_claims) = (pods.clone(), claims.clone());
    Controller::new(name, &context)
        .watch(&pods, |change: &Change<Pod>, queue| {
            let pod = change.object();
            let wanted = matches!(change, Change::Applied { old: None, .. }) && !meta::is_deleting(&pod.metadata);
            if wanted
                && pod
                    .spec
                    .iter()
                    .flat_map(|spec| spec.volumes.iter().flatten())
                    .any(|volume| volume.ephemeral.is_some())
            {
                queue.add(Key::of(&**pod));
            }
        })
        .watch(&claims, |change: &Change<PersistentVolumeClaim>, queue| {
            // A claim that goes while its pod lives is made again.
            let claim = change.object();
            if let (Change::Deleted(_), Some(owner)) =
                (change, meta::controller_of(&claim.metadata).filter(|owner| owner.kind == "Pod"))
            {
                queue.add(Key::new(meta::namespace(&claim.metadata), &*owner.name));
            }
        })
        .run(WORKERS, move |key: Key| {
            let pod = read.get(&key.namespace, &key.name);
            let present = |name: &str| read_claims.get(&key.namespace, name);
            let planned = pod.map_or(Ok(Plan::default()), |pod| plan(&pod, present));
            let applier = applier.clone();
            async move {
                match applier.apply_plan(planned?).await {
                    Err(error) if error.is_already_exists() || error.is_namespace_terminating() => Ok(Requeue::Done),
                    other => other,
                }
            }
        })
        .await;
}

fn plan(pod: &Pod, present: impl Fn(&str) -> Option<Arc<PersistentVolumeClaim>>) -> Result<Plan, Error> {
    let mut plan = Plan::default();
    if meta::is_deleting(&pod.metadata) {
        return Ok(plan);
    }
    for volume in pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
        let Some(template) = volume.ephemeral.as_ref().and_then(|source| source.volume_claim_template.as_ref()) else {
            continue;
        };
        let name = format!("{}-{}", meta::name(&pod.metadata), volume.name);
        if let Some(claim) = present(&name) {
            if !meta::is_controlled_by(&claim.metadata, &pod.metadata) {
                let message =
                    format!("PVC {}/{name} was not created for pod (pod is not owner)", meta::namespace(&pod.metadata));
                return Err(Error::Invalid { object: format!("Pod {}", meta::name(&pod.metadata)), message });
            }
            continue;
        }
        let metadata = template.metadata.clone().unwrap_or_default();
        let claim = PersistentVolumeClaim {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: pod.metadata.namespace.clone(),
                annotations: metadata.annotations,
                labels: metadata.labels,
                owner_references: Some(vec![meta::controller_ref::<Pod>(&pod.metadata)]),
                ..ObjectMeta::default()
            },
            spec: Some(template.spec.clone()),
            status: None,
        };
        let failed = "ephemeral volume controller: error creating claim: {error}";
        plan.push(Write::create(&claim).announce_failure(meta::warning::<Pod>(&pod.metadata, "FailedBinding", failed)));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{object, show};
    use expect_test::expect;

    #[test]
    fn a_claim_is_made_once_and_a_foreign_one_refused() {
        let pod: Pod = object(
            "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: ns, uid: u}, spec: {containers: [], volumes: [{name: v, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce]}}}}]}}",
        );
        expect![[r#"
            create v1 persistentvolumeclaims ns/p-v
              {"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"p-v","namespace":"ns","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Pod","name":"p","uid":"u"}]},"spec":{"accessModes":["ReadWriteOnce"]}}
              else Warning FailedBinding: ephemeral volume controller: error creating claim: {error}
        "#]].assert_eq(&show(&plan(&pod, |_| None).unwrap()));
        let foreign: PersistentVolumeClaim =
            object("{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: p-v, namespace: ns}}");
        let foreign = Arc::new(foreign);
        assert!(plan(&pod, |_| Some(foreign.clone())).is_err());
    }
}
