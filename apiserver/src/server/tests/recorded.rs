//! Lists and watches of five config maps, asked in every way that resource versions, limits and selectors allow: what
//! kube-apiserver v1.37.0 answered is in `testdata/answers/lists.jsonl`, one request a line.
//!
//! `{RV}` is the newest revision, `{FUTURE}` one that is not there, `{CONT}` the token of a page of two.

use json::{Map, Value, json};

use super::{Answer, Cluster};

const RECORDED: &str = include_str!("../../../testdata/answers/lists.jsonl");
const CONFIG_MAPS: &str = "/api/v1/namespaces/wl/configmaps";

#[tokio::test]
async fn lists_and_watches_answer_as_upstream_did() {
    let cluster = Cluster::new().await;
    cluster.post("/api/v1/namespaces", json!({"metadata": {"name": "wl"}})).await.expect(201);
    for name in ["a", "b", "c", "d", "e"] {
        let object = json!({"metadata": {"name": name, "labels": {"l": name}}, "data": {"k": name}});
        cluster.post(CONFIG_MAPS, object).await.expect(201);
    }
    let newest = cluster.get(CONFIG_MAPS).await.version();
    let page = cluster.get(&format!("{CONFIG_MAPS}?limit=2")).await.json();
    let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
    let future = newest + 1_000_000;
    let known = [("{RV}", newest.to_string()), ("{FUTURE}", future.to_string()), ("{CONT}", token)];
    let current = regex::Regex::new(r"current: \d+").unwrap();
    // Everything is written: who waits now waits for time.
    tokio::time::pause();
    let mut differences = Vec::new();
    for line in RECORDED.lines() {
        let row: Value = json::from_str(line).unwrap();
        let recorded = row["query"].as_str().unwrap();
        let query = known.iter().fold(recorded.to_owned(), |query, (name, value)| query.replace(name, value));
        let answer = cluster.get(&format!("{CONFIG_MAPS}?{query}")).await;
        let shown = json!({"code": answer.code, "answer": summary(&answer)}).to_string();
        let shown = shown.replace(&future.to_string(), "{FUTURE}");
        let shown: Value = json::from_str(&current.replace_all(&shown, "current: N")).unwrap();
        if (&shown["code"], &shown["answer"]) != (&row["code"], &row["answer"]) {
            let (upstream, here) = (&row["answer"], &shown["answer"]);
            differences
                .push(format!("{recorded}\n  upstream {} {upstream}\n  here {} {here}", row["code"], shown["code"]));
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

/// What is compared: names, and what there is besides them.
fn summary(answer: &Answer) -> Value {
    let text = std::str::from_utf8(&answer.bytes).expect("JSON is text");
    let first: Value = text.lines().next().map_or(Value::Null, |line| json::from_str(line).unwrap_or_default());
    if text.is_empty() || first.get("type").is_some() {
        return text.lines().map(|line| event(&json::from_str(line).unwrap_or_default())).collect();
    }
    let object = answer.json();
    let mut fields = Map::new();
    let continues = object["metadata"]["continue"].as_str().is_some_and(|token| !token.is_empty());
    if object["kind"] == "Status" {
        fields.insert("message", object["message"].clone());
        if let Some(seconds) = object["details"].get("retryAfterSeconds") {
            let causes = object["details"]["causes"].as_array().into_iter().flatten();
            fields.insert("causes", causes.map(|cause| cause["message"].clone()).collect());
            fields.insert("retry", seconds.clone());
        }
    } else {
        let items = object["items"].as_array().into_iter().flatten();
        fields.insert("names", items.map(|item| item["metadata"]["name"].clone()).collect());
        if let Some(remaining) = object["metadata"].get("remainingItemCount") {
            fields.insert("remaining", remaining.clone());
        }
    }
    if continues {
        fields.insert("continue", true.into());
    }
    Value::Object(fields)
}

fn event(event: &Value) -> String {
    let (kind, object) = (event["type"].as_str().unwrap_or_default(), &event["object"]);
    match kind {
        "ERROR" => format!("ERROR {}", object["message"].as_str().unwrap_or_default()),
        "BOOKMARK" if object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true" => {
            "BOOKMARK end".to_owned()
        }
        "BOOKMARK" => kind.to_owned(),
        _ => format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or_default()),
    }
}
