//! Settings that a client notices: origins, transport security, times.

use std::time::Duration;

use super::Cluster;
use crate::filters::cors::Cors;
use crate::server::settings::{Settings, strict_transport_security};

#[tokio::test]
async fn pages_of_an_allowed_origin_may_ask_before_anybody_knows_who_they_are() {
    let cors = Cors::new(&["^https://console\\.test(:|$)"]).unwrap();
    let cluster = Cluster::under(Settings { cors, ..Settings::default() }).await;
    let origin = [("origin", "https://console.test"), ("impersonate-user", "nobody")];
    let preflight = cluster.call("OPTIONS", "/api/v1/pods", &origin, b"").await.expect(204);
    assert_eq!(preflight.headers["access-control-allow-origin"], "https://console.test");
    assert_eq!(preflight.headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE, PATCH");
    let refused = cluster.call("GET", "/api/v1/pods", &origin, b"").await.expect(403);
    assert_eq!(refused.headers["access-control-allow-credentials"], "true", "a refusal can be read, too");
    let other = cluster.call("GET", "/version", &[("origin", "https://evil.test")], b"").await.expect(200);
    assert!(!other.headers.contains_key("access-control-allow-origin"));
}

#[tokio::test]
async fn every_answer_says_that_only_tls_is_to_be_used() {
    let directives = strict_transport_security(&["max-age=31536000", "preload"]).unwrap();
    let cluster = Cluster::under(Settings { strict_transport_security: directives, ..Settings::default() }).await;
    for target in ["/version", "/nope"] {
        assert_eq!(cluster.get(target).await.headers["strict-transport-security"], "max-age=31536000; preload");
    }
}

#[tokio::test]
async fn a_watch_without_a_time_of_its_own_ends_after_the_least_one() {
    let min_request_timeout = Duration::from_millis(1);
    let cluster = Cluster::under(Settings { min_request_timeout, ..Settings::default() }).await;
    let mut watch = cluster.watch("/api/v1/configmaps?watch=1").await;
    assert!(watch.next().await.is_none(), "the watch ended");
}

#[tokio::test]
async fn a_time_that_is_none_is_refused() {
    let cluster = Cluster::new().await;
    cluster.get("/api/v1/pods?timeout=5s").await.expect(200);
    assert!(cluster.get("/api/v1/pods?timeout=soon").await.expect(400).message().contains("invalid duration \"soon\""));
}
