//! A definition and what kube-apiserver v1.37 answered to a line of requests for its objects: everything a client sees but
//! times, uids, revisions and owners of fields.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::controller::Controller;
use crate::ApiServer;
use crate::registry::tests::{administrator, server};
use crate::webhook;
use crate::webhook::testing::Reply;

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

#[tokio::test]
async fn custom_resources_are_answered_as_upstream_does() {
    let server = followed().await;
    let mut recorded = include_str!("../../testdata/custom_resources.jsonl").lines();
    let definition: Value = json::from_str(recorded.next().unwrap()).unwrap();
    establish(&server, &definition["definition"]).await;
    let mut wrong = Vec::new();
    let all = recorded.clone().count();
    for (index, line) in recorded.enumerate() {
        let step: Value = json::from_str(line).unwrap();
        let (code, answer, warnings) = send(&server, &step).await;
        let got = json!([code, plain(answer), warnings]);
        let want = json!([step["code"], step["answer"], step["warnings"]]);
        if got != want {
            wrong.push(format!(
                "line {}: {} {} {}\n  want {want}\n  got  {got}\n",
                index + 2,
                step["method"],
                step["path"],
                step["body"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {all} differ\n\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn cve_2019_11247_what_is_of_the_cluster_is_not_reached_through_a_namespace() {
    let server = followed().await;
    let mut of_cluster = definition("things.one.example", "one.example", "things", "Thing");
    of_cluster["spec"]["scope"] = "Cluster".into();
    establish(&server, &of_cluster).await;
    let group = "/apis/one.example/v1";
    let object = json!({"apiVersion": "one.example/v1", "kind": "Thing", "metadata": {"name": "t"}});
    let created = json!({"method": "POST", "path": format!("{group}/things"), "body": object});
    assert_eq!(send(&server, &created).await.0, 201);
    for (method, name, body) in [
        ("GET", "/t", Value::Null),
        ("GET", "", Value::Null),
        ("PUT", "/t", object.clone()),
        ("POST", "", object.clone()),
        ("DELETE", "/t", Value::Null),
    ] {
        let step = json!({"method": method, "path": format!("{group}/namespaces/default/things{name}"), "body": body});
        assert_eq!(send(&server, &step).await.0, 404, "{method} {name}");
    }
    let there = json!({"method": "GET", "path": format!("{group}/things/t")});
    assert_eq!(send(&server, &there).await.0, 200);
}

#[tokio::test]
async fn a_name_that_is_taken_is_told_of_and_given_when_it_is_free() {
    let server = followed().await;
    let first = definition("things.one.example", "one.example", "things", "Thing");
    let mut second = definition("others.one.example", "one.example", "others", "Thing");
    second["spec"]["names"]["singular"] = "other".into();
    establish(&server, &first).await;
    create(&server, &second).await;
    let status = until(&server, "others.one.example", |status| condition(status, "NamesAccepted").is_some()).await;
    assert_eq!(condition(&status, "NamesAccepted").unwrap()["reason"], "ListKindConflict");
    assert_eq!(condition(&status, "Established").unwrap()["reason"], "NotAccepted");
    let delete = json!({"method": "DELETE", "path": format!("{DEFINITIONS}/things.one.example")});
    assert_eq!(send(&server, &delete).await.0, 200);
    until(&server, "others.one.example", |status| {
        condition(status, "Established").is_some_and(|established| established["status"] == "True")
    })
    .await;
}

#[tokio::test]
async fn a_definition_takes_its_objects_with_it_and_waits_for_their_finalizers() {
    let server = followed().await;
    establish(&server, &definition("things.two.example", "two.example", "things", "Thing")).await;
    let objects = "/apis/two.example/v1/namespaces/default/things";
    for (name, finalizers) in [("free", json!([])), ("held", json!(["test.example/hold"]))] {
        let body = json!({"apiVersion": "two.example/v1", "kind": "Thing", "metadata": {"name": name, "finalizers": finalizers}});
        let (code, answer, _) = send(&server, &json!({"method": "POST", "path": objects, "body": body})).await;
        assert_eq!(code, 201, "{answer}");
    }
    let path = format!("{DEFINITIONS}/things.two.example");
    assert_eq!(send(&server, &json!({"method": "DELETE", "path": path})).await.0, 200);
    until(&server, "things.two.example", |status| {
        condition(status, "Terminating").is_some_and(|known| known["reason"] == "InstanceDeletionInProgress")
    })
    .await;
    let body = json!({"apiVersion": "two.example/v1", "kind": "Thing", "metadata": {"name": "late"}});
    let (code, refusal, _) = send(&server, &json!({"method": "POST", "path": objects, "body": body})).await;
    let message =
        "things.two.example \"late\" is forbidden: create not allowed while custom resource definition is terminating";
    assert_eq!((code, refusal["message"].as_str().unwrap()), (403, message));
    let free = json!({"metadata": {"finalizers": null}});
    let patch = json!({"method": "PATCH", "path": format!("{objects}/held"), "type": "application/merge-patch+json", "body": free});
    assert_eq!(send(&server, &patch).await.0, 200);
    while send(&server, &json!({"method": "GET", "path": path})).await.0 != 404 {
        tokio::task::yield_now().await;
    }
    while send(&server, &json!({"method": "GET", "path": objects})).await.0 != 404 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn objects_are_served_in_every_version_and_stored_in_one() {
    let server = followed().await;
    let mut definition = definition("things.three.example", "three.example", "things", "Thing");
    let mut newer = definition["spec"]["versions"][0].clone();
    newer["name"] = "v2".into();
    newer["storage"] = false.into();
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"] = json!({"type": "object", "properties": {
        "size": {"type": "integer"}, "color": {"type": "string", "default": "red"}}});
    definition["spec"]["versions"].as_array_mut().unwrap().push(newer);
    establish(&server, &definition).await;
    let place = |version: &str| format!("/apis/three.example/{version}/namespaces/default/things");
    let body =
        json!({"apiVersion": "three.example/v2", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 1}});
    let (code, made, _) = send(&server, &json!({"method": "POST", "path": place("v2"), "body": body})).await;
    // What the storage version has no field for is not stored, and defaults are those of that version.
    assert_eq!((code, &made["spec"]), (201, &json!({"size": 1})));
    for (version, spec) in [("v1", json!({"size": 1})), ("v2", json!({"size": 1}))] {
        let (_, read, _) = send(&server, &json!({"method": "GET", "path": format!("{}/a", place(version))})).await;
        assert_eq!((&read["apiVersion"], &read["spec"]), (&json!(format!("three.example/{version}")), &spec));
        let (_, list, _) = send(&server, &json!({"method": "GET", "path": place(version)})).await;
        assert_eq!(list["items"][0]["apiVersion"], format!("three.example/{version}"));
    }
}

#[tokio::test]
async fn a_webhook_converts_what_is_stored_read_listed_and_watched() {
    let hook = webhook::testing::Server::start(|_, review| Reply::Json(convert(&review))).await;
    let server = followed().await;
    establish(&server, &converted_by(&hook)).await;
    let place = |version: &str| format!("/apis/four.example/{version}/namespaces/default/things");
    let body =
        json!({"apiVersion": "four.example/v2", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"length": 3}});
    let (code, made, _) = send(&server, &json!({"method": "POST", "path": place("v2"), "body": body})).await;
    assert_eq!((code, &made["spec"]), (201, &json!({"length": 3})), "{made}");
    let patch = json!({"spec": {"length": 4}});
    let patch = json!({"method": "PATCH", "path": format!("{}/a", place("v2")), "type": "application/merge-patch+json", "body": patch});
    assert_eq!(send(&server, &patch).await.1["spec"], json!({"length": 4}));
    for (version, spec) in [("v1", json!({"size": 4})), ("v2", json!({"length": 4}))] {
        let (_, read, _) = send(&server, &json!({"method": "GET", "path": format!("{}/a", place(version))})).await;
        assert_eq!((&read["apiVersion"], &read["spec"]), (&json!(format!("four.example/{version}")), &spec));
        let (_, list, _) = send(&server, &json!({"method": "GET", "path": place(version)})).await;
        assert_eq!(list["items"][0]["spec"], spec);
        let watch = format!("{}?watch=true&timeoutSeconds=1", place(version));
        let (_, event, _) = send(&server, &json!({"method": "GET", "path": watch})).await;
        assert_eq!((&event["type"], &event["object"]["spec"]), (&json!("ADDED"), &spec), "{event}");
    }
}

#[tokio::test]
async fn a_webhook_is_asked_what_owners_of_another_version_lose() {
    let hook = webhook::testing::Server::start(|_, review| Reply::Json(convert(&review))).await;
    let server = followed().await;
    establish(&server, &converted_by(&hook)).await;
    let place = |version: &str| format!("/apis/four.example/{version}/namespaces/default/things");
    let body =
        json!({"apiVersion": "four.example/v2", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"length": 3}});
    let path = format!("{}?fieldManager=first", place("v2"));
    assert_eq!(send(&server, &json!({"method": "POST", "path": path, "body": body})).await.0, 201);
    let apply = |size: i64, query: &str| {
        let body = json!({"apiVersion": "four.example/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": size}});
        let path = format!("{}/a?fieldManager=second{query}", place("v1"));
        json!({"method": "PATCH", "path": path, "type": "application/apply-patch+yaml", "body": body})
    };
    let (code, refused, _) = send(&server, &apply(5, "")).await;
    let why = "Apply failed with 1 conflict: conflict with \"first\" using four.example/v2: .spec.length";
    assert_eq!((code, &refused["message"]), (409, &json!(why)));
    let owners = |object: &Value| -> Vec<String> {
        let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        entries.map(|entry| format!("{} {}", entry["manager"], entry["fieldsV1"])).collect()
    };
    let (code, shared, _) = send(&server, &apply(3, "")).await;
    assert_eq!(code, 200, "{shared}");
    let first = r#""first" {"f:spec":{".":{},"f:length":{}}}"#;
    let second = r#""second" {"f:spec":{"f:size":{}}}"#;
    assert_eq!(owners(&shared), [second, first]);
    let (_, taken, _) = send(&server, &apply(5, "&force=true")).await;
    assert_eq!(owners(&taken), [second, r#""first" {"f:spec":{}}"#]);
}

/// A definition whose v2 has `length` where v1 has `size`.
fn converted_by(hook: &webhook::testing::Server) -> Value {
    let mut definition = definition("things.four.example", "four.example", "things", "Thing");
    let mut newer = definition["spec"]["versions"][0].clone();
    newer["name"] = "v2".into();
    newer["storage"] = false.into();
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = json!({"length": {"type": "integer"}});
    definition["spec"]["versions"].as_array_mut().expect("versions are a list").push(newer);
    definition["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook": {
        "clientConfig": hook.client_config("convert"), "conversionReviewVersions": ["v1"]}});
    definition
}

/// A webhook's answer: `size` of v1 is `length` of v2.
fn convert(review: &Value) -> Value {
    let request = &review["request"];
    let mut objects = request["objects"].clone();
    for object in objects.as_array_mut().unwrap() {
        object["apiVersion"] = request["desiredAPIVersion"].clone();
        let spec = object["spec"].as_object_mut().unwrap();
        let to = if request["desiredAPIVersion"] == "four.example/v1" { "size" } else { "length" };
        *spec = spec.values().map(|value| (to.to_owned(), value.clone())).collect();
    }
    let response = json!({"uid": request["uid"], "convertedObjects": objects, "result": {"status": "Success"}});
    json!({"apiVersion": review["apiVersion"], "kind": "ConversionReview", "response": response})
}

/// A server whose definitions are followed.
pub(crate) async fn followed() -> ApiServer {
    let server = server().await;
    let controller = Controller::new(Arc::clone(server.engine()), CancellationToken::new());
    component::spawn("custom resources", controller.run());
    let namespace = json!({"method": "POST", "path": "/api/v1/namespaces", "body": {"metadata": {"name": "default"}}});
    send(&server, &namespace).await;
    server
}

fn definition(name: &str, group: &str, plural: &str, kind: &str) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": plural, "kind": kind}, "versions": [{
            "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]},
    })
}

async fn create(server: &ApiServer, definition: &Value) {
    let (code, answer, _) = send(server, &json!({"method": "POST", "path": DEFINITIONS, "body": definition})).await;
    assert_eq!(code, 201, "{answer}");
}

pub(crate) async fn establish(server: &ApiServer, definition: &Value) {
    create(server, definition).await;
    let name = definition["metadata"]["name"].as_str().expect("definitions have names");
    until(server, name, |status| condition(status, "Established").is_some_and(|known| known["status"] == "True")).await;
}

/// The status of a definition once it is as wanted.
async fn until(server: &ApiServer, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let (_, found, _) = send(server, &json!({"method": "GET", "path": format!("{DEFINITIONS}/{name}")})).await;
        if wanted(&found["status"]) {
            return found["status"].clone();
        }
        tokio::task::yield_now().await;
    }
}

fn condition<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == name)
}

async fn send(server: &ApiServer, step: &Value) -> (u16, Value, Vec<String>) {
    let text = |field: &str| step[field].as_str().unwrap_or_default();
    let media_type = if text("type").is_empty() { "application/json" } else { text("type") };
    let request = Request::builder().method(text("method")).uri(text("path"));
    let request = request.header("content-type", media_type).header("user-agent", "test");
    let body = if step["body"].is_null() { String::new() } else { step["body"].to_string() };
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
    let request = request.body(body).expect("recorded requests are well formed");
    let (parts, body) = server.handle(request, administrator()).await.into_parts();
    let bytes = body.collect().await.expect("an answer has an end").to_bytes();
    let answer = json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
    let warnings = parts.headers.get_all("warning").iter();
    let mut warnings: Vec<String> = warnings.filter_map(|text| text.to_str().ok()).map(str::to_owned).collect();
    warnings.sort();
    (parts.status.as_u16(), answer, warnings)
}

/// An answer without what differs each time. Causes are in one order: upstream's is that of Go's maps.
fn plain(mut answer: Value) -> Value {
    if answer["kind"] == "Status" {
        let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
        let causes = answer["details"]["causes"].as_array().cloned().unwrap_or_default();
        let mut causes: Vec<[String; 2]> = causes.iter().map(|c| [text(c, "field"), text(c, "message")]).collect();
        causes.sort();
        if causes.len() > 1 {
            return json!({"reason": answer["reason"], "causes": causes});
        }
        return json!({"reason": answer["reason"], "message": answer["message"], "causes": causes});
    }
    if let Some(metadata) = answer.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "deletionTimestamp"] {
            metadata.shift_remove(field);
        }
    }
    if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(|item| *item = plain(item.take()));
    }
    answer
}
