//! Sequences of creates, updates, patches and applies, and who kube-apiserver v1.37 said owns what after each: a line a
//! sequence. Recorded by conformance/applydiff, which sends many more.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::ApiServer;
use crate::registry::tests::{administrator, server};

#[tokio::test]
async fn owners_and_conflicts_are_upstreams() {
    let server = server().await;
    for (target, name) in [("namespaces", "applydiff"), ("namespaces/applydiff/serviceaccounts", "default")] {
        let step = json!({"method": "POST", "path": format!("/api/v1/{target}"), "body": {"metadata": {"name": name}}});
        assert_eq!(send(&server, &step).await.0, 201);
    }
    let recorded = include_str!("../../../testdata/applies.jsonl");
    let mut wrong = Vec::new();
    for (index, line) in recorded.lines().enumerate() {
        let steps: Vec<Value> = serde_json::from_str(line).unwrap();
        for (number, step) in steps.iter().enumerate() {
            let (code, answer) = send(&server, step).await;
            let got = json!([code, plain(&answer["message"]), owners(&answer["metadata"]["managedFields"])]);
            let want = json!([step["code"], plain(&step["message"]), owners(&step["owners"])]);
            if got != want {
                let (line, number) = (index + 1, number + 1);
                wrong.push(format!("line {line}, step {number}: {step}\n  want {want}\n  got  {got}\n"));
                break;
            }
        }
    }
    let all = recorded.lines().count();
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
    (parts.status.as_u16(), serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Without the difference of two pods, which upstream shows in Go's words.
fn plain(message: &Value) -> Value {
    let cut = |text: &str| text.find("\n@@").or_else(|| text.find("\n- spec")).unwrap_or(text.len());
    message.as_str().map(|text| &text[..cut(text)]).into()
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
