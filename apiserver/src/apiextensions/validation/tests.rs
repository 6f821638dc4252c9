//! Definitions, and what kube-apiserver v1.37 said of them: a line a definition, recorded from dry runs of creates.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use json::{Value, json};

use crate::registry::tests::{administrator, server};

#[tokio::test]
async fn definitions_are_refused_as_upstream_does() {
    let server = server().await;
    let recorded = include_str!("../../../testdata/definitions.jsonl");
    let mut wrong = Vec::new();
    for (index, line) in recorded.lines().enumerate() {
        let case: Value = json::from_str(line).unwrap();
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": case["metadata"], "spec": case["spec"],
        });
        let request = Request::post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All")
            .header("content-type", "application/json");
        let body = Full::new(Bytes::from(definition.to_string())).map_err(|never| match never {}).boxed();
        let answer = server.handle(request.body(body).unwrap(), administrator()).await;
        let (parts, body) = answer.into_parts();
        let body: Value = json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
        let warnings: Vec<&str> =
            parts.headers.get_all("warning").iter().map(|warning| warning.to_str().unwrap()).collect();
        let got = json!([parts.status.as_u16(), causes(&body), warnings]);
        let want = json!([case["code"], case["causes"], case["warnings"]]);
        if got != want {
            wrong.push(format!("line {}: {}\n  want {want}\n  got  {got}\n", index + 1, case["spec"]));
        }
    }
    let all = recorded.lines().count();
    assert!(wrong.is_empty(), "{} of {all} differ\n\n{}", wrong.len(), wrong.join("\n"));
}

/// Field and message of each cause, in one order; upstream's is that of Go's maps.
fn causes(status: &Value) -> Value {
    let Some(causes) = status["details"]["causes"].as_array() else { return Value::Null };
    let text = |cause: &Value, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    let mut causes: Vec<[String; 2]> = causes.iter().map(|c| [text(c, "field"), text(c, "message")]).collect();
    causes.sort();
    json!(causes)
}
