//! Workers on a fake runtime and an API server that only takes notes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use component::Shutdown;
use cri::fake;
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use serde_json::{Value, json};

use crate::Config;
use crate::kubelet::{Kubelet, RuntimeState};

/// What was asked of the API: method, path, body.
type Notes = Arc<Mutex<Vec<(String, String, Value)>>>;

struct Harness {
    runtime: fake::Runtime,
    kubelet: Arc<Kubelet>,
    notes: Notes,
    shutdown: Shutdown,
    dir: tempfile::TempDir,
}

fn api(notes: Notes) -> kube::Client {
    let service = tower_service(move |request: http::Request<Body>| {
        let notes = notes.clone();
        async move {
            let (parts, body) = request.into_parts();
            let path = parts.uri.path().to_owned();
            let query = parts.uri.query().unwrap_or_default().to_owned();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
            if query.contains("watch=true") || query.contains("watch=1") {
                return std::future::pending().await;
            }
            let method = parts.method.to_string();
            let (code, answer) = match method.as_str() {
                "GET" if path.contains("/configmaps/") || path.contains("/secrets/") => (
                    404,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}),
                ),
                "GET" => (
                    200,
                    json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": []}),
                ),
                "DELETE" => (200, json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "metadata": {}})),
                _ => (200, json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}})),
            };
            if method != "GET" {
                notes.lock().unwrap().push((method, path, body));
            }
            let answer = http::Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
            Ok::<_, std::convert::Infallible>(answer.unwrap())
        }
    });
    kube::Client::new(service, "default")
}

/// `tower::service_fn` without the crate.
fn tower_service<F, R>(answer: F) -> Service<F>
where
    F: FnMut(http::Request<Body>) -> R + Clone,
{
    Service(answer)
}

#[derive(Clone)]
struct Service<F>(F);

impl<F, R> tonic::codegen::Service<http::Request<Body>> for Service<F>
where
    F: FnMut(http::Request<Body>) -> R + Clone,
    R: Future<Output = Result<http::Response<Body>, std::convert::Infallible>>,
{
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = R;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> R {
        (self.0)(request)
    }
}

impl Harness {
    fn new() -> Self {
        Self::on(fake::Runtime::new(), |_| {})
    }

    fn on(runtime: fake::Runtime, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let notes = Notes::default();
        let mut config = Config {
            node_name: "node".into(),
            node_ip: Some("192.0.2.1".parse().unwrap()),
            root_dir: dir.path().join("kubelet"),
            pod_logs_dir: dir.path().join("logs"),
            cgroups_per_qos: false,
            port: 0,
            ..Config::default()
        };
        change(&mut config);
        runtime.add_image("image:1");
        let shutdown = Shutdown::new();
        let client = api(notes.clone());
        let (kubelet, _) = Kubelet::new(config, client, runtime.client(), shutdown.clone());
        kubelet.runtime_state.send_replace(RuntimeState { unreachable: None, runtime: None, network: None });
        kubelet.status.start(&shutdown);
        Self { runtime, kubelet, notes, shutdown, dir }
    }

    fn give(&self, pod: &Value) {
        let pod: Pod = serde_json::from_value(pod.clone()).unwrap();
        self.kubelet.workers.update(&self.kubelet, Arc::new(pod));
    }

    fn status(&self) -> Value {
        let status = self.kubelet.status.get("u1");
        status.map_or(Value::Null, |status| serde_json::to_value(&*status).unwrap())
    }

    fn events(&self) -> Vec<String> {
        let notes = self.notes.lock().unwrap();
        let events = notes.iter().filter(|(_, path, _)| path.ends_with("/events"));
        events.map(|(_, _, body)| format!("{} {}", text(&body["reason"]), text(&body["message"]))).collect()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..400 {
            if holds(self) {
                return;
            }
            self.kubelet.workers.wake_all();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{what} never came\ncalls: {:#?}\nstatus: {:#}", self.runtime.calls(), self.status());
    }

    async fn until_phase(&self, phase: &str) {
        self.until(phase, |harness| harness.status()["phase"] == phase).await;
    }

    async fn until_waiting(&self, reason: &str) {
        let state = |harness: &Self| harness.status()["containerStatuses"][0]["state"]["waiting"]["reason"].clone();
        self.until(reason, |harness| state(harness) == reason).await;
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn pod(change: impl FnOnce(&mut Value)) -> Value {
    let mut pod = json!({
        "metadata": { "name": "p", "namespace": "ns", "uid": "u1" },
        "spec": {
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": 5,
            "containers": [{ "name": "c", "image": "image:1" }],
        },
    });
    change(&mut pod);
    pod
}

fn deleting(pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["metadata"]["deletionTimestamp"] = json!("2026-11-20T00:00:00Z");
    pod["metadata"]["deletionGracePeriodSeconds"] = json!(5);
    pod
}

#[tokio::test]
async fn a_pod_is_started_and_reported() {
    let harness = Harness::new();
    harness.give(&pod(|pod| {
        pod["spec"]["volumes"] = json!([{ "name": "v", "emptyDir": {} }]);
        pod["spec"]["containers"][0]["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v" }]);
        pod["spec"]["containers"][0]["env"] =
            json!([{ "name": "IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }]);
    }));
    harness.until_phase("Running").await;
    let status = harness.status();
    assert_eq!(status["containerStatuses"][0]["ready"], true);
    assert_eq!(status["hostIP"], "192.0.2.1");
    assert_eq!(harness.runtime.calls(), ["RunPodSandbox p", "CreateContainer c", "StartContainer c"]);
    let container = harness.runtime.containers().into_values().next().unwrap();
    let mounts: Vec<_> = container.config.mounts.iter().map(|mount| mount.container_path.as_str()).collect();
    assert_eq!(mounts, ["/v", "/etc/hosts", "/dev/termination-log"]);
    assert_eq!(container.config.envs[0].value, text(&status["podIP"]));
    harness
        .until("the patch", |harness| {
            harness.notes.lock().unwrap().iter().any(|(_, path, body)| {
                path == "/api/v1/namespaces/ns/pods/p/status" && body["status"]["phase"] == "Running"
            })
        })
        .await;
    let events = harness.events();
    assert!(events.iter().any(|event| event == "Started Container started"), "{events:?}");
}

#[tokio::test]
async fn a_deleted_pod_leaves_nothing_behind() {
    let harness = Harness::new();
    let pod = pod(|_| {});
    harness.give(&pod);
    harness.until_phase("Running").await;
    harness.give(&deleting(&pod));
    harness
        .until("the deletion", |harness| {
            harness.notes.lock().unwrap().iter().any(|(method, _, body)| {
                method == "DELETE" && body["gracePeriodSeconds"] == 0 && body["preconditions"]["uid"] == "u1"
            })
        })
        .await;
    assert!(harness.runtime.calls().contains(&"StopContainer c 5".to_owned()), "{:?}", harness.runtime.calls());
    assert!(matches!(text(&harness.status()["phase"]), "Failed" | "Succeeded"));
    harness.kubelet.workers.remove(&serde_json::from_value(pod).unwrap());
    harness.until("the end", |harness| !harness.kubelet.workers.has("u1")).await;
    assert!(harness.runtime.containers().is_empty() && harness.runtime.sandboxes().is_empty());
    assert!(!harness.dir.path().join("kubelet/pods/u1").exists());
    assert!(!harness.dir.path().join("logs/ns_p_u1").exists());
}

#[tokio::test]
async fn a_crashing_container_backs_off_and_keeps_its_last_end() {
    let harness = Harness::new();
    harness.runtime.exit_at_start("c", 3);
    harness.give(&pod(|_| {}));
    harness.until_waiting("CrashLoopBackOff").await;
    let status = &harness.status()["containerStatuses"][0];
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 3);
    let message = text(&status["state"]["waiting"]["message"]);
    assert_eq!(message, "back-off 10s restarting failed container=c pod=p_ns(u1)");
    assert_eq!(harness.status()["phase"], "Running");
}

#[tokio::test]
async fn a_pod_that_runs_once_ends_as_its_containers_did() {
    for (code, phase) in [(0, "Succeeded"), (7, "Failed")] {
        let harness = Harness::new();
        harness.runtime.exit_at_start("c", code);
        harness.give(&pod(|pod| pod["spec"]["restartPolicy"] = json!("Never")));
        harness.until_phase(phase).await;
        assert_eq!(harness.status()["containerStatuses"][0]["state"]["terminated"]["exitCode"], code);
        harness.until("clean up", |harness| !harness.dir.path().join("kubelet/pods/u1").exists()).await;
        // The dead container stays, for its logs.
        assert_eq!(harness.runtime.containers().len(), 1);
    }
}

#[tokio::test]
async fn a_new_kubelet_adopts_what_runs() {
    let first = Harness::new();
    first.give(&pod(|_| {}));
    first.until_phase("Running").await;
    let calls = first.runtime.calls();
    let id = first.status()["containerStatuses"][0]["containerID"].clone();
    first.shutdown.cancel();
    let second = Harness::on(first.runtime.clone(), |_| {});
    second.give(&pod(|_| {}));
    second.until_phase("Running").await;
    assert_eq!(second.runtime.calls(), calls);
    assert_eq!(second.status()["containerStatuses"][0]["containerID"], id);
}

#[tokio::test]
async fn a_sandbox_that_fails_is_tried_again() {
    let harness = Harness::new();
    harness.runtime.fail("RunPodSandbox", tonic::Status::unknown("no address left"));
    harness.give(&pod(|_| {}));
    harness.until_phase("Running").await;
    let events = harness.events();
    let expected =
        "FailedCreatePodSandBox Failed to create pod sandbox: rpc error: code = Unknown desc = no address left";
    assert!(events.iter().any(|event| event == expected), "{events:?}");
}

#[tokio::test]
async fn a_lost_sandbox_is_made_again_with_its_containers() {
    let harness = Harness::new();
    harness.give(&pod(|_| {}));
    harness.until_phase("Running").await;
    let id = harness.runtime.sandboxes().into_keys().next().unwrap();
    harness.runtime.lose_sandbox(&id);
    harness.until("the second run", |harness| harness.status()["containerStatuses"][0]["restartCount"] == 1).await;
    let sandbox = harness.runtime.sandboxes().into_values().next_back().unwrap();
    assert_eq!(sandbox.config.metadata.unwrap().attempt, 1);
}

#[tokio::test]
async fn a_full_node_refuses() {
    let harness = Harness::on(fake::Runtime::new(), |config| config.max_pods = 0);
    harness.give(&pod(|_| {}));
    harness.until_phase("Failed").await;
    let status = harness.status();
    assert_eq!(status["reason"], "OutOfpods");
    assert!(text(&status["message"]).starts_with("Pod was rejected: Node didn't have enough resource: pods"));
    assert!(harness.runtime.calls().is_empty());
}

#[tokio::test]
async fn init_containers_come_first_and_sidecars_stay() {
    let harness = Harness::new();
    harness.runtime.exit_at_start("i", 0);
    harness.give(&pod(|pod| {
        pod["spec"]["initContainers"] = json!([
            { "name": "i", "image": "image:1" },
            { "name": "side", "image": "image:1", "restartPolicy": "Always" },
        ]);
    }));
    harness.until_phase("Running").await;
    let starts: Vec<_> =
        harness.runtime.calls().into_iter().filter(|call| call.starts_with("StartContainer")).collect();
    assert_eq!(starts, ["StartContainer i", "StartContainer side", "StartContainer c"]);
}

#[tokio::test]
async fn what_cannot_be_pulled_waits_with_its_reason() {
    let harness = Harness::new();
    harness.runtime.refuse_pull("missing:1", tonic::Status::not_found("no such image"));
    harness.give(&pod(|pod| pod["spec"]["containers"][0]["image"] = json!("missing:1")));
    harness.until_waiting("ImagePullBackOff").await;
    let message = harness.status()["containerStatuses"][0]["state"]["waiting"]["message"].clone();
    let expected =
        "Back-off pulling image \"missing:1\": ErrImagePull: rpc error: code = NotFound desc = no such image";
    assert_eq!(text(&message), expected);
    assert!(harness.events().iter().any(|event| event == "Failed Error: ErrImagePull"));
}

#[tokio::test]
async fn a_missing_reference_is_a_configuration_error() {
    let harness = Harness::new();
    harness.give(&pod(|pod| {
        pod["spec"]["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "none" } }]);
    }));
    harness.until_waiting("CreateContainerConfigError").await;
    let message = harness.status()["containerStatuses"][0]["state"]["waiting"]["message"].clone();
    assert_eq!(text(&message), "configmap \"none\" not found");
}

#[tokio::test]
async fn hooks_run_around_a_containers_life() {
    let harness = Harness::new();
    let commands: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = commands.clone();
    harness.runtime.on_exec(move |name, command| {
        heard.lock().unwrap().push(format!("{name}: {}", command.join(" ")));
        Ok(cri::api::ExecSyncResponse::default())
    });
    let pod = pod(|pod| {
        pod["spec"]["containers"][0]["lifecycle"] = json!({
            "postStart": { "exec": { "command": ["hello"] } },
            "preStop": { "exec": { "command": ["good", "bye"] } },
        });
    });
    harness.give(&pod);
    harness.until_phase("Running").await;
    harness.give(&deleting(&pod));
    harness.until("the end", |harness| matches!(text(&harness.status()["phase"]), "Failed" | "Succeeded")).await;
    assert_eq!(*commands.lock().unwrap(), ["c: hello", "c: good bye"]);
}

#[tokio::test]
async fn a_failed_liveness_probe_restarts_the_container() {
    let harness = Harness::new();
    harness.runtime.on_exec(|_, _| {
        Ok(cri::api::ExecSyncResponse { exit_code: 1, stderr: b"sick".to_vec(), ..Default::default() })
    });
    harness.give(&pod(|pod| {
        pod["spec"]["containers"][0]["livenessProbe"] =
            json!({ "exec": { "command": ["check"] }, "failureThreshold": 1, "periodSeconds": 1 });
    }));
    harness.until("a restart", |harness| harness.status()["containerStatuses"][0]["restartCount"] == 1).await;
    let events = harness.events();
    assert!(events.iter().any(|event| event == "Unhealthy Liveness probe failed: sick"), "{events:?}");
    assert!(events.iter().any(|event| event.starts_with("Killing Container c failed liveness probe")), "{events:?}");
}

#[tokio::test]
async fn readiness_reaches_the_status_when_the_probe_says_so() {
    let harness = Harness::new();
    let ready = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = ready.clone();
    harness.runtime.on_exec(move |_, _| {
        let exit_code = i32::from(!asked.load(std::sync::atomic::Ordering::SeqCst));
        Ok(cri::api::ExecSyncResponse { exit_code, ..Default::default() })
    });
    harness.give(&pod(|pod| {
        pod["spec"]["containers"][0]["readinessProbe"] =
            json!({ "exec": { "command": ["check"] }, "periodSeconds": 1 });
    }));
    harness.until_phase("Running").await;
    assert_eq!(harness.status()["containerStatuses"][0]["ready"], false);
    ready.store(true, std::sync::atomic::Ordering::SeqCst);
    harness.until("readiness", |harness| harness.status()["containerStatuses"][0]["ready"] == true).await;
}

#[tokio::test]
async fn an_evicted_pod_fails_and_is_stopped_at_once() {
    let harness = Harness::new();
    harness.give(&pod(|_| {}));
    harness.until_phase("Running").await;
    let message = "The node was low on resource: memory. ".to_owned();
    harness.kubelet.workers.evict("u1", crate::eviction::Eviction { message });
    harness.until_phase("Failed").await;
    assert_eq!(harness.status()["reason"], "Evicted");
    let conditions = harness.status()["conditions"].clone();
    let target = conditions.as_array().unwrap().iter().find(|condition| condition["type"] == "DisruptionTarget");
    assert_eq!(target.unwrap()["reason"], "TerminationByKubelet");
    assert!(harness.runtime.calls().contains(&"StopContainer c 1".to_owned()), "{:?}", harness.runtime.calls());
}
