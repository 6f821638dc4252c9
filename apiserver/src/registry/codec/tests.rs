//! Values as upstream has them in etcd.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json::json;

use super::*;

fn decode(key: &str, stored: impl Into<Bytes>) -> Result<Value, String> {
    let decoded = Objects.decode(key, &stored.into()).map_err(|error| error.to_string())?;
    json::from_slice(&decoded.value).map_err(|error| error.to_string())
}

fn pod() -> Value {
    json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "n", "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": {}}], "nodeName": "m"}, "status": {}})
}

/// An object as the API server has it when it stores it.
fn whole(mut object: Value) -> Value {
    api::default::apply(&mut object, Scheme::builtin().kind("", "v1", "Pod").unwrap());
    list::strategy("", "pods").default(&mut object);
    object
}

#[test]
fn a_shared_store_has_builtin_kinds_in_protobuf_and_others_in_json() {
    let shared = |object: &Value| draft(object, Layout::Upstream).unwrap().stored;
    assert!(shared(&pod()).starts_with(b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod"));
    let widget = json!({"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "w"}});
    let service = json!({"kind": "APIService", "apiVersion": "apiregistration.k8s.io/v1", "metadata": {"name": "v1."}});
    for object in [widget, service] {
        assert_eq!(json::from_slice::<Value>(&shared(&object)).unwrap(), object);
    }
    assert_eq!(draft(&pod(), Layout::Own).unwrap().stored, encode::encode(&pod()));
}

#[test]
fn what_was_written_in_protobuf_is_found_and_served_as_the_writer_said() {
    let draft = draft(&whole(pod()), Layout::Upstream).unwrap();
    let ready = draft.ready.unwrap();
    let decoded = Objects.decode("/registry/pods/n/a", &draft.stored).unwrap();
    assert_eq!(json::from_slice::<Value>(&decoded.value).unwrap(), json::from_slice::<Value>(&ready.value).unwrap());
    assert_eq!(decoded.terms, ready.terms);
    let served = Objects.serve("/registry/pods/n/a", decoded.value, Revision(7));
    assert!(served.starts_with(br#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"7","#), "{served:?}");
}

#[test]
fn objects_in_another_order_are_reordered_and_foreign_bytes_left_alone() {
    let foreign = br#"{"apiVersion":"a.b/v1","data":1,"kind":"K","metadata":{"name":"x"}}"#;
    let decoded = Objects.decode("/registry/a.b/ks/x", &Bytes::from_static(foreign)).unwrap();
    assert_eq!(decoded.value, r#"{"kind":"K","apiVersion":"a.b/v1","metadata":{"name":"x"},"data":1}"#);
    for bytes in [&b"k8s\0abc"[..], b"", b"[1]", b"{\"kind\":\"x\"}"] {
        let left = Objects.decode("/registry/ranges/servicenodeports", &Bytes::copy_from_slice(bytes)).unwrap();
        assert_eq!(Objects.serve("", left.value, Revision(5)), bytes);
    }
}

#[test]
fn the_end_of_a_line_behind_a_stored_object_is_no_part_of_it() {
    let stored =
        r#"{"kind":"APIService","apiVersion":"apiregistration.k8s.io/v1","metadata":{"name":"v1."},"spec":{}}"#;
    let key = "/registry/apiregistration.k8s.io/apiservices/v1.";
    let decoded = Objects.decode(key, &Bytes::from(format!("{stored}\n"))).unwrap();
    assert_eq!(decoded.value, stored);
}

#[test]
fn what_a_server_with_the_cbor_gate_stored_is_read() {
    let widget = json!({"apiVersion": "a.b/v1", "kind": "K", "metadata": {"name": "x"}, "data": [1, 2.5, "t", null]});
    assert_eq!(decode("/registry/a.b/ks/x", api::cbor::encode(&widget)), Ok(widget));
    let empty = decode("/registry/a.b/ks/x", api::cbor::encode(&json!({})));
    assert_eq!(empty.unwrap_err(), "couldn't get version/kind; it is not an object");
}

/// A custom resource that kube-apiserver v1.37.0 stored with the gate.
fn recorded_widget() -> Bytes {
    let text: String = include_str!("../../../testdata/widget.cbor.base64").split_whitespace().collect();
    STANDARD.decode(text).expect("it is base64").into()
}

#[test]
fn with_the_gate_a_shared_store_has_custom_resources_as_upstream_has_them() {
    let recorded = recorded_widget();
    let key = "/registry/parity.test/widgets/w";
    let widget = decode(key, recorded.clone()).unwrap();
    assert_eq!(widget["spec"]["zz"], json!([1, -2, 300, 70000, 5_000_000_000_i64, 2.5, 0.1, 1e100]));
    // The same bytes, whatever revision the object was read at.
    let mut read = widget.clone();
    read["metadata"]["resourceVersion"] = "237".into();
    assert_eq!(draft(&read, Layout::UpstreamCbor).unwrap().stored, recorded);
    // Without the gate it is written as JSON, and both are the same object.
    let json = draft(&widget, Layout::Upstream).unwrap().stored;
    assert_eq!(decode(key, json), Ok(widget));
    // What other servers of upstream's keep stays JSON.
    let service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1."}});
    assert_eq!(draft(&service, Layout::UpstreamCbor).unwrap().stored, encode::encode(&service));
    assert!(draft(&pod(), Layout::UpstreamCbor).unwrap().stored.starts_with(MAGIC));
}

#[test]
fn owned_fields_stored_in_cbor_are_in_the_order_of_their_names() {
    let widget = decode("/registry/parity.test/widgets/w", recorded_widget()).unwrap();
    let owned = widget["metadata"]["managedFields"][0]["fieldsV1"].to_string();
    assert!(owned.starts_with(r#"{"f:metadata":{"f:labels":{".":{},"#), "{owned}");
}

#[tokio::test]
async fn a_store_of_our_own_serves_what_came_in_cbor_and_goes_on_in_json() {
    let store = store::embedded::memory(store::Window::default(), transform()).unwrap();
    let key = "/registry/parity.test/widgets/w";
    store.commit(store::Txn::create(key, recorded_widget(), None)).await.unwrap();
    let entry = store.snapshot().get(key).unwrap();
    let served: Value = json::from_slice(&entry.value).unwrap();
    assert_eq!(served["spec"]["text"], "é");
    let again = draft(&served, Layout::of(store.is_shared(), true)).unwrap().stored;
    assert!(again.starts_with(br#"{"kind":"Widget","apiVersion":"parity.test/v1","metadata":{"#), "{again:?}");
}

#[test]
fn a_definition_in_v1beta1_is_read_as_v1() {
    let stored = json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1beta1", "metadata": {"name": "w"},
        "spec": {"group": "e.com", "version": "v1", "scope": "Namespaced", "preserveUnknownFields": false,
            "validation": {"openAPIV3Schema": {"type": "object"}},
            "additionalPrinterColumns": [{"name": "A", "type": "string", "JSONPath": ".a"}],
            "versions": [{"name": "v1", "served": true, "storage": true}, {"name": "v2", "served": true, "storage": false}],
            "conversion": {"strategy": "Webhook", "webhookClientConfig": {"url": "u"}, "conversionReviewVersions": ["v1"]}}});
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {"type": "object"}},
            "additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": ".a"}]})
    };
    let expected = json!({"kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": "w"},
        "spec": {"group": "e.com", "scope": "Namespaced", "versions": [version("v1", true), version("v2", false)],
            "conversion": {"strategy": "Webhook", "webhook": {"clientConfig": {"url": "u"}, "conversionReviewVersions": ["v1"]}}}});
    let key = "/registry/apiextensions.k8s.io/customresourcedefinitions/w";
    assert_eq!(decode(key, stored.to_string()).unwrap(), expected);
    // As krab would have written it, had it not known better.
    assert_eq!(decode(key, encode::encode(&stored)).unwrap(), expected);
}

#[test]
fn older_versions_we_know_become_the_storage_version() {
    let stored = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}, "status": {}});
    let schema = Scheme::builtin().kind("autoscaling", "v1", "HorizontalPodAutoscaler").unwrap();
    let key = "/registry/horizontalpodautoscalers/n/h";
    for bytes in [Bytes::from(protobuf::encode(&stored, schema).unwrap()), encode::encode(&stored)] {
        let read = decode(key, bytes).unwrap();
        assert_eq!(read["apiVersion"], "autoscaling/v2");
        assert_eq!(read["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 50);
    }
}

#[test]
fn what_cannot_be_read_says_why() {
    let pods = "/registry/pods/n/a";
    for (key, bytes) in [
        (pods, &b"garbage"[..]),
        (pods, b"k8s\0garbage"),
        (pods, b"k8s\0"),
        (pods, b""),
        (pods, br#"{"kind":"Pod","apiVersion":"v9","metadata":{}}"#),
        ("/registry/example.com/widgets/n/w", b"{"),
        ("/registry/example.com/widgets/n/w", b"{}"),
    ] {
        let refused = decode(key, bytes).expect_err("it should not be read");
        assert!(!refused.is_empty());
    }
}
