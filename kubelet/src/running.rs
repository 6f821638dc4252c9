//! `/runningpods`: what the runtime runs, whatever the API says. Upstream: `Server.getRunningPods`.

use std::collections::BTreeMap;

use cri::api::{ContainerFilter, ContainerState, ContainerStateValue};
use serde_json::{Value, json};

use crate::kuberuntime::labels::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID};

/// A PodList of the pods that have a running container.
pub(crate) async fn pods(cri: &cri::Client) -> Result<Value, cri::Error> {
    let state = ContainerStateValue { state: ContainerState::ContainerRunning.into() };
    let filter = ContainerFilter { state: Some(state), ..ContainerFilter::default() };
    let mut pods: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for container in cri.list_containers(Some(filter)).await? {
        let label = |name: &str| container.labels.get(name).cloned().unwrap_or_default();
        let metadata = json!({"name": label(POD_NAME), "namespace": label(POD_NAMESPACE), "uid": label(POD_UID)});
        let image = container.image.as_ref().map(|image| image.image.clone()).unwrap_or_default();
        let (_, containers) = pods.entry(label(POD_UID)).or_insert_with(|| (metadata, Vec::new()));
        containers.push(json!({"name": label(CONTAINER_NAME), "image": image, "resources": {}}));
    }
    let items: Vec<Value> = pods
        .into_values()
        .map(|(metadata, containers)| json!({"metadata": metadata, "spec": {"containers": containers}, "status": {}}))
        .collect();
    Ok(json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}
