//! Registers the node and keeps its status: at once when something changes, every five minutes when nothing does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, Taint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::Instant;

use super::info::architecture;
use crate::Config;
use crate::eviction::Pressure;
use crate::kubelet::{Kubelet, RuntimeState};
use crate::resources::{Amounts, bytes, cpus, units};

const RETRY: Duration = Duration::from_millis(500);
/// Upstream: `nodeStatusMaxImages`.
const MAX_IMAGES: usize = 50;
/// Upstream: `maxNamesPerImageInNodeStatus`.
const MAX_NAMES: usize = 5;

/// Runs until shutdown.
pub(crate) async fn run(kubelet: Arc<Kubelet>) {
    while let Err(error) = register(&kubelet).await {
        tracing::warn!(%error, "node is not registered yet");
        tokio::time::sleep(RETRY).await;
    }
    kubelet.recorder.normal(&kubelet.recorder.node(), "Starting", "Starting kubelet.");
    if kubelet.cgroups.is_v1() {
        let message = "cgroup v1 support is in maintenance mode, please migrate to cgroup v2";
        kubelet.recorder.warning(&kubelet.recorder.node(), "CgroupV1", message);
    }
    let mut runtime = kubelet.runtime_state.subscribe();
    let mut pressure = kubelet.pressure.subscribe();
    let mut sent: Option<NodeStatus> = None;
    let mut reported_at = Instant::now();
    loop {
        let state = runtime.borrow_and_update().clone();
        let present = kubelet.node_object();
        let status = status(&kubelet, &state, present.as_deref()).await;
        let due = reported_at.elapsed() >= kubelet.config.node_status_report_frequency;
        let differs = sent.as_ref().is_none_or(|sent| changed(sent, &status));
        if differs || due {
            match send(&kubelet, &status).await {
                Ok(()) => {
                    tell_readiness(&kubelet, sent.as_ref(), &status);
                    sent = Some(status);
                    reported_at = Instant::now();
                }
                Err(error) => {
                    tracing::debug!(%error, "node status is not written yet");
                    if matches!(&error, kube::Error::Api(status) if status.code == 404) {
                        let _ = register(&kubelet).await;
                    }
                    sent = None;
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
        }
        tokio::select! {
            _ = runtime.changed() => {}
            _ = pressure.changed() => {}
            () = tokio::time::sleep(kubelet.config.node_status_update_frequency) => {}
        }
    }
}

fn tell_readiness(kubelet: &Kubelet, before: Option<&NodeStatus>, now: &NodeStatus) {
    let ready = |status: &NodeStatus| {
        status.conditions.iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let was = before.is_some_and(ready);
    if ready(now) == was {
        return;
    }
    let event = if was { "NodeNotReady" } else { "NodeReady" };
    tracing::info!(node = %kubelet.config.node_name, "node is {}", if was { "not ready" } else { "ready" });
    let message = format!("Node {} status is now: {event}", kubelet.config.node_name);
    kubelet.recorder.normal(&kubelet.recorder.node(), event, &message);
}

fn default_labels(config: &Config) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = [
        ("beta.kubernetes.io/arch", architecture()),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/hostname", config.node_name.as_str()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    labels.extend(config.node_labels.clone());
    labels
}

/// `key=value:effect` taken apart.
fn taint(text: &str) -> Option<Taint> {
    let (left, effect) = text.rsplit_once(':')?;
    let (key, value) = left.split_once('=').unwrap_or((left, ""));
    Some(Taint {
        key: key.to_owned(),
        value: Some(value.to_owned()).filter(|value| !value.is_empty()),
        effect: effect.to_owned(),
        time_added: None,
    })
}

/// Makes the Node object, or brings the labels of the one that is there up to date.
async fn register(kubelet: &Kubelet) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(kubelet.client.clone());
    let name = kubelet.config.node_name.as_str();
    let labels = default_labels(&kubelet.config);
    if kubelet.config.register_node {
        let taints: Vec<Taint> = kubelet.config.register_with_taints.iter().filter_map(|text| taint(text)).collect();
        let state = kubelet.runtime_state.borrow().clone();
        let node = Node {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels.clone()),
                annotations: Some(
                    [("volumes.kubernetes.io/controller-managed-attach-detach".to_owned(), "true".to_owned())].into(),
                ),
                ..ObjectMeta::default()
            },
            spec: Some(NodeSpec { taints: Some(taints).filter(|taints| !taints.is_empty()), ..NodeSpec::default() }),
            status: Some(status(kubelet, &state, None).await),
        };
        match nodes.create(&PostParams::default(), &node).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
    }
    let present = nodes.get(name).await?;
    let stale =
        labels.iter().any(|(key, value)| present.metadata.labels.as_ref().and_then(|l| l.get(key)) != Some(value));
    if stale {
        let patch = json!({ "metadata": { "labels": labels } });
        nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
    }
    Ok(())
}

async fn send(kubelet: &Kubelet, status: &NodeStatus) -> Result<(), kube::Error> {
    let nodes: Api<Node> = Api::all(kubelet.client.clone());
    let patch = Patch::Strategic(json!({ "status": status }));
    nodes.patch_status(&kubelet.config.node_name, &PatchParams::default(), &patch).await.map(|_| ())
}

/// Whether anything but the heartbeat differs.
fn changed(before: &NodeStatus, now: &NodeStatus) -> bool {
    let without_times = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
            condition.last_transition_time = None;
        }
        status
    };
    without_times(before) != without_times(now)
}

fn quantities(amounts: &Amounts) -> BTreeMap<String, Quantity> {
    amounts
        .iter()
        .map(|(name, amount)| {
            let quantity = match name.as_str() {
                "cpu" => cpus(*amount),
                "pods" => units(*amount),
                _ => bytes(*amount),
            };
            (name.clone(), quantity)
        })
        .collect()
}

async fn status(kubelet: &Kubelet, runtime: &RuntimeState, present: Option<&Node>) -> NodeStatus {
    let mut info = kubelet.machine.info.clone();
    info.container_runtime_version = kubelet.runtime_version();
    let now = Time(Timestamp::now());
    let known = present.and_then(|node| node.status.as_ref()).and_then(|status| status.conditions.as_ref());
    let pressure = *kubelet.pressure.borrow();
    let conditions = conditions(runtime, pressure).into_iter().map(|(name, status, reason, message)| {
        let before =
            known.into_iter().flatten().find(|condition| condition.type_ == name && condition.status == status);
        NodeCondition {
            type_: name.into(),
            status: status.into(),
            reason: Some(reason.into()),
            message: Some(message),
            last_heartbeat_time: Some(now.clone()),
            last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or_else(|| Some(now.clone())),
        }
    });
    let mut addresses: Vec<NodeAddress> =
        kubelet.host_ips.iter().map(|ip| NodeAddress { type_: "InternalIP".into(), address: ip.clone() }).collect();
    addresses.push(NodeAddress { type_: "Hostname".into(), address: kubelet.config.node_name.clone() });
    let port = i32::from(kubelet.config.port);
    NodeStatus {
        addresses: Some(addresses),
        allocatable: Some(quantities(&kubelet.machine.allocatable)),
        capacity: Some(quantities(&kubelet.machine.capacity)),
        conditions: Some(conditions.collect()),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port }) }),
        declared_features: Some(vec!["ExtendWebSocketsToKubelet".into()]),
        images: Some(images(kubelet).await),
        node_info: Some(info),
        ..NodeStatus::default()
    }
}

/// Type, status, reason and message.
fn conditions(runtime: &RuntimeState, pressure: Pressure) -> Vec<(&'static str, &'static str, &'static str, String)> {
    let ready = match runtime.problem() {
        None => ("Ready", "True", "KubeletReady", "kubelet is posting ready status".to_owned()),
        Some(problem) => ("Ready", "False", "KubeletNotReady", problem),
    };
    let memory = if pressure.memory {
        ("MemoryPressure", "True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available".into())
    } else {
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available".into())
    };
    let disk = if pressure.disk {
        ("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure".into())
    } else {
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure".into())
    };
    vec![
        memory,
        disk,
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available".into()),
        ready,
    ]
}

/// The largest images.
async fn images(kubelet: &Kubelet) -> Vec<ContainerImage> {
    let Ok(mut images) = kubelet.cri.list_images().await else { return Vec::new() };
    images.sort_by_key(|image| (std::cmp::Reverse(image.size), image.id.clone()));
    images
        .into_iter()
        .take(MAX_IMAGES)
        .map(|image| {
            let names: Vec<String> = image.repo_digests.into_iter().chain(image.repo_tags).take(MAX_NAMES).collect();
            ContainerImage { names: Some(names), size_bytes: i64::try_from(image.size).ok() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_are_taken_apart() {
        let parsed = taint("dedicated=gpu:NoSchedule").unwrap();
        assert_eq!(
            (parsed.key.as_str(), parsed.value.as_deref(), parsed.effect.as_str()),
            ("dedicated", Some("gpu"), "NoSchedule")
        );
        assert_eq!(taint("a:NoExecute").unwrap().value, None);
        assert_eq!(taint("a"), None);
    }

    #[test]
    fn a_node_is_ready_when_runtime_and_network_are() {
        let none = Pressure::default();
        let good = conditions(&RuntimeState { unreachable: None, runtime: None, network: None }, none);
        assert_eq!(good[3].1, "True");
        let text = "NetworkReady=false reason:NetworkPluginNotReady message:no".to_owned();
        let bad = conditions(&RuntimeState { unreachable: None, runtime: None, network: Some(text) }, none);
        assert_eq!(
            bad[3].3,
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:no"
        );
    }
}
