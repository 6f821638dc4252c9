//! Lists: pages, selectors, revisions, shapes.

use json::{Value, json};

use super::Cluster;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn pages_are_of_one_revision_while_writes_go_on() {
    let cluster = Cluster::new().await;
    for index in 0..10 {
        cluster.config_map(&format!("m{index}"), "x").await;
    }
    let first = cluster.get(&format!("{MAPS}?limit=4")).await.expect(200).json();
    assert_eq!(names(&first), ["m0", "m1", "m2", "m3"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 6);
    cluster.config_map("m45", "x").await;
    cluster.delete(&format!("{MAPS}/m5"), json!(null)).await.expect(200);
    let mut token = first["metadata"]["continue"].as_str().unwrap().to_string();
    let mut rest = Vec::new();
    while !token.is_empty() {
        let page = cluster.get(&format!("{MAPS}?limit=4&continue={token}")).await.expect(200).json();
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        rest.extend(names(&page).into_iter().map(str::to_string));
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_string();
    }
    assert_eq!(rest, ["m4", "m5", "m6", "m7", "m8", "m9"]);
}

#[tokio::test]
async fn selectors_choose_by_label_and_field() {
    let cluster = Cluster::new().await;
    for (name, label) in [("a", "x"), ("b", "y"), ("c", "x")] {
        cluster.config_map(name, label).await;
    }
    for (selector, expect) in [
        ("labelSelector=l%3Dx", vec!["a", "c"]),
        ("labelSelector=l%20in%20(y,z)", vec!["b"]),
        ("labelSelector=!l", vec![]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db", vec!["a", "c"]),
        ("fieldSelector=metadata.namespace%3Ddefault&labelSelector=l%3Dy", vec!["b"]),
    ] {
        let list = cluster.get(&format!("{MAPS}?{selector}")).await.expect(200).json();
        assert_eq!(names(&list), expect, "{selector}");
    }
    let page = cluster.get(&format!("{MAPS}?labelSelector=l%3Dx&limit=1")).await.json();
    assert!(page["metadata"]["continue"].is_string());
    assert!(page["metadata"].get("remainingItemCount").is_none());
}

#[tokio::test]
async fn pods_are_selected_by_node() {
    let cluster = Cluster::new().await;
    let pods = "/api/v1/namespaces/default/pods";
    for (name, node) in [("a", "n1"), ("b", "n2"), ("c", "n1")] {
        let spec = json!({"nodeName": node, "containers": [{"name": "c", "image": "i"}]});
        cluster.post(pods, json!({"metadata": {"name": name}, "spec": spec})).await.expect(201);
    }
    let list = cluster.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1").await.expect(200).json();
    assert_eq!(names(&list), ["a", "c"]);
    let refused = cluster.get("/api/v1/pods?fieldSelector=spec.x%3D1").await.expect(400);
    assert_eq!(refused.message(), "field label not supported: spec.x");
}

#[tokio::test]
async fn lists_can_be_of_an_earlier_revision() {
    let cluster = Cluster::new().await;
    let first = cluster.config_map("a", "x").await.version();
    cluster.config_map("b", "x").await;
    let exact = format!("{MAPS}?resourceVersion={first}&resourceVersionMatch=Exact");
    let list = cluster.get(&exact).await.expect(200).json();
    assert_eq!(names(&list), ["a"]);
    assert_eq!(list["metadata"]["resourceVersion"], first.to_string());
    let newer = format!("{MAPS}?resourceVersion={first}&resourceVersionMatch=NotOlderThan");
    assert_eq!(names(&cluster.get(&newer).await.expect(200).json()), ["a", "b"]);
    let paged = cluster.get(&format!("{MAPS}?resourceVersion={first}&limit=5")).await.expect(200).json();
    assert_eq!(names(&paged), ["a"]);
    let future = cluster.get(&format!("{MAPS}?resourceVersion=999999&resourceVersionMatch=Exact")).await.expect(504);
    assert_eq!(future.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn an_expired_token_names_one_to_go_on_with() {
    let cluster = Cluster::new().await;
    for name in ["a", "b", "c"] {
        cluster.config_map(name, "x").await;
    }
    let first = cluster.get(&format!("{MAPS}?limit=1")).await.json();
    cluster.config_map("bb", "x").await;
    let store = &cluster.server.engine().store;
    store.compact(store.revision()).await.unwrap();
    let token = first["metadata"]["continue"].as_str().unwrap();
    let expired = cluster.get(&format!("{MAPS}?limit=1&continue={token}")).await.expect(410).json();
    assert_eq!(expired["reason"], "Expired");
    let token = expired["metadata"]["continue"].as_str().unwrap();
    let rest = cluster.get(&format!("{MAPS}?continue={token}")).await.expect(200).json();
    assert_eq!(names(&rest), ["b", "bb", "c"]);
}

#[tokio::test]
async fn large_lists_are_the_bytes_of_small_ones() {
    let cluster = Cluster::new().await;
    let value = "v".repeat(3000);
    for index in 0..200 {
        let object = json!({"metadata": {"name": format!("m{index:03}")}, "data": {"k": value}});
        cluster.post(MAPS, object).await.expect(201);
    }
    let answer = cluster.get(MAPS).await.expect(200);
    let list = answer.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 200);
    assert!(list["items"][0].get("kind").is_none());
    let one = cluster.get(&format!("{MAPS}/m007")).await.json();
    assert_eq!(list["items"][7]["data"], one["data"]);
    assert_eq!(list["items"][7]["metadata"], one["metadata"]);
}

#[tokio::test]
async fn lists_come_as_tables_metadata_and_yaml() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    let accept = |value: &'static str| [("accept", value)];
    let table = cluster
        .call("GET", MAPS, &accept("application/json;as=Table;v=v1;g=meta.k8s.io"), b"")
        .await
        .expect(200)
        .json();
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    let partial = accept("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
    let partial = cluster.call("GET", MAPS, &partial, b"").await.expect(200).json();
    assert_eq!(partial["items"][0]["metadata"]["name"], "a");
    assert!(partial["items"][0].get("data").is_none());
    let yaml = cluster.call("GET", MAPS, &accept("application/yaml"), b"").await.expect(200);
    assert!(String::from_utf8_lossy(&yaml.bytes).contains("kind: ConfigMapList"));
    cluster.call("GET", MAPS, &accept("text/html"), b"").await.expect(406);
    let wrong = accept("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io");
    cluster.call("GET", MAPS, &wrong, b"").await.expect(406);
}

#[tokio::test]
async fn large_lists_are_gzipped_for_those_who_ask_from_afar() {
    let cluster = Cluster::new().await;
    let value = "v".repeat(5000);
    for index in 0..50 {
        let object = json!({"metadata": {"name": format!("m{index:03}")}, "data": {"k": value}});
        cluster.post(MAPS, object).await.expect(201);
    }
    let plain = cluster.get(MAPS).await.expect(200);
    let pieces =
        futures::stream::iter(plain.bytes.chunks(10_000).map(bytes::Bytes::copy_from_slice).collect::<Vec<_>>());
    let zipped = crate::endpoints::respond::gzipped(pieces, "application/json");
    assert_eq!(zipped.headers()["content-encoding"], "gzip");
    let bytes = http_body_util::BodyExt::collect(zipped.into_body()).await.unwrap().to_bytes();
    assert!(bytes.len() * 10 < plain.bytes.len());
    let mut unzipped = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut unzipped).unwrap();
    assert_eq!(unzipped, plain.bytes);
}
