use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::fake_api::FakeApi;

/// A scheduler that runs against a fake API server.
struct Cluster {
    api: FakeApi,
    shutdown: Shutdown,
    task: JoinHandle<Option<Result<(), Error>>>,
}

impl Cluster {
    fn start(api: FakeApi) -> Self {
        let shutdown = Shutdown::new();
        let task = component::spawn("scheduler", run(Config::default(), api.client(), shutdown.clone()));
        Self { api, shutdown, task }
    }

    fn with_nodes(count: usize) -> Self {
        let api = FakeApi::new();
        (0..count).for_each(|number| api.apply("nodes", node(&format!("n{number}"), "4")));
        Self::start(api)
    }

    /// Where a pod is; empty while nowhere.
    fn node_of(&self, pod: &str) -> String {
        let pod = self.api.get("pods", &format!("ns/{pod}"));
        pod.and_then(|pod| pod["spec"]["nodeName"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    fn condition(&self, pod: &str) -> Value {
        self.api.get("pods", &format!("ns/{pod}")).map(|pod| pod["status"]["conditions"][0].clone()).unwrap_or_default()
    }

    async fn eventually(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("never: {what}");
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap().unwrap();
    }
}

fn node(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}}})
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "ns", "generation": 1},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}]}})
}

#[tokio::test]
async fn a_pod_is_bound_and_said_to_be() {
    let cluster = Cluster::with_nodes(1);
    cluster.api.apply("pods", pod("p", "1"));
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n0").await;
    let event = ("Scheduled".to_owned(), "Successfully assigned ns/p to n0".to_owned());
    cluster.eventually("event", |cluster| cluster.api.events().contains(&event)).await;
    cluster.stop().await;
}

#[tokio::test]
async fn other_schedulers_pods_are_left_alone() {
    let cluster = Cluster::with_nodes(1);
    let mut other = pod("other", "1");
    other["spec"]["schedulerName"] = "mine".into();
    cluster.api.apply("pods", other);
    cluster.api.apply("pods", pod("p", "1"));
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n0").await;
    assert_eq!(cluster.node_of("other"), "");
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_that_fits_nowhere_says_why_and_runs_once_a_node_comes() {
    let cluster = Cluster::with_nodes(2);
    cluster.api.apply("pods", pod("p", "6"));
    let message = "0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 2 Preemption is \
                   not helpful for scheduling.";
    cluster.eventually("condition", |cluster| cluster.condition("p")["message"] == message).await;
    assert_eq!(cluster.condition("p")["reason"], "Unschedulable");
    assert_eq!(cluster.condition("p")["observedGeneration"], 1);
    let event = ("FailedScheduling".to_owned(), message.to_owned());
    cluster.eventually("event", |cluster| cluster.api.events().contains(&event)).await;
    cluster.api.apply("nodes", node("large", "8"));
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "large").await;
    cluster.stop().await;
}

#[tokio::test]
async fn without_nodes_a_pod_waits_for_the_first_and_is_bound_at_once() {
    let cluster = Cluster::with_nodes(0);
    cluster.api.apply("pods", pod("p", "1"));
    let message = "no nodes available to schedule pods";
    cluster.eventually("condition", |cluster| cluster.condition("p")["message"] == message).await;
    cluster.api.apply("nodes", node("n", "4"));
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n").await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_refused_binding_gives_the_room_back_and_is_tried_again() {
    let cluster = Cluster::with_nodes(1);
    cluster.api.refuse_bindings(1);
    cluster.api.apply("pods", pod("p", "3"));
    let message = "running Bind plugin \"DefaultBinder\": refused by the test";
    cluster.eventually("condition", |cluster| cluster.condition("p")["message"] == message).await;
    assert_eq!(cluster.condition("p")["reason"], "SchedulerError");
    // The room it had taken is free for another at once.
    cluster.api.apply("pods", pod("q", "3"));
    cluster.eventually("bound", |cluster| cluster.node_of("q") == "n0").await;
    cluster.api.delete("pods", "ns/q");
    cluster.eventually("bound after back-off", |cluster| cluster.node_of("p") == "n0").await;
    cluster.stop().await;
}

#[tokio::test]
async fn after_a_restart_what_runs_counts() {
    let api = FakeApi::new();
    api.apply("nodes", node("n", "4"));
    let mut running = pod("running", "3");
    running["spec"]["nodeName"] = "n".into();
    api.apply("pods", running);
    api.apply("pods", pod("p", "2"));
    let cluster = Cluster::start(api);
    cluster.eventually("turned down", |cluster| cluster.condition("p")["reason"] == "Unschedulable").await;
    cluster.api.delete("pods", "ns/running");
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n").await;
    cluster.stop().await;
}

#[tokio::test]
async fn lower_pods_make_room_for_a_higher_one() {
    let cluster = Cluster::with_nodes(1);
    cluster.api.apply("pods", pod("low", "3"));
    cluster.eventually("bound", |cluster| cluster.node_of("low") == "n0").await;
    let mut high = pod("high", "2");
    high["spec"]["priority"] = 1000.into();
    cluster.api.apply("pods", high);
    cluster.eventually("victim gone", |cluster| cluster.api.get("pods", "ns/low").is_none()).await;
    cluster.eventually("bound", |cluster| cluster.node_of("high") == "n0").await;
    let event = ("Preempted".to_owned(), "Preempted by pod uid-high on node n0".to_owned());
    cluster.eventually("event", |cluster| cluster.api.events().contains(&event)).await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_deleted_while_it_waits_is_forgotten() {
    let cluster = Cluster::with_nodes(1);
    cluster.api.apply("pods", pod("p", "6"));
    cluster.eventually("turned down", |cluster| cluster.condition("p")["reason"] == "Unschedulable").await;
    cluster.api.delete("pods", "ns/p");
    cluster.api.apply("nodes", node("large", "8"));
    cluster.api.apply("pods", pod("q", "5"));
    cluster.eventually("bound", |cluster| cluster.node_of("q") == "large").await;
    assert_eq!(cluster.api.bound(), 1);
    cluster.stop().await;
}

#[tokio::test]
async fn a_pod_without_its_claim_waits_for_the_claim() {
    let cluster = Cluster::with_nodes(1);
    let mut waiting = pod("p", "1");
    waiting["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    cluster.api.apply("pods", waiting);
    let message = "0/1 nodes are available: persistentvolumeclaim \"c\" not found. not found";
    cluster.eventually("condition", |cluster| cluster.condition("p")["message"] == message).await;
    cluster.api.apply("persistentvolumes", json!({"metadata": {"name": "v"}, "spec": {}}));
    let bound = json!({"pv.kubernetes.io/bind-completed": "yes"});
    let claim = json!({"metadata": {"name": "c", "namespace": "ns", "annotations": bound},
        "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}});
    cluster.api.apply("persistentvolumeclaims", claim);
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n0").await;
    cluster.stop().await;
}

#[tokio::test]
async fn a_waiting_claim_gets_its_volume_before_the_pod_is_bound() {
    let cluster = Cluster::with_nodes(2);
    let class = json!({"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer"});
    let here = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]});
    let volume = json!({"metadata": {"name": "v"}, "status": {"phase": "Available"}, "spec": {
        "storageClassName": "local", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}}}});
    let mut claim = json!({"metadata": {"name": "c", "namespace": "ns"}, "spec": {"storageClassName": "local",
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.api.apply("storageclasses", class);
    cluster.api.apply("persistentvolumes", volume);
    cluster.api.apply("persistentvolumeclaims", claim.clone());
    let mut user = pod("p", "1");
    user["spec"]["volumes"] = json!([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]);
    cluster.api.apply("pods", user);
    let promised = |cluster: &Cluster| {
        cluster.api.get("persistentvolumes", "/v").is_some_and(|volume| volume["spec"]["claimRef"]["name"] == "c")
    };
    cluster.eventually("volume promised", promised).await;
    assert_eq!(cluster.node_of("p"), "", "the pod waits for the controller to bind");
    claim["metadata"]["annotations"] = json!({"pv.kubernetes.io/bind-completed": "yes"});
    claim["spec"]["volumeName"] = "v".into();
    claim["status"] = json!({"phase": "Bound"});
    cluster.api.apply("persistentvolumeclaims", claim);
    cluster.eventually("bound", |cluster| cluster.node_of("p") == "n1").await;
    cluster.stop().await;
}
