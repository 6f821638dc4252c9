//! `/metrics` of the kubelet's port: what it counts, under upstream's names. Upstream: `pkg/kubelet/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use component::metrics::{Error, IntGauge, IntGaugeVec, ProcessMetrics, Registrar, Registry, encode};
use k8s_openapi::api::core::v1::{ContainerState, Pod};

use crate::pod::PodExt;

/// The families, in a registry of their own.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    running_pods: IntGauge,
    running_containers: IntGaugeVec,
}

impl Metrics {
    /// For the kubelet of `node`.
    pub(crate) fn new(node: &str) -> Result<Self, Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessMetrics::new()?))?;
        let make = Registrar::of(&registry).under("kubelet_");
        let name = make.gauges("node_name", "The node's name. The count is always 1.", &["node"])?;
        name.with_label_values(&[node]).set(1);
        Ok(Self {
            running_pods: make.gauge("running_pods", "Number of pods that have a running pod sandbox")?,
            running_containers: make.gauges(
                "running_containers",
                "Number of containers currently running",
                &["container_state"],
            )?,
            registry,
        })
    }

    /// Prometheus' text, with `pods` as they are now.
    pub(crate) fn text(&self, pods: &[Arc<Pod>]) -> Result<String, Error> {
        let running = pods.iter().filter(|pod| !pod.finished()).count();
        self.running_pods.set(i64::try_from(running).unwrap_or(i64::MAX));
        for (state, count) in states(pods) {
            self.running_containers.with_label_values(&[state]).set(count);
        }
        encode([&self.registry])
    }
}

/// How many containers are in which of the runtime's states.
fn states(pods: &[Arc<Pod>]) -> BTreeMap<&'static str, i64> {
    let mut count = BTreeMap::from([("running", 0), ("exited", 0)]);
    let statuses = pods.iter().map(|pod| pod.status());
    let all = statuses.flat_map(|status| {
        let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        lists.into_iter().flatten().flatten()
    });
    for state in all.filter_map(|status| status.state.as_ref()) {
        match state {
            ContainerState { running: Some(_), .. } => *count.entry("running").or_default() += 1,
            ContainerState { terminated: Some(_), .. } => *count.entry("exited").or_default() += 1,
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_and_containers_are_counted_as_they_are_now() {
        let metrics = Metrics::new("a").unwrap();
        let pod = |state: &str| {
            let json = serde_json::json!({"metadata": {"name": "p"}, "spec": {"containers": []}, "status": {
                "phase": "Running", "containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true,
                "restartCount": 0, "state": {state: if state == "running" { serde_json::json!({}) }
                else { serde_json::json!({"exitCode": 1}) }}}]}});
            Arc::new(serde_json::from_value::<Pod>(json).unwrap())
        };
        let text = metrics.text(&[pod("running"), pod("terminated")]).unwrap();
        for line in [
            "kubelet_node_name{node=\"a\"} 1",
            "kubelet_running_pods 2",
            "kubelet_running_containers{container_state=\"running\"} 1",
            "kubelet_running_containers{container_state=\"exited\"} 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
        assert!(metrics.text(&[]).unwrap().contains("kubelet_running_containers{container_state=\"running\"} 0"));
    }
}
