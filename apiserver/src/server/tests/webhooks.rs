//! Admission webhooks on a whole server: what they are asked, what becomes of what they say, in which order and how often.

use std::sync::{Arc, Mutex};

use json::{Value, json};

use super::Cluster;
use crate::admission::metrics::Metrics;
use crate::admission::webhook::{Hooks, MutatingAdmissionWebhook, Source, ValidatingAdmissionWebhook};
use crate::admission::{Admits, Chain, Validates};
use crate::registry::resource::Resources;
use crate::webhook::testing::{Reply, Server};

const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn cluster() -> Cluster {
    Cluster::admitting(Default::default(), Arc::new(super::Nobody), plugins).await
}

fn plugins(store: &Arc<store::Store>, resources: &Resources) -> Chain {
    let metrics = Arc::<Metrics>::default();
    let source = Source { store: Arc::clone(store), resources: resources.clone(), metrics: Arc::clone(&metrics) };
    let mut chain = Chain::counting(metrics);
    chain.then_admit(
        "MutatingAdmissionWebhook",
        Admits::Later(Arc::new(MutatingAdmissionWebhook(Hooks::anonymous(source.clone())))),
    );
    chain.then_validate(
        "ValidatingAdmissionWebhook",
        Validates::Later(Arc::new(ValidatingAdmissionWebhook(Hooks::anonymous(source)))),
    );
    chain
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

#[tokio::test]
async fn a_scale_is_admitted_as_what_it_is() {
    let (server, log) = logging(|path, review| match path {
        "/more" => Reply::patch(review, &json!([{"op": "replace", "path": "/spec/replicas", "value": 7}])),
        _ => Reply::review(review, json!({"allowed": true})),
    })
    .await;
    let cluster = cluster().await;
    let deployment = json!({"metadata": {"name": "d"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": {
        "metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    cluster.post("/apis/apps/v1/namespaces/default/deployments", deployment).await.expect(201);
    let rules = json!({"rules": [{"operations": ["*"], "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments/scale"]}]});
    configure(&cluster, "Mutating", "m", json!([hook("m", &server, "more", rules.clone())])).await;
    configure(&cluster, "Validating", "v", json!([hook("v", &server, "see", rules)])).await;
    let path = "/apis/apps/v1/namespaces/default/deployments/d/scale";
    let scaled = cluster.merge(path, json!({"spec": {"replicas": 3}})).await.expect(200).json();
    assert_eq!(scaled["spec"]["replicas"], 7);
    let log = log.lock().unwrap();
    let [asked, seen] = [0, 1].map(|index| &log[index].1["request"]);
    let kind = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
    let resource = json!({"group": "apps", "version": "v1", "resource": "deployments"});
    assert_eq!((&asked["kind"], &asked["resource"], &asked["subResource"]), (&kind, &resource, &json!("scale")));
    assert_eq!((&asked["object"]["kind"], &asked["object"]["spec"]["replicas"]), (&json!("Scale"), &json!(3)));
    assert_eq!((&asked["oldObject"]["spec"]["replicas"], &seen["object"]["spec"]["replicas"]), (&json!(2), &json!(7)));
    assert_eq!(seen["object"]["status"]["selector"], "a=b");
}

#[tokio::test]
async fn a_webhook_that_is_too_busy_is_asked_again_when_it_says() {
    let busy = Mutex::new(2);
    let (server, log) = logging(move |_, review| {
        let mut left = busy.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Reply::Busy;
        }
        Reply::review(review, json!({"allowed": true}))
    })
    .await;
    let cluster = cluster().await;
    configure(&cluster, "Validating", "c", json!([hook("c", &server, "busy", json!({}))])).await;
    cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201);
    assert_eq!(paths(&log), ["/busy", "/busy", "/busy"]);
}

/// What the audit log says of the write of a config map.
fn annotations(log: &std::path::Path, name: &str) -> Value {
    let text = std::fs::read_to_string(log).unwrap();
    let events = text.lines().map(|line| json::from_str::<Value>(line).unwrap());
    let mut events = events.filter(|event| event["objectRef"]["resource"] == "configmaps");
    let event = events
        .find(|event| event["stage"] == "ResponseComplete" && event["responseObject"]["metadata"]["name"] == name);
    event.unwrap_or_else(|| panic!("no {name} in\n{text}"))["annotations"].clone()
}

#[tokio::test]
async fn what_webhooks_do_and_say_is_in_the_audit_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let (server, _log) = logging(|path, review| match path {
        "/add" => adding(review, "x"),
        "/broken" => Reply::Raw(503, Vec::new()),
        _ => Reply::review(review, json!({"allowed": true, "auditAnnotations": {"seen": "by me"}})),
    })
    .await;
    let cluster = Cluster::audited(path.clone(), plugins).await;
    let ignoring = json!({"failurePolicy": "Ignore"});
    let hooks = json!([
        hook("a", &server, "add", json!({})),
        hook("b", &server, "say", json!({"reinvocationPolicy": "IfNeeded"})),
        hook("c", &server, "broken", ignoring.clone()),
    ]);
    configure(&cluster, "Mutating", "m", hooks).await;
    configure(&cluster, "Validating", "v", json!([hook("d", &server, "broken", ignoring)])).await;
    cluster.post(CONFIG_MAPS, config_map("m")).await.expect(201);
    let own = annotations(&path, "m");
    let text =
        |key: &str| json::from_str::<Value>(own[key].as_str().unwrap_or_else(|| panic!("{key} in {own}"))).unwrap();
    let of = |webhook: &str, mutated: bool| json!({"configuration": "m", "webhook": format!("{webhook}.example.com"), "mutated": mutated});
    assert_eq!(text("mutation.webhook.admission.k8s.io/round_0_index_0"), of("a", true));
    assert_eq!(text("mutation.webhook.admission.k8s.io/round_0_index_1"), of("b", false));
    assert_eq!(text("mutation.webhook.admission.k8s.io/round_0_index_2"), of("c", false));
    assert!(own.get("mutation.webhook.admission.k8s.io/round_1_index_1").is_none(), "it has seen the change");
    let patch = json!([{"op": "add", "path": "/data/x", "value": "added"}]);
    let expected = json!({"configuration": "m", "webhook": "a.example.com", "patch": patch, "patchType": "JSONPatch"});
    assert_eq!(text("patch.webhook.admission.k8s.io/round_0_index_0"), expected);
    assert_eq!(own["failed-open.mutation.webhook.admission.k8s.io/round_0_index_2"], "c.example.com");
    assert_eq!(own["failed-open.validating.webhook.admission.k8s.io/round_0_index_0"], "d.example.com");
    assert_eq!(own["b.example.com/seen"], "by me");
}

#[tokio::test]
async fn what_webhooks_and_plugins_take_is_counted() {
    let (server, _log) = logging(|path, review| match path {
        "/no" => Reply::review(review, json!({"allowed": false, "status": {"code": 418}})),
        "/broken" => Reply::Raw(503, Vec::new()),
        _ => Reply::review(review, json!({"allowed": true})),
    })
    .await;
    let cluster = cluster().await;
    let only = |name: &str| json!({"objectSelector": {"matchLabels": {"l": name}}});
    let mut broken = only("ignored");
    broken["failurePolicy"] = "Ignore".into();
    let mut conditioned = only("conditioned");
    conditioned["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
    let hooks = json!([
        hook("yes", &server, "yes", only("yes")),
        hook("no", &server, "no", only("no")),
        hook("closed", &server, "broken", only("closed")),
        hook("open", &server, "broken", broken),
        hook("never", &server, "yes", conditioned),
    ]);
    configure(&cluster, "Validating", "c", hooks).await;
    for (label, code) in [("yes", 201), ("no", 418), ("closed", 500), ("ignored", 201), ("conditioned", 201)] {
        let object = json!({"metadata": {"name": label, "labels": {"l": label}}});
        cluster.post(CONFIG_MAPS, object).await.expect(code);
    }
    let text = String::from_utf8(cluster.get("/metrics").await.expect(200).bytes.to_vec()).unwrap();
    for series in [
        "webhook_request_total{code=\"200\",name=\"yes.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"validating\"} 1",
        "webhook_request_total{code=\"418\",name=\"no.example.com\",operation=\"CREATE\",rejected=\"true\",type=\"validating\"} 1",
        "webhook_request_total{code=\"503\",name=\"open.example.com\",operation=\"CREATE\",rejected=\"false\",type=\"validating\"} 1",
        "webhook_rejection_count{error_type=\"no_error\",name=\"no.example.com\",operation=\"CREATE\",rejection_code=\"418\",type=\"validating\"} 1",
        "webhook_rejection_count{error_type=\"calling_webhook_error\",name=\"closed.example.com\",operation=\"CREATE\",rejection_code=\"503\",type=\"validating\"} 1",
        "webhook_fail_open_count{name=\"open.example.com\",type=\"validating\"} 1",
        "match_condition_exclusions_total{kind=\"webhook\",name=\"never.example.com\",operation=\"CREATE\",type=\"validating\"} 1",
        "webhook_admission_duration_seconds_count{name=\"no.example.com\",operation=\"CREATE\",rejected=\"true\",type=\"validating\"} 1",
        "controller_admission_duration_seconds_count{name=\"ValidatingAdmissionWebhook\",operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 2",
        "step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"true\",type=\"validate\"} 2",
    ] {
        assert!(text.contains(&format!("apiserver_admission_{series}\n")), "no {series} in\n{text}");
    }
}
