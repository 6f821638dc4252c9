//! A group-version that another server serves, behind a whole server: found available, told of in discovery, asked.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::{Value, json};

use super::Cluster;
use crate::webhook::testing::{Reply, Server};

const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const AGGREGATED: (&str, &str) = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");

/// A server of `a.example.com/v1`, known to speak only the old form of discovery.
async fn other() -> Server {
    Server::start_as("other.default.svc", |path, _| match path {
        "/apis/a.example.com/v1" => Reply::Json(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "a.example.com/v1",
            "resources": [{"name": "things", "singularName": "thing", "namespaced": true, "kind": "Thing", "verbs": ["get"]}],
        })),
        "/apis/a.example.com/v1/namespaces/default/things/one" => Reply::Json(json!({"kind": "Thing"})),
        "/apis/a.example.com/v1/elsewhere" => Reply::Redirect("https://example.com/"),
        "/openapi/v3" => Reply::Json(json!({"paths": {"apis/a.example.com/v1": {"serverRelativeURL": "/openapi/v3/x"}}})),
        "/openapi/v3/apis/a.example.com/v1" => Reply::Json(json!({"openapi": "3.0.0"})),
        _ => Reply::Raw(404, b"404 page not found\n".to_vec()),
    })
    .await
}

/// A cluster with the APIService of a server; waits until it is found available or not.
pub(super) async fn cluster(server: &Server, port: u16) -> (Cluster, Value) {
    let cluster = Cluster::with(Default::default(), Arc::new(super::streams::ByCertificate)).await;
    cluster.server.start_aggregation();
    let mut events =
        cluster.watch(&format!("{API_SERVICES}?watch=true&fieldSelector=metadata.name%3Dv1.a.example.com")).await;
    let service = json!({"metadata": {"name": "other"}, "spec": {"type": "ExternalName", "externalName": "localhost"}});
    cluster.post("/api/v1/namespaces/default/services", service).await.expect(201);
    let api_service = json!({"metadata": {"name": "v1.a.example.com"}, "spec": {
        "group": "a.example.com", "version": "v1", "groupPriorityMinimum": 17450, "versionPriority": 15,
        "caBundle": STANDARD.encode(&server.bundle),
        "service": {"namespace": "default", "name": "other", "port": port},
    }});
    cluster.post(API_SERVICES, api_service).await.expect(201);
    loop {
        let event = events.next().await.expect("an event");
        let condition = &event["object"]["status"]["conditions"][0];
        if condition.is_object() {
            return (cluster, condition.clone());
        }
    }
}

#[tokio::test]
async fn requests_are_carried_to_the_server_of_their_group_version() {
    let server = other().await;
    let (cluster, condition) = cluster(&server, server.address.port()).await;
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("True"), &json!("Passed")), "{condition}");
    let thing = cluster.get("/apis/a.example.com/v1/namespaces/default/things/one").await.expect(200).json();
    assert_eq!(thing, json!({"kind": "Thing"}));
    // What it does not know is its own 404, not ours.
    let missing = cluster.get("/apis/a.example.com/v1/others").await.expect(404);
    assert_eq!(missing.bytes, "404 page not found\n");
    let refused = cluster.get("/apis/a.example.com/v1/elsewhere").await.expect(502);
    assert_eq!(refused.bytes, "the backend attempted to redirect this request, which is not permitted");
    let document = cluster.get("/openapi/v3/apis/a.example.com/v1").await.expect(200).json();
    assert_eq!(document, json!({"openapi": "3.0.0"}));
}

#[tokio::test]
async fn its_group_stands_among_ours_by_its_priority() {
    let server = other().await;
    let (cluster, _) = cluster(&server, server.address.port()).await;
    let groups = cluster.get("/apis").await.expect(200).json();
    let names: Vec<&str> =
        groups["groups"].as_array().unwrap().iter().map(|own| own["name"].as_str().unwrap()).collect();
    let at = names.iter().position(|name| *name == "a.example.com").unwrap();
    assert_eq!((names[at - 1], names[at + 1]), ("autoscaling", "batch"));
    let group = cluster.get("/apis/a.example.com").await.expect(200).json();
    let version = json!({"groupVersion": "a.example.com/v1", "version": "v1"});
    assert_eq!((&group["versions"], &group["preferredVersion"]), (&json!([version]), &version));
    let aggregated = cluster.call("GET", "/apis", &[AGGREGATED], b"").await.expect(200).json();
    let items = aggregated["items"].as_array().unwrap();
    let own = items.iter().find(|item| item["metadata"]["name"] == "a.example.com").unwrap();
    assert_eq!(own["versions"][0]["version"], "v1");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_asked_again() {
    let server = other().await;
    // Nobody listens on the port of a listener that is gone.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let (cluster, condition) = cluster(&server, nobody).await;
    assert_eq!((&condition["status"], &condition["reason"]), (&json!("False"), &json!("FailedDiscoveryCheck")));
    let url = format!("https://localhost:{nobody}/apis/a.example.com/v1");
    let refused = format!("dial tcp 127.0.0.1:{nobody}: connect: connection refused");
    assert_eq!(condition["message"], format!("failing or missing response from {url}: Get \"{url}\": {refused}"));
    let answer = cluster.get("/apis/a.example.com/v1/namespaces/default/things").await.expect(503);
    assert_eq!(answer.bytes, "service unavailable\n");
}

#[tokio::test]
async fn a_server_that_describes_itself_in_version_2_only_is_described_in_version_3() {
    let server = Server::start_as("other.default.svc", |path, _| match path {
        "/apis/a.example.com/v1" => Reply::Json(json!({
            "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "a.example.com/v1", "resources": [],
        })),
        "/openapi/v2" => Reply::Json(json!({
            "swagger": "2.0",
            "info": {"title": "other", "version": "1"},
            "paths": {},
            "definitions": {"Thing": {"properties": {"own": {"$ref": "#/definitions/Thing"}}}},
        })),
        _ => Reply::Raw(404, b"404 page not found\n".to_vec()),
    })
    .await;
    let (cluster, _) = cluster(&server, server.address.port()).await;
    let path = "apis/a.example.com/v1";
    // What it says of itself is asked for when it is known to be there.
    let url = loop {
        let index = cluster.get("/openapi/v3").await.expect(200).json();
        if let Some(url) = index["paths"][path]["serverRelativeURL"].as_str() {
            break url.to_owned();
        }
        tokio::task::yield_now().await;
    };
    assert!(url.starts_with(&format!("/openapi/v3/{path}?hash=")), "{url}");
    let document = cluster.get(&url).await.expect(200).json();
    let own = json!({"$ref": "#/components/schemas/Thing"});
    assert_eq!(document["openapi"], "3.0.0");
    assert_eq!(document["components"]["schemas"]["Thing"]["properties"]["own"], own);
}
