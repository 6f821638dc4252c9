//! Admission webhooks on a whole server: what they are asked, what becomes of what they say, in which order and how often.

use std::sync::{Arc, Mutex};

use json::{Value, json};

use super::Cluster;
use crate::admission::Chain;
use crate::admission::webhook::{MutatingAdmissionWebhook, Source, ValidatingAdmissionWebhook};
use crate::webhook::testing::{Reply, Server};

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn cluster() -> Cluster {
    Cluster::admitting(Default::default(), Arc::new(super::Nobody), |store, resources| {
        let source = Source { store: Arc::clone(store), resources: resources.clone() };
        Chain {
            mutating: vec![Arc::new(MutatingAdmissionWebhook(source.clone()))],
            validating: vec![Arc::new(ValidatingAdmissionWebhook(source))],
        }
    })
    .await
}

/// The paths asked, in order, and the reviews.
type Log = Arc<Mutex<Vec<(String, Value)>>>;

/// A webhook that writes down what it is asked.
async fn logging(answer: impl Fn(&str, &Value) -> Reply + Send + Sync + 'static) -> (Server, Log) {
    let log = Log::default();
    let own = Arc::clone(&log);
    let server = Server::start(move |path, review| {
        let reply = answer(path, &review);
        own.lock().unwrap().push((path.to_owned(), review));
        reply
    });
    (server.await, log)
}

fn paths(log: &Log) -> Vec<String> {
    log.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
}

fn hook(name: &str, server: &Server, path: &str, more: Value) -> Value {
    let mut hook = json!({
        "name": format!("{name}.example.com"),
        "clientConfig": server.client_config(path),
        "rules": [{"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        hook[key] = value.clone();
    }
    hook
}

/// Writes a configuration of `kind` (Mutating, Validating).
async fn configure(cluster: &Cluster, kind: &str, name: &str, hooks: Value) {
    let plural = format!("{}webhookconfigurations", kind.to_lowercase());
    let object = json!({"metadata": {"name": name}, "webhooks": hooks});
    cluster.post(&format!("{REGISTRATION}/{plural}"), object).await.expect(201);
}

fn config_map(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"l": "v"}}, "data": {"k": "v"}})
}

/// Adds a key to the data of a config map.
fn adding(review: &Value, key: &str) -> Reply {
    Reply::patch(review, &json!([{"op": "add", "path": format!("/data/{key}"), "value": "added"}]))
}

#[tokio::test]
async fn a_configuration_acts_from_its_commit_and_ends_with_it() {
    let (server, _log) = logging(|_, review| Reply::review(review, json!({"allowed": false}))).await;
    let cluster = cluster().await;
    cluster.post(CONFIG_MAPS, config_map("before")).await.expect(201);
    configure(&cluster, "Validating", "c", json!([hook("no", &server, "no", json!({}))])).await;
    let refused = cluster.post(CONFIG_MAPS, config_map("during")).await.expect(400);
    assert_eq!(refused.message(), "admission webhook \"no.example.com\" denied the request without explanation");
    // Nor may what is there be changed or deleted.
    let before = format!("{CONFIG_MAPS}/before");
    cluster.merge(&before, json!({"data": {"k": "w"}})).await.expect(400);
    cluster.delete(&before, Value::Null).await.expect(400);
    // The configuration itself is nobody's to defend.
    cluster.delete(&format!("{REGISTRATION}/validatingwebhookconfigurations/c"), Value::Null).await.expect(200);
    cluster.post(CONFIG_MAPS, config_map("after")).await.expect(201);
}

#[tokio::test]
async fn a_webhook_sees_the_request_as_upstream_shows_it() {
    let (server, log) =
        logging(|_, review| Reply::review(review, json!({"allowed": true, "warnings": ["beware"]}))).await;
    let cluster = cluster().await;
    configure(&cluster, "Validating", "c", json!([hook("see", &server, "see", json!({}))])).await;
    let answer = cluster.post(&format!("{CONFIG_MAPS}?dryRun=All"), config_map("seen")).await.expect(201);
    assert_eq!(answer.headers["warning"], "299 - \"beware\"");
    let log = log.lock().unwrap();
    let request = &log[0].1["request"];
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let resource = json!({"group": "", "version": "v1", "resource": "configmaps"});
    for (key, expected) in [
        ("kind", kind.clone()),
        ("requestKind", kind),
        ("resource", resource.clone()),
        ("requestResource", resource),
        ("name", json!("seen")),
        ("namespace", json!("default")),
        ("operation", json!("CREATE")),
        ("userInfo", json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]})),
        ("oldObject", Value::Null),
        ("dryRun", json!(true)),
        ("options", json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "dryRun": ["All"]})),
    ] {
        assert_eq!(request[key], expected, "{key}");
    }
    assert_eq!(request["object"]["data"]["k"], "v");
    assert!(request.get("subResource").is_none());
}

#[tokio::test]
async fn mutations_follow_the_names_of_configurations_and_each_sees_the_last() {
    let (server, log) = logging(|path, review| adding(review, path.trim_start_matches('/'))).await;
    let cluster = cluster().await;
    configure(&cluster, "Mutating", "b", json!([hook("b", &server, "second", json!({}))])).await;
    configure(&cluster, "Mutating", "a", json!([hook("a", &server, "first", json!({}))])).await;
    let made = cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201).json();
    assert_eq!(made["data"], json!({"first": "added", "k": "v", "second": "added"}));
    assert_eq!(paths(&log), ["/first", "/second"]);
    assert_eq!(log.lock().unwrap()[1].1["request"]["object"]["data"]["first"], "added");
}

#[tokio::test]
async fn who_asks_for_it_is_asked_once_more_after_a_later_change() {
    let (server, log) = logging(|path, review| adding(review, path.trim_start_matches('/'))).await;
    let cluster = cluster().await;
    let again = json!({"reinvocationPolicy": "IfNeeded"});
    let hooks = json!([
        hook("a", &server, "again", again.clone()),
        hook("b", &server, "once", json!({})),
        // Adds what is there already: changes nothing, so nobody is asked because of it.
        hook("c", &server, "once", again),
    ]);
    configure(&cluster, "Mutating", "c", hooks).await;
    cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201);
    assert_eq!(paths(&log), ["/again", "/once", "/once", "/again"]);
}

#[tokio::test]
async fn a_patch_that_makes_no_config_map_is_refused_whatever_the_policy() {
    let (server, _log) = logging(|path, review| {
        let value = if path == "/unknown" {
            json!([{"op": "add", "path": "/nosuch", "value": 1}])
        } else {
            json!([{"op": "add", "path": "/data", "value": 7}])
        };
        Reply::patch(review, &value)
    })
    .await;
    let cluster = cluster().await;
    configure(&cluster, "Mutating", "a", json!([hook("a", &server, "unknown", json!({}))])).await;
    let made = cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201).json();
    assert!(made.get("nosuch").is_none(), "unknown fields are dropped");
    let ignoring = json!({"failurePolicy": "Ignore"});
    configure(&cluster, "Mutating", "b", json!([hook("b", &server, "number", ignoring)])).await;
    let refused = cluster.post(CONFIG_MAPS, config_map("n")).await.expect(500);
    let why = "json: cannot unmarshal number into Go struct field ConfigMap.data of type map[string]string";
    assert_eq!(refused.message(), format!("Internal error occurred: {why}"));
}

#[tokio::test]
async fn a_failure_counts_unless_it_is_to_be_ignored() {
    let (server, _log) = logging(|_, _| Reply::Raw(503, Vec::new())).await;
    let cluster = cluster().await;
    let ignoring = json!({"failurePolicy": "Ignore"});
    configure(&cluster, "Validating", "a", json!([hook("a", &server, "x", ignoring)])).await;
    cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201);
    configure(&cluster, "Validating", "b", json!([hook("b", &server, "x", json!({}))])).await;
    let refused = cluster.post(CONFIG_MAPS, config_map("n")).await.expect(500);
    assert_eq!(
        refused.message(),
        "Internal error occurred: failed calling webhook \"b.example.com\": failed to call webhook: the server is currently \
         unable to handle the request"
    );
}

#[tokio::test]
async fn selectors_choose_by_the_labels_of_namespace_and_object() {
    let (server, log) = logging(|_, review| Reply::review(review, json!({"allowed": true}))).await;
    let cluster = cluster().await;
    cluster.merge("/api/v1/namespaces/other", json!({"metadata": {"labels": {"watched": "yes"}}})).await.expect(200);
    let hooks = json!([
        hook("ns", &server, "namespace", json!({"namespaceSelector": {"matchLabels": {"watched": "yes"}}})),
        hook("obj", &server, "object", json!({"objectSelector": {"matchLabels": {"l": "other"}}})),
    ]);
    configure(&cluster, "Validating", "c", hooks).await;
    cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201);
    assert_eq!(paths(&log), Vec::<String>::new());
    cluster.post("/api/v1/namespaces/other/configmaps", config_map("m")).await.expect(201);
    assert_eq!(paths(&log), ["/namespace"]);
    // The label may be on either side of the change.
    let relabel = json!({"metadata": {"labels": {"l": "other"}}});
    cluster.merge(&format!("{CONFIG_MAPS}/m"), relabel).await.expect(200);
    cluster.merge(&format!("{CONFIG_MAPS}/m"), json!({"metadata": {"labels": null}})).await.expect(200);
    assert_eq!(paths(&log), ["/namespace", "/object", "/object"]);
}

#[tokio::test]
async fn a_rule_for_another_version_of_the_same_objects_counts_if_equivalents_do() {
    let (server, log) = logging(|_, review| Reply::review(review, json!({"allowed": true}))).await;
    let cluster = cluster().await;
    let rules = json!([{"operations": ["*"], "apiGroups": ["autoscaling"], "apiVersions": ["v1"],
                        "resources": ["horizontalpodautoscalers"]}]);
    let hooks = json!([
        hook("exact", &server, "exact", json!({"rules": rules, "matchPolicy": "Exact"})),
        hook("equivalent", &server, "equivalent", json!({"rules": rules})),
    ]);
    configure(&cluster, "Validating", "c", hooks).await;
    let scaler = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 7}}}]}});
    cluster.post("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", scaler).await.expect(201);
    assert_eq!(paths(&log), ["/equivalent"]);
    let log = log.lock().unwrap();
    let request = &log[0].1["request"];
    assert_eq!((&request["kind"]["version"], &request["requestKind"]["version"]), (&json!("v1"), &json!("v2")));
    assert_eq!(request["object"]["apiVersion"], "autoscaling/v1");
    assert_eq!(request["object"]["spec"]["targetCPUUtilizationPercentage"], 7);
}
