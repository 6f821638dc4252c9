//! Watches: where they begin, what they show, how they end.

use json::json;

use super::{Cluster, event};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn a_watch_from_a_revision_shows_everything_after_it_once() {
    let cluster = Cluster::new().await;
    let from = cluster.config_map("a", "x").await.version();
    cluster.config_map("b", "x").await;
    let mut events = cluster.watch(&format!("{MAPS}?watch=1&resourceVersion={from}")).await;
    assert_eq!(events.next_name().await, event("ADDED", "b"));
    cluster.merge(&format!("{MAPS}/a"), json!({"data": {"k": "w"}})).await.expect(200);
    assert_eq!(events.next_name().await, event("MODIFIED", "a"));
    cluster.delete(&format!("{MAPS}/b"), json!(null)).await.expect(200);
    let deleted = events.next().await.unwrap();
    assert_eq!(deleted["type"], "DELETED");
    let version: u64 = deleted["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert_eq!(version, cluster.server.engine().store.revision().0);
    assert_eq!(deleted["object"]["data"]["k"], "v");
}

#[tokio::test]
async fn a_watch_without_a_revision_begins_with_what_is_there() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    let mut events = cluster.watch(&format!("{MAPS}?watch=true")).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    cluster.config_map("b", "x").await;
    assert_eq!(events.next_name().await, event("ADDED", "b"));
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    let options = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut events = cluster.watch(&format!("{MAPS}?{options}")).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    cluster.config_map("b", "x").await;
    assert_eq!(events.next_name().await, event("ADDED", "b"));
}

#[tokio::test]
async fn large_objects_come_whole_among_small_ones() {
    let cluster = Cluster::new().await;
    let large = |letter: &str| json!({"data": {"k": letter.repeat(200_000)}});
    for name in ["a", "b", "c"] {
        cluster.config_map(name, "x").await;
    }
    cluster.merge(&format!("{MAPS}/b"), large("b")).await.expect(200);
    let mut events = cluster.watch(&format!("{MAPS}?watch=1")).await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    let added = events.next().await.unwrap();
    assert_eq!(added["object"], cluster.get(&format!("{MAPS}/b")).await.expect(200).json());
    assert_eq!(events.next_name().await, event("ADDED", "c"));
    let changes = [("c", "c"), ("b", "d")];
    for (name, letter) in changes {
        cluster.merge(&format!("{MAPS}/{name}"), large(letter)).await.expect(200);
    }
    for (name, letter) in changes {
        let modified = events.next().await.unwrap();
        assert_eq!((&modified["type"], &modified["object"]["metadata"]["name"]), (&json!("MODIFIED"), &json!(name)));
        assert_eq!(modified["object"]["data"]["k"], large(letter)["data"]["k"]);
    }
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let cluster = Cluster::new().await;
    let from = cluster.config_map("a", "x").await.version();
    let mut events = cluster.watch(&format!("{MAPS}?watch=1&resourceVersion={from}&labelSelector=l%3Dy")).await;
    let label = |value: &str| json!({"metadata": {"labels": {"l": value}}});
    let target = format!("{MAPS}/a");
    cluster.merge(&target, label("y")).await.expect(200);
    assert_eq!(events.next_name().await, event("ADDED", "a"));
    cluster.merge(&target, json!({"data": {"n": "1"}})).await.expect(200);
    assert_eq!(events.next_name().await, event("MODIFIED", "a"));
    let left = cluster.merge(&target, label("z")).await.expect(200).version();
    let gone = events.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    assert_eq!(gone["object"]["metadata"]["labels"]["l"], "y", "the last state that was selected");
    assert_eq!(gone["object"]["metadata"]["resourceVersion"], left.to_string());
    cluster.delete(&target, json!(null)).await.expect(200);
    cluster.post(MAPS, json!({"metadata": {"name": "b", "labels": {"l": "y"}}})).await.expect(201);
    assert_eq!(events.next_name().await, event("ADDED", "b"), "the delete of what was not selected is not shown");
}

#[tokio::test]
async fn a_watch_from_a_compacted_revision_is_told_so_as_an_event() {
    let cluster = Cluster::new().await;
    let from = cluster.config_map("a", "x").await.version();
    cluster.config_map("b", "x").await;
    cluster.config_map("c", "x").await;
    let store = &cluster.server.engine().store;
    store.compact(store.revision()).await.unwrap();
    let mut events = cluster.watch(&format!("{MAPS}?watch=1&resourceVersion={from}")).await;
    let error = events.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(error["object"]["reason"], "Expired");
    assert!(error["object"]["message"].as_str().unwrap().starts_with(&format!("too old resource version: {from} (")));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn idle_watches_are_sent_bookmarks_and_end_in_time() {
    let cluster = Cluster::new().await;
    let from = cluster.config_map("a", "x").await.version();
    let query = format!("watch=1&resourceVersion={from}&allowWatchBookmarks=true&timeoutSeconds=3");
    let mut events = cluster.watch(&format!("{MAPS}?{query}")).await;
    cluster.post("/api/v1/namespaces/other/configmaps", json!({"metadata": {"name": "z"}})).await.expect(201);
    let bookmark = events.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let version: u64 = bookmark["object"]["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(version > from, "the world went on, though not here");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn one_object_is_watched_by_the_old_path() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    let mut events = cluster.watch("/api/v1/watch/namespaces/default/configmaps/b").await;
    assert_eq!(events.next_name().await, event("ADDED", "b"));
    let mut events = cluster.watch("/api/v1/watch/configmaps").await;
    assert_eq!(events.next_name().await, event("ADDED", "a"));
}

#[tokio::test]
async fn tables_are_watched_with_their_columns_once() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    let body = http_body_util::BodyExt::boxed(http_body_util::BodyExt::map_err(
        http_body_util::Full::new(bytes::Bytes::new()),
        |never| match never {},
    ));
    let request = http::Request::builder()
        .uri(format!("{MAPS}?watch=1"))
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(body)
        .unwrap();
    let mut events = super::Events { body: cluster.send(request).await.into_body(), buffer: Vec::new() };
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["kind"], "Table");
    assert!(first["object"]["columnDefinitions"].as_array().is_some_and(|columns| !columns.is_empty()));
    let second = events.next().await.unwrap();
    assert_eq!(second["object"]["rows"][0]["cells"][0], "b");
    assert!(second["object"]["columnDefinitions"].as_array().is_none_or(Vec::is_empty));
}
