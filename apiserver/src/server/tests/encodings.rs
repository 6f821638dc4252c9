//! The same objects in every encoding: what is read, written, listed, watched and refused.

use api::decode::{self, FieldValidation, Target};
use api::{cbor, protobuf};
use bytes::Buf;
use json::{Value, json};

use super::{Answer, Cluster};
use crate::endpoints::negotiation::Formats;
use crate::registry;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// The object of a kind in a protobuf body.
fn read(body: &[u8], group: &'static str, version: &'static str, kind: &'static str) -> Value {
    let target = Target::builtin(group, version, kind).expect("the kind is built in");
    decode::decode_protobuf(body, target, FieldValidation::Strict).expect("the body is of the kind").object
}

impl Cluster {
    async fn accept(&self, target: &str, media_type: &str) -> Answer {
        self.call("GET", target, &[("accept", media_type)], b"").await
    }
}

#[tokio::test]
async fn an_object_written_in_protobuf_is_the_same_in_json() {
    let cluster = Cluster::new().await;
    let target = Target::builtin("", "v1", "ConfigMap").unwrap();
    let object =
        json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "binaryData": {"k": "AAE="}});
    let body = protobuf::encode(&object, target.schema).unwrap();
    let headers = [("content-type", PROTOBUF), ("accept", PROTOBUF)];
    let created = cluster.call("POST", MAPS, &headers, &body).await.expect(201);
    assert_eq!(created.headers["content-type"], PROTOBUF);
    let json = cluster.get(&format!("{MAPS}/a")).await.expect(200).json();
    assert_eq!(json["binaryData"], json!({"k": "AAE="}));
    for answer in [created, cluster.accept(&format!("{MAPS}/a"), PROTOBUF).await.expect(200)] {
        assert_eq!(read(&answer.bytes, "", "v1", "ConfigMap"), json);
    }
}

#[tokio::test]
async fn what_a_write_answers_in_protobuf_is_what_the_next_read_shows() {
    let cluster = Cluster::new().await;
    let pods = "/api/v1/namespaces/default/pods";
    let pod = json!({
        "metadata": {"name": "a", "finalizers": ["example.com/wait"]},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let writes = [
        ("POST", pods.to_owned(), "application/json", pod.to_string()),
        (
            "PATCH",
            format!("{pods}/a"),
            "application/merge-patch+json",
            r#"{"metadata":{"labels":{"l":"x"}}}"#.to_owned(),
        ),
        ("DELETE", format!("{pods}/a"), "application/json", r#"{"gracePeriodSeconds":0}"#.to_owned()),
    ];
    let mut before: Option<std::sync::Arc<store::Entry>> = None;
    for (method, target, content_type, body) in writes {
        let headers = [("content-type", content_type), ("accept", PROTOBUF)];
        let answer = cluster.call(method, &target, &headers, body.as_bytes()).await;
        assert!(answer.code < 300, "{method}: {}", answer.code);
        let json = cluster.get(&format!("{pods}/a")).await.expect(200).json();
        assert_eq!(read(&answer.bytes, "", "v1", "Pod"), json, "{method}");
        let kept = cluster.server.state.engine.store.snapshot().get("/registry/pods/default/a").expect("it is there");
        assert!(registry::protobuf::is_kept(&kept), "{method}");
        let before = before.replace(kept);
        assert!(
            before.is_none_or(|before| !registry::protobuf::is_kept(&before)),
            "{method} kept what it took the place of"
        );
    }
}

#[tokio::test]
async fn lists_in_protobuf_are_those_in_json_however_large() {
    let cluster = Cluster::new().await;
    let value = "v".repeat(3000);
    for index in 0..60 {
        let object = json!({"metadata": {"name": format!("m{index}")}, "data": {"k": value}});
        cluster.post(MAPS, object).await.expect(201);
        if index % 59 == 0 {
            let listed = cluster.accept(&format!("{MAPS}?limit=60"), PROTOBUF).await.expect(200);
            let json = cluster.get(&format!("{MAPS}?limit=60")).await.expect(200).json();
            assert_eq!(read(&listed.bytes, "", "v1", "ConfigMapList"), json);
        }
    }
    let metadata = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1");
    let listed = cluster.accept(MAPS, &metadata).await.expect(200);
    let listed = read(&listed.bytes, "meta.k8s.io", "v1beta1", "PartialObjectMetadataList");
    assert_eq!(listed["items"].as_array().unwrap().len(), 60);
}

#[tokio::test]
async fn a_watch_in_protobuf_is_events_behind_their_lengths() {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    cluster.config_map("b", "x").await;
    let watch = format!(
        "{MAPS}?watch=1&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    );
    let answer = cluster.accept(&watch, &format!("{PROTOBUF};stream=watch")).await.expect(200);
    assert_eq!(answer.headers["content-type"], format!("{PROTOBUF};stream=watch"));
    let mut frames = answer.bytes;
    let event = api::scheme::Scheme::builtin().kind("", "v1", "WatchEvent").unwrap();
    let mut seen = Vec::new();
    while frames.has_remaining() {
        let length = frames.get_u32() as usize;
        let frame = frames.split_to(length);
        // Of the event's fields only the type is for this schema to read: the object is no JSON.
        let kind_end = 2 + usize::from(frame[1]);
        let kind = protobuf::decode(&frame[..kind_end], event).unwrap()["type"].clone();
        let start = frame.windows(4).position(|window| window == protobuf::MAGIC).unwrap();
        let object = read(&frame[start..], "", "v1", "ConfigMap");
        seen.push((
            kind.as_str().unwrap().to_owned(),
            object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        ));
        if kind == "BOOKMARK" {
            assert_eq!(object["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
            break;
        }
    }
    let expect = [("ADDED", "a"), ("ADDED", "b"), ("BOOKMARK", "")];
    assert_eq!(seen, expect.map(|(kind, name)| (kind.to_owned(), name.to_owned())));
}

#[tokio::test]
async fn refusals_are_in_the_form_that_was_asked_for() {
    let cluster = Cluster::new().await;
    let missing = cluster.accept(&format!("{MAPS}/a"), PROTOBUF).await.expect(404);
    assert_eq!(read(&missing.bytes, "", "v1", "Status")["message"], "configmaps \"a\" not found");
    let refused = cluster.call("POST", MAPS, &[("content-type", PROTOBUF)], b"k8s\0\xff").await.expect(400);
    let message = "the object provided is unrecognized (must be of type ConfigMap): unexpected EOF (6b387300ff)";
    assert_eq!(refused.message(), message);
    let table = cluster.accept(MAPS, &format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1")).await.expect(406);
    assert!(table.message().starts_with("only the following media types are accepted: application/json, "));
    let stream = cluster.accept(&format!("{MAPS}?watch=1"), "application/yaml").await.expect(406);
    assert!(stream.bytes.starts_with(b"kind: Status"), "{stream:?}");
    let cbor = cluster.accept(&format!("{MAPS}/a"), "application/cbor").await.expect(406);
    assert!(cbor.message().starts_with("406: Not Acceptable"), "{}", cbor.message());
    let body = cluster.call("POST", MAPS, &[("content-type", "application/cbor")], b"").await.expect(415);
    assert_eq!(body.json()["reason"], "UnsupportedMediaType");
}

#[tokio::test]
async fn cbor_is_spoken_where_its_gate_is_open() {
    let cluster = Cluster::offering(Formats { cbor: true, ..Formats::default() }).await;
    let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let headers = [("content-type", "application/cbor"), ("accept", "application/cbor")];
    let created = cluster.call("POST", MAPS, &headers, &cbor::encode(&object)).await.expect(201);
    assert_eq!(cbor::decode(&created.bytes).unwrap()["data"], object["data"]);
    let apply = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "w"}});
    let target = format!("{MAPS}/a?fieldManager=m&force=true");
    let media_type = [("content-type", "application/apply-patch+cbor")];
    let applied = cluster.call("PATCH", &target, &media_type, &cbor::encode(&apply)).await.expect(200).json();
    assert_eq!(applied["data"], json!({"k": "w"}));
    let list = cluster.accept(MAPS, "application/cbor").await.expect(200);
    assert_eq!(cbor::decode(&list.bytes).unwrap(), cluster.get(MAPS).await.json());
    let watch = cluster.accept(&format!("{MAPS}?watch=1&timeoutSeconds=1"), "application/cbor-seq").await;
    // The router knows the name, the negotiation does not: upstream's clients ask for application/cbor.
    assert_eq!(watch.code, 406);
    let watch = cluster.accept(&format!("{MAPS}?watch=1&timeoutSeconds=1"), "application/cbor").await.expect(200);
    assert_eq!(watch.headers["content-type"], "application/cbor-seq");
    assert_eq!(cbor::decode(&watch.bytes).unwrap()["type"], "ADDED");
}

#[tokio::test]
async fn discovery_is_told_at_once_in_every_encoding() {
    let cluster = Cluster::new().await;
    let of = |encoding: &str| format!("{encoding};g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let json = cluster.accept("/apis", &of("application/json")).await.expect(200);
    let binary = cluster.accept("/apis", &of(PROTOBUF)).await.expect(200);
    assert_eq!(binary.headers["content-type"], of(PROTOBUF));
    assert_eq!(binary.headers["etag"], json.headers["etag"]);
    let binary = read(&binary.bytes, "apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList");
    assert_eq!(binary["items"], json.json()["items"]);
    let groups = cluster.accept("/apis", PROTOBUF).await.expect(200);
    assert_eq!(read(&groups.bytes, "", "v1", "APIGroupList"), cluster.get("/apis").await.json());
    cluster
        .accept("/apis", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
        .await
        .expect(406);
}
