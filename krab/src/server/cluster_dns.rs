//! The kube-dns Service in front of the built-in DNS server: a Service without a selector, whose slice names this node.
//! Whoever replaces DNS (CoreDNS) takes the Service over by its label or by deleting ours and starting with `--disable dns`.

use std::net::IpAddr;

use anyhow::Result;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// The port behind the Service. 53 itself may be taken by the machine's own resolver.
pub(crate) const PORT: u16 = 10053;

/// Makes the Service and points it at `node`. An existing Service is left as it is (creating it again would be refused for
/// its address, which is taken by itself).
pub(crate) async fn publish(client: &kube::Client, service_ip: IpAddr, node: IpAddr) -> Result<()> {
    let labels = json!({"k8s-app": NAME, "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"});
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {"clusterIP": service_ip, "ports": [
            {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": PORT},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": PORT},
        ]},
    }))?;
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    if services.get_opt(NAME).await?.is_none() {
        create(&services, &service).await?;
    }

    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "kube-dns-krab", "namespace": NAMESPACE, "labels": {
            "kubernetes.io/service-name": NAME, "endpointslice.kubernetes.io/managed-by": "krab"}},
        "addressType": if node.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [node], "conditions": {"ready": true, "serving": true, "terminating": false}}],
        "ports": [{"name": "dns", "port": PORT, "protocol": "UDP"}, {"name": "dns-tcp", "port": PORT, "protocol": "TCP"}],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    create(&slices, &serde_json::from_value(slice.clone())?).await?;
    // The node's address may have changed since the last start.
    let change = json!({"endpoints": slice["endpoints"], "ports": slice["ports"]});
    slices.patch("kube-dns-krab", &PatchParams::default(), &Patch::Merge(change)).await?;
    Ok(())
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
