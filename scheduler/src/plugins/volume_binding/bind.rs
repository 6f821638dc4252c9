//! Writes a plan and waits until the volume controllers have done their part.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1 as core;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::wait::await_condition;
use serde_json::json;

use super::find::Plan;
use crate::framework::{PreBind, Status, Verdict};
use crate::objects::{PersistentVolumeClaim, SELECTED_NODE};

/// How long binding may take. Upstream: `VolumeBindingArgs.BindTimeoutSeconds`.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Volumes promised to claims (name to the claim's uid), until the API says so itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Reserved(Arc<Mutex<HashMap<String, String>>>);

impl Reserved {
    /// True when a volume is promised to another claim.
    pub(super) fn is_taken(&self, volume: &str, claim_uid: &str) -> bool {
        let reserved = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reserved.get(volume).is_some_and(|uid| uid != claim_uid)
    }

    fn change(&self, apply: impl FnOnce(&mut HashMap<String, String>)) {
        apply(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The writes of one pod; dropping it gives the promised volumes back.
pub(super) struct Bindings {
    client: kube::Client,
    reserved: Reserved,
    node: String,
    plan: Plan,
}

impl std::fmt::Debug for Bindings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bindings").field("node", &self.node).field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Bindings {
    pub(super) fn new(client: kube::Client, reserved: Reserved, node: &str, plan: Plan) -> Self {
        reserved.change(|all| {
            for (claim, volume) in &plan.bindings {
                let name = volume.metadata.name.clone().unwrap_or_default();
                all.insert(name, claim.metadata.uid.clone().unwrap_or_default());
            }
        });
        Self { client, reserved, node: node.to_owned(), plan }
    }

    async fn write(&self) -> Result<(), kube::Error> {
        for (claim, volume) in &self.plan.bindings {
            let volumes: Api<core::PersistentVolume> = Api::all(self.client.clone());
            let meta = &claim.metadata;
            let change = json!({
                "metadata": {
                    "resourceVersion": volume.metadata.resource_version,
                    "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"},
                },
                "spec": {"claimRef": {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta.namespace,
                    "name": meta.name, "uid": meta.uid, "resourceVersion": meta.resource_version,
                }},
            });
            let name = volume.metadata.name.as_deref().unwrap_or_default();
            volumes.patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
        }
        for claim in &self.plan.provisions {
            if claim.annotation(SELECTED_NODE).is_some() {
                continue;
            }
            let change = json!({"metadata": {
                "resourceVersion": claim.metadata.resource_version,
                "annotations": {SELECTED_NODE: self.node},
            }});
            let name = claim.metadata.name.as_deref().unwrap_or_default();
            self.claims(claim).patch(name, &PatchParams::default(), &Patch::Merge(change)).await?;
        }
        Ok(())
    }

    fn claims(&self, claim: &PersistentVolumeClaim) -> Api<PersistentVolumeClaim> {
        Api::namespaced(self.client.clone(), claim.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// Waits for one claim; a provisioner that takes the node's choice back makes the pod look for another node.
    async fn bound(&self, claim: &PersistentVolumeClaim, provisioned: bool) -> Verdict {
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        let settled = move |seen: Option<&PersistentVolumeClaim>| match seen {
            None => true,
            Some(seen) => seen.is_fully_bound() || provisioned && seen.annotation(SELECTED_NODE).is_none(),
        };
        match await_condition(self.claims(claim), name, settled).await {
            Ok(Some(seen)) if seen.is_fully_bound() => Ok(()),
            Ok(Some(_)) => {
                Err(Status::error("binding volumes: provisioning failed: selected-node annotation was removed"))
            }
            Ok(None) => Err(Status::error(format!("binding volumes: persistentvolumeclaim \"{name}\" not found"))),
            Err(error) => Err(Status::error(format!("binding volumes: {error}"))),
        }
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        self.reserved.change(|all| {
            for (_, volume) in &self.plan.bindings {
                all.remove(volume.metadata.name.as_deref().unwrap_or_default());
            }
        });
    }
}

impl PreBind for Bindings {
    fn pre_bind(&self) -> BoxFuture<'_, Verdict> {
        Box::pin(async move {
            self.write().await.map_err(|error| Status::error(crate::status_text(&error)))?;
            let wait = async {
                for (claim, _) in &self.plan.bindings {
                    self.bound(claim, false).await?;
                }
                for claim in &self.plan.provisions {
                    self.bound(claim, true).await?;
                }
                Ok(())
            };
            match tokio::time::timeout(TIMEOUT, wait).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Status::error("binding volumes: context deadline exceeded")),
            }
        })
    }
}
