//! Paths that are no resources.

use json::json;

use super::Cluster;

#[tokio::test]
async fn groups_and_resources_are_found() {
    let cluster = Cluster::new().await;
    assert_eq!(cluster.get("/api").await.expect(200).json()["versions"], json!(["v1"]));
    let groups = cluster.get("/apis").await.expect(200).json();
    assert!(groups["groups"].as_array().unwrap().iter().any(|group| group["name"] == "apps"));
    let core = cluster.get("/api/v1").await.expect(200).json();
    let find = |name: &str| core["resources"].as_array().unwrap().iter().find(|r| r["name"] == name).cloned().unwrap();
    assert_eq!(find("pods")["shortNames"], json!(["po"]));
    assert_eq!(find("pods/eviction")["group"], "policy");
    assert_eq!(cluster.get("/apis/apps").await.expect(200).json()["preferredVersion"]["version"], "v1");
    cluster.get("/apis/nope").await.expect(404);
    cluster.get("/apis/apps/v9").await.expect(404);
}

#[tokio::test]
async fn aggregated_discovery_is_not_sent_twice() {
    let cluster = Cluster::new().await;
    let accept = ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let first = cluster.call("GET", "/apis", &[accept], b"").await.expect(200);
    assert_eq!(first.json()["kind"], "APIGroupDiscoveryList");
    let etag = first.headers["etag"].to_str().unwrap();
    cluster.call("GET", "/apis", &[accept, ("if-none-match", etag)], b"").await.expect(304);
    let core = cluster.call("GET", "/api", &[accept], b"").await.expect(200).json();
    assert_eq!(core["items"][0]["versions"][0]["version"], "v1");
}

#[tokio::test]
async fn health_is_told_by_check() {
    let cluster = Cluster::new().await;
    assert_eq!(cluster.get("/readyz").await.expect(200).bytes, "ok");
    assert_eq!(cluster.get("/livez/ping").await.expect(200).bytes, "ok");
    let verbose = cluster.get("/readyz?verbose&exclude=etcd&exclude=foo").await.expect(200);
    let text = String::from_utf8_lossy(&verbose.bytes).into_owned();
    assert!(text.contains("[+]etcd excluded: ok\n"), "{text}");
    assert!(text.contains("warn: some health checks cannot be excluded: no matches for \"foo\"\n"), "{text}");
    assert!(text.ends_with("readyz check passed\n"), "{text}");
    cluster.get("/readyz/nope").await.expect(404);
}

#[tokio::test]
async fn requests_are_counted_under_upstreams_names() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    cluster.get("/api/v1/configmaps").await.expect(200);
    cluster.get("/api/v1/nonsense/x").await.expect(404);
    let text = String::from_utf8(cluster.get("/metrics").await.expect(200).bytes.to_vec()).unwrap();
    for line in [
        r#"apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="configmaps",scope="namespace",subresource="",verb="POST",version="v1"} 1"#,
        r#"apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="cluster",subresource="",verb="LIST",version="v1"} 1"#,
        r#"apiserver_current_inflight_requests{request_kind="readOnly"} 1"#,
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("nonsense"));
}

#[tokio::test]
async fn openapi_documents_are_listed_and_served() {
    let cluster = Cluster::new().await;
    let index = cluster.get("/openapi/v3").await.expect(200).json();
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap().to_string();
    let document = cluster.get(&url).await.expect(200);
    assert!(document.json()["paths"]["/apis/apps/v1/deployments"].is_object());
    let etag = document.headers["etag"].to_str().unwrap();
    cluster.call("GET", &url, &[("if-none-match", etag)], b"").await.expect(304);
    cluster.get("/openapi/v3/apis/apps/v1?hash=OLD").await.expect(301);
    cluster.get("/openapi/v3/apis/nope/v1").await.expect(404);
}

#[tokio::test]
async fn a_client_in_the_process_goes_the_same_way() {
    let cluster = Cluster::new().await;
    let user = crate::authentication::UserInfo::new("joe", &[]);
    let api: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::default_namespaced(cluster.server.client(user));
    let refused = api.list(&Default::default()).await.unwrap_err();
    let expect = "configmaps is forbidden: User \"joe\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"";
    assert!(refused.to_string().contains(expect), "{refused}");
    let admin = cluster.server.client(crate::authentication::UserInfo::new("root", &["system:masters"]));
    let api: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::default_namespaced(admin);
    cluster.config_map("a", "x").await;
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["k"], "v");
}
