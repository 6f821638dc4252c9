//! A server whose audit events go to a webhook.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::audit::{Batching, Config as Audit, Mode, PolicyFile, WebhookConfig};
use crate::webhook::testing::{Reply, Server};

/// The webhook, what it was sent, and whether it takes anything.
struct Collector {
    stages: Arc<Mutex<Vec<String>>>,
    is_open: Arc<AtomicBool>,
    kubeconfig: tempfile::NamedTempFile,
}

impl Collector {
    async fn start() -> Collector {
        let (stages, is_open) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(AtomicBool::new(true)));
        let (kept, open) = (Arc::clone(&stages), Arc::clone(&is_open));
        let server = Server::start(move |_, list| {
            if !open.load(Ordering::Relaxed) {
                return Reply::Raw(503, Vec::new());
            }
            let items = list["items"].as_array().expect("a list of events");
            let shown = items.iter().map(|event| format!("{} {}", event["verb"], event["stage"]).replace('"', ""));
            kept.lock().expect("nobody panicked").extend(shown);
            Reply::Raw(200, Vec::new())
        })
        .await;
        let (address, bundle) = (server.address, STANDARD.encode(&server.bundle));
        let text = json!({
            "current-context": "w",
            "contexts": [{"name": "w", "context": {"cluster": "c", "user": ""}}],
            "clusters": [{"name": "c", "cluster": {"server": format!("https://{address}/"), "certificate-authority-data": bundle}}],
        });
        let kubeconfig = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(kubeconfig.path(), text.to_string()).expect("it can be written");
        Collector { stages, is_open, kubeconfig }
    }

    fn config(&self, mode: Mode) -> Audit {
        let text = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n".to_owned();
        let policy = PolicyFile { path: "policy.yaml".into(), text };
        let (kubeconfig, initial_backoff) = (self.kubeconfig.path().to_owned(), Duration::from_millis(1));
        let webhook = WebhookConfig { kubeconfig, initial_backoff, mode, max_event_size: None };
        Audit { policy, log: None, webhook: Some(webhook) }
    }

    fn stages(&self) -> Vec<String> {
        std::mem::take(&mut *self.stages.lock().expect("nobody panicked"))
    }
}

#[tokio::test]
async fn in_blocking_mode_events_have_arrived_when_the_request_is_answered() {
    let collector = Collector::start().await;
    let cluster = Cluster::logging(&collector.config(Mode::Blocking), |_, _| Chain::default()).await;
    collector.stages();
    cluster.get("/api/v1/namespaces").await.expect(200);
    assert_eq!(collector.stages(), ["list RequestReceived", "list ResponseComplete"]);
    collector.is_open.store(false, Ordering::Relaxed);
    cluster.get("/api/v1/namespaces").await.expect(200);
    assert_eq!(collector.stages(), Vec::<String>::new());
}

#[tokio::test]
async fn in_strict_mode_a_request_whose_first_event_is_lost_is_refused() {
    let collector = Collector::start().await;
    let cluster = Cluster::logging(&collector.config(Mode::BlockingStrict), |_, _| Chain::default()).await;
    collector.is_open.store(false, Ordering::Relaxed);
    let refused = cluster.get("/api/v1/namespaces?limit=5").await.expect(500);
    assert_eq!(
        String::from_utf8_lossy(&refused.bytes),
        "Internal Server Error: \"/api/v1/namespaces?limit=5\": failed to store audit event\n"
    );
    collector.is_open.store(true, Ordering::Relaxed);
    let counted = cluster.get("/metrics").await.expect(200);
    let counted = String::from_utf8_lossy(&counted.bytes).into_owned();
    for line in ["apiserver_audit_requests_rejected_total 1", "apiserver_audit_error_total{plugin=\"webhook\"} 1"] {
        assert!(counted.lines().any(|own| own == line), "{line} is not in {counted}");
    }
}

#[tokio::test]
async fn what_waits_is_delivered_when_the_server_ends() {
    let collector = Collector::start().await;
    let max_wait = Duration::from_secs(3600);
    let batching = Batching { buffer_size: 100, max_size: 100, max_wait, throttle: None };
    let cluster = Cluster::logging(&collector.config(Mode::Batch(batching)), |_, _| Chain::default()).await;
    cluster.get("/api/v1/namespaces").await.expect(200);
    assert_eq!(collector.stages(), Vec::<String>::new(), "nothing goes before its time");
    cluster.server.audited().await;
    let created = ["create RequestReceived", "create ResponseComplete"];
    let listed = ["list RequestReceived", "list ResponseComplete"];
    assert_eq!(collector.stages(), [created, created, listed].concat());
}
