//! Sequences of creates, updates, patches and applies, and who kube-apiserver v1.37 said owns what after each: a line a
//! sequence. Recorded by conformance/applydiff, which sends many more.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use json::{Value, json};

use crate::ApiServer;
use crate::apiextensions::tests::{establish, followed};
use crate::registry::tests::{administrator, server};

#[tokio::test]
async fn owners_and_conflicts_are_upstreams() {
    let server = server().await;
    for (target, name) in [("namespaces", "applydiff"), ("namespaces/applydiff/serviceaccounts", "default")] {
        let step = json!({"method": "POST", "path": format!("/api/v1/{target}"), "body": {"metadata": {"name": name}}});
        assert_eq!(send(&server, &step).await.0, 201);
    }
    play(&server, include_str!("../../../testdata/applies.jsonl").lines()).await;
}

#[tokio::test]
async fn those_of_custom_resources_are_too() {
    let server = followed().await;
    for name in ["applydiff", "default"] {
        let step = json!({"method": "POST", "path": "/api/v1/namespaces", "body": {"metadata": {"name": name}}});
        send(&server, &step).await;
    }
    let mut recorded = include_str!("../../../testdata/applies_custom.jsonl").lines();
    let definitions: Vec<Value> = json::from_str(recorded.next().unwrap()).unwrap();
    for step in &definitions {
        establish(&server, &step["body"]).await;
    }
    play(&server, recorded).await;
}

/// Plays sequences of requests, and compares who owns what after each.
async fn play(server: &ApiServer, recorded: impl Iterator<Item = &str> + Clone) {
    let mut wrong = Vec::new();
    for (index, line) in recorded.clone().enumerate() {
        let mut steps: Vec<Value> = json::from_str(line).expect("a line is a sequence");
        let mut version = Value::Null;
        for (number, step) in steps.iter_mut().enumerate() {
            if step["body"]["metadata"]["resourceVersion"] == "<live>" {
                step["body"]["metadata"]["resourceVersion"] = version.clone();
            }
            let (code, answer) = send(server, step).await;
            if code < 300 && answer["kind"] != "Scale" {
                version = answer["metadata"]["resourceVersion"].clone();
            }
            let causes = step["message"] == "<causes>";
            let message = if causes { step["message"].clone() } else { plain(&answer) };
            let got = json!([code, message, owners(&answer["metadata"]["managedFields"])]);
            let want = json!([step["code"], plain(step), owners(&step["owners"])]);
            if got != want {
                let (line, number) = (index + 1, number + 1);
                wrong.push(format!("line {line}, step {number}: {step}\n  want {want}\n  got  {got}\n"));
                break;
            }
        }
    }
    let all = recorded.count();
    assert!(wrong.is_empty(), "{} of {all} sequences differ\n\n{}", wrong.len(), wrong.join("\n"));
}

async fn send(server: &ApiServer, step: &Value) -> (u16, Value) {
    let text = |field: &str| step[field].as_str().unwrap_or_default();
    let media_type = if text("type").is_empty() { "application/json" } else { text("type") };
    let request = Request::builder().method(text("method")).uri(text("path"));
    let request = request.header("content-type", media_type).header("user-agent", text("agent"));
    let body = Full::new(Bytes::from(step["body"].to_string())).map_err(|never| match never {}).boxed();
    let request = request.body(body).expect("recorded requests are well formed");
    let (parts, body) = server.handle(request, administrator()).await.into_parts();
    let bytes = body.collect().await.expect("an answer has an end").to_bytes();
    (parts.status.as_u16(), json::from_slice(&bytes).unwrap_or_default())
}

/// The message of an answer without what upstream finds in any order.
fn plain(answer: &Value) -> Value {
    let Some(text) = answer["message"].as_str() else { return Value::Null };
    let undeclared =
        text.find("not declared in schema").and_then(|at| text[..at].rfind(": errors:").or_else(|| text.find(": .")));
    text[..undeclared.unwrap_or(text.len())].into()
}

/// Entries in one order and without the value of times, which decides the order of entries that were not written at once.
fn owners(entries: &Value) -> Value {
    let mut entries = entries.as_array().cloned().unwrap_or_default();
    for entry in &mut entries {
        if entry["time"].as_str().is_some_and(|time| !time.starts_with("2020")) {
            entry["time"] = "<time>".into();
        }
    }
    entries.sort_by_key(|entry| {
        ["operation", "manager", "apiVersion", "subresource", "time"]
            .map(|field| entry[field].as_str().unwrap_or_default().to_owned())
    });
    entries.into()
}
