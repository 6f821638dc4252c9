//! `/stats/summary` and `/metrics/resource`: what metrics-server and `kubectl top` read. Upstream: `server/stats`, `metrics/collectors`.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::kubelet::Kubelet;
use crate::kuberuntime::labels::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID};
use crate::pod::PodExt;

/// CPU and memory of the node, its pods and their containers.
pub(crate) async fn summary(kubelet: &Kubelet) -> Result<Value, cri::Error> {
    let containers = kubelet.cri.list_container_stats(None).await?;
    let now = Timestamp::now().to_string();
    let usage = |usage: Option<(u64, u64)>| match usage {
        Some((cpu, memory)) => (
            json!({ "time": now, "usageCoreNanoSeconds": cpu }),
            json!({ "time": now, "workingSetBytes": memory, "usageBytes": memory }),
        ),
        None => (Value::Null, Value::Null),
    };
    let pods: Vec<Value> = kubelet
        .pods
        .list()
        .iter()
        .filter(|pod| !pod.finished())
        .map(|pod| {
            let own = containers.iter().filter(|stats| {
                stats.attributes.as_ref().is_some_and(|a| a.labels.get(POD_UID).map(String::as_str) == Some(pod.uid()))
            });
            let own: Vec<Value> = own
                .map(|stats| {
                    let labels = stats.attributes.as_ref().map(|a| a.labels.clone()).unwrap_or_default();
                    let cpu = stats.cpu.as_ref().and_then(|cpu| cpu.usage_core_nano_seconds.as_ref()).map(|v| v.value);
                    let memory =
                        stats.memory.as_ref().and_then(|memory| memory.working_set_bytes.as_ref()).map(|v| v.value);
                    json!({
                        "name": labels.get(CONTAINER_NAME),
                        "cpu": { "time": now, "usageCoreNanoSeconds": cpu.unwrap_or(0) },
                        "memory": { "time": now, "workingSetBytes": memory.unwrap_or(0) },
                    })
                })
                .collect();
            let (cpu, memory) = usage(kubelet.cgroups.usage(Some(pod)));
            json!({
                "podRef": { "name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid() },
                "startTime": pod.status().start_time,
                "containers": own,
                "cpu": cpu,
                "memory": memory,
            })
        })
        .collect();
    let (cpu, memory) = usage(kubelet.cgroups.usage(None));
    Ok(json!({
        "node": { "nodeName": kubelet.config.node_name, "cpu": cpu, "memory": memory },
        "pods": pods,
    }))
}

/// CPU and memory in Prometheus' format.
pub(crate) async fn resource_metrics(kubelet: &Kubelet) -> Result<String, cri::Error> {
    let containers = kubelet.cri.list_container_stats(None).await?;
    let mut cpu_lines = String::from("# TYPE container_cpu_usage_seconds_total counter\n");
    let mut memory_lines = String::from("# TYPE container_memory_working_set_bytes gauge\n");
    for stats in containers {
        let labels = stats.attributes.map(|attributes| attributes.labels).unwrap_or_default();
        let get = |name: &str| labels.get(name).cloned().unwrap_or_default();
        let names = format!(
            "{{container=\"{}\",namespace=\"{}\",pod=\"{}\"}}",
            get(CONTAINER_NAME),
            get(POD_NAMESPACE),
            get(POD_NAME)
        );
        if let Some(cpu) = stats.cpu.and_then(|cpu| cpu.usage_core_nano_seconds) {
            let (whole, rest) = (cpu.value / 1_000_000_000, cpu.value % 1_000_000_000);
            cpu_lines.push_str(&format!("container_cpu_usage_seconds_total{names} {whole}.{rest:09}\n"));
        }
        if let Some(memory) = stats.memory.and_then(|memory| memory.working_set_bytes) {
            memory_lines.push_str(&format!("container_memory_working_set_bytes{names} {}\n", memory.value));
        }
    }
    let mut out = cpu_lines + &memory_lines;
    if let Some((cpu, memory)) = kubelet.cgroups.usage(None) {
        let (whole, rest) = (cpu / 1_000_000_000, cpu % 1_000_000_000);
        out.push_str(&format!(
            "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total {whole}.{rest:09}\n"
        ));
        out.push_str(&format!("# TYPE node_memory_working_set_bytes gauge\nnode_memory_working_set_bytes {memory}\n"));
    }
    Ok(out)
}
