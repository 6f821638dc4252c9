//! Faults that upstream had and mended, each by its number: none of them may be here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Cluster;
use super::aggregation;
use super::streams::{connect, listening, read_head};
use crate::webhook::testing::{Reply, Server};

/// A backend that takes no upgrade, and what it was asked.
async fn refusing() -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let server = Server::start_as("other.default.svc", move |path, _| {
        log.lock().unwrap().push(path.to_owned());
        match path {
            "/apis/a.example.com/v1" => Reply::Json(json!({
                "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "a.example.com/v1", "resources": [],
            })),
            "/apis/a.example.com/v1/stream" => Reply::Raw(400, b"no stream here".to_vec()),
            _ => Reply::Raw(404, b"404 page not found\n".to_vec()),
        }
    });
    (server.await, asked)
}

#[tokio::test]
async fn cve_2018_1002105_what_follows_a_refused_upgrade_does_not_reach_the_backend() {
    let (server, asked) = refusing().await;
    let (cluster, _) = aggregation::cluster(&server, server.address.port()).await;
    let address = listening(&cluster).await;
    let mut stream = connect(address).await;
    let upgrade =
        "GET /apis/a.example.com/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let head = read_head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    // Whoever holds the connection now must not speak to the backend as the API server.
    let smuggled =
        "GET /apis/a.example.com/v1/smuggled HTTP/1.1\r\nHost: x\r\nX-Remote-User: admin\r\nConnection: close\r\n\r\n";
    stream.write_all(smuggled.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    // A connection that is closed is as good as one that answers for itself.
    drop(stream.read_to_end(&mut rest).await);
    let asked = asked.lock().unwrap().clone();
    let behind = asked.iter().skip_while(|path| !path.ends_with("/stream")).skip(1);
    let smuggled: Vec<&String> = behind.filter(|path| path.ends_with("/smuggled")).collect();
    let text = String::from_utf8_lossy(&rest);
    // Where it is answered, it was carried there anew, with the caller's own name.
    assert!(smuggled.is_empty() || text.contains("404 page not found"), "{asked:?}\n{text}");
}

#[tokio::test]
async fn cve_2018_1002105_a_connection_that_was_to_become_a_stream_is_not_used_again() {
    let (server, _) = refusing().await;
    let (cluster, _) = aggregation::cluster(&server, server.address.port()).await;
    let address = listening(&cluster).await;
    let before = server.connections();
    for _ in 0..2 {
        let mut stream = connect(address).await;
        let upgrade = "GET /apis/a.example.com/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        assert!(read_head(&mut stream).await.starts_with("HTTP/1.1 400 "));
    }
    assert!(server.connections() >= before + 2, "each upgrade has a connection of its own");
}

#[tokio::test]
async fn cve_2022_3172_a_redirect_of_an_aggregated_server_is_not_passed_on() {
    let server = Server::start_as("other.default.svc", |path, _| match path {
        "/apis/a.example.com/v1" => Reply::Json(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "a.example.com/v1", "resources": [],
        })),
        "/apis/a.example.com/v1/elsewhere" => Reply::Redirect("https://evil.example.com/"),
        _ => Reply::Raw(404, Vec::new()),
    })
    .await;
    let (cluster, _) = aggregation::cluster(&server, server.address.port()).await;
    for method in ["GET", "POST", "DELETE"] {
        let refused = cluster.call(method, "/apis/a.example.com/v1/elsewhere", &[], b"").await.expect(502);
        assert!(!refused.headers.contains_key("location"));
        assert_eq!(refused.bytes, "the backend attempted to redirect this request, which is not permitted");
    }
}

#[tokio::test]
async fn cve_2020_8562_what_is_proxied_to_is_no_address_of_this_host() {
    let cluster = Cluster::new().await;
    cluster.post("/api/v1/nodes", json!({"metadata": {"name": "n"}})).await.expect(201);
    let proxy = "/api/v1/nodes/n/proxy/healthz";
    // A name is looked up here, once: what it leads to is checked, and dialled.
    for address in ["127.0.0.1", "localhost", "169.254.169.254", "::1", "0.0.0.0", "fe80::1", "224.0.0.1"] {
        let status = json!({"status": {"addresses": [{"type": "InternalIP", "address": address}]}});
        cluster.merge("/api/v1/nodes/n/status", status).await.expect(200);
        let refused = cluster.get(proxy).await.expect(400);
        assert_eq!(refused.message(), "address not allowed", "{address}");
    }
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    cluster.post("/api/v1/namespaces/default/pods", pod).await.expect(201);
    let status = json!({"status": {"podIPs": [{"ip": "127.0.0.1"}], "podIP": "127.0.0.1"}});
    cluster.merge("/api/v1/namespaces/default/pods/p/status", status).await.expect(200);
    let refused = cluster.get("/api/v1/namespaces/default/pods/p/proxy/").await.expect(400);
    assert_eq!(refused.message(), "address not allowed");
}

/// A server of image reviews that knows one good image, and how often it was asked.
async fn image_policy(folder: &std::path::Path) -> (Server, Arc<AtomicUsize>, std::path::PathBuf) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let server = Server::start(move |_, review| {
        counter.fetch_add(1, Ordering::Relaxed);
        let images = review["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let allowed = images.iter().all(|own| own["image"] == "good");
        Reply::Json(json!({
            "kind": "ImageReview", "apiVersion": "imagepolicy.k8s.io/v1alpha1",
            "status": {"allowed": allowed, "reason": if allowed { "" } else { "bad image" }},
        }))
    })
    .await;
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "s", "cluster": {
            "server": format!("https://{}/review", server.address), "certificate-authority-data": STANDARD.encode(&server.bundle),
        }}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "s", "user": "u"}}],
    });
    std::fs::write(folder.join("kubeconfig"), kubeconfig.to_string()).unwrap();
    let configuration = folder.join("admission.yaml");
    let own = json!({"imagePolicy": {"kubeConfigFile": folder.join("kubeconfig"), "allowTTL": 50, "denyTTL": 50, "retryBackoff": 500, "defaultAllow": false}});
    std::fs::write(&configuration, own.to_string()).unwrap();
    (server, asked, configuration)
}

#[tokio::test]
async fn cve_2023_2727_images_of_ephemeral_containers_are_reviewed_like_others() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, asked, configuration) = image_policy(folder.path()).await;
    let cluster = Cluster::with_plugins(&["ImagePolicyWebhook"], &configuration).await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = |name: &str, image: &str| json!({"metadata": {"name": name}, "spec": {"automountServiceAccountToken": false, "containers": [{"name": "c", "image": image}]}});
    cluster
        .post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}}))
        .await
        .expect(201);
    let refused = cluster.post(pods, pod("bad", "bad")).await.expect(403);
    let why = "pods \"bad\" is forbidden: image policy webhook backend denied one or more images: bad image";
    assert_eq!(refused.message(), why);
    cluster.post(pods, pod("p", "good")).await.expect(201);
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    cluster.post(pods, pod("again", "good")).await.expect(201);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "what was said is remembered");
    let debug = |image: &str| json!({"spec": {"ephemeralContainers": [{"name": "d", "image": image}]}});
    let refused = cluster.merge(&format!("{pods}/p/ephemeralcontainers"), debug("bad")).await.expect(403);
    assert!(refused.message().ends_with("denied one or more images: bad image"), "{}", refused.message());
    cluster.merge(&format!("{pods}/p/ephemeralcontainers"), debug("good")).await.expect(200);
}

#[tokio::test]
async fn cve_2023_2728_ephemeral_containers_mount_no_more_secrets_than_others() {
    let cluster = Cluster::with_plugins(&[], std::path::Path::new("")).await;
    let own = "/api/v1/namespaces/default";
    let account = json!({"metadata": {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}, "secrets": [{"name": "mine"}]});
    cluster.post(&format!("{own}/serviceaccounts"), account).await.expect(201);
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "serviceAccountName": "strict", "automountServiceAccountToken": false, "containers": [{"name": "c", "image": "i"}],
    }});
    cluster.post(&format!("{own}/pods"), pod).await.expect(201);
    let debug = |secret: &str| {
        let source: Value = json!([{"secretRef": {"name": secret}}]);
        json!({"spec": {"ephemeralContainers": [{"name": "d", "image": "i", "envFrom": source}]}})
    };
    let path = format!("{own}/pods/p/ephemeralcontainers");
    cluster.merge(&path, debug("other")).await.expect(500);
    cluster.merge(&path, debug("mine")).await.expect(200);
}
