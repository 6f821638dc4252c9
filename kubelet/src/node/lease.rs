//! The node's heartbeat: a Lease renewed every ten seconds. Upstream: `component-helpers/apimachinery/lease`.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::PostParams;

use crate::kubelet::Kubelet;

const NAMESPACE: &str = "kube-node-lease";
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(7);

/// Runs until shutdown.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    let leases: Api<Lease> = Api::namespaced(kubelet.client.clone(), NAMESPACE);
    // Renewed four times in its life, as upstream.
    let interval = kubelet.config.node_lease_duration / 4;
    let mut held: Option<Lease> = None;
    let mut retry = RETRY_FIRST;
    loop {
        match renew(&kubelet, &leases, held.take()).await {
            Ok(lease) => {
                held = Some(lease);
                retry = RETRY_FIRST;
                tokio::time::sleep(interval).await;
            }
            Err(error) => {
                tracing::debug!(%error, "node lease is not renewed");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_MAX);
            }
        }
    }
}

async fn renew(kubelet: &Kubelet, leases: &Api<Lease>, held: Option<Lease>) -> Result<Lease, kube::Error> {
    let name = kubelet.config.node_name.as_str();
    let present = match held {
        Some(lease) => Some(lease),
        None => leases.get_opt(name).await?,
    };
    let seconds = i32::try_from(kubelet.config.node_lease_duration.as_secs()).unwrap_or(40);
    let spec = LeaseSpec {
        holder_identity: Some(name.to_owned()),
        lease_duration_seconds: Some(seconds),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    match present {
        Some(mut lease) => {
            lease.spec = Some(spec);
            if lease.metadata.owner_references.as_ref().is_none_or(Vec::is_empty) {
                lease.metadata.owner_references = owner(kubelet);
            }
            leases.replace(name, &PostParams::default(), &lease).await
        }
        None => {
            let metadata = ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(NAMESPACE.into()),
                owner_references: owner(kubelet),
                ..ObjectMeta::default()
            };
            leases.create(&PostParams::default(), &Lease { metadata, spec: Some(spec) }).await
        }
    }
}

/// The Node, so that its lease goes when it goes.
fn owner(kubelet: &Kubelet) -> Option<Vec<OwnerReference>> {
    let node = kubelet.node_object()?;
    Some(vec![OwnerReference {
        api_version: "v1".into(),
        kind: "Node".into(),
        name: kubelet.config.node_name.clone(),
        uid: node.metadata.uid.clone()?,
        ..OwnerReference::default()
    }])
}
