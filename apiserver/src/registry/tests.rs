//! Requests and what kube-apiserver v1.37 answered to them: `testdata/answers`, one file a group of kinds.
//!
//! A line is a request, the code and the answer, without what differs every time. A file is one story: later lines see the
//! objects of earlier ones. Recorded by hack/goldens/answers.

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::bootstrap;
use super::computed::{Computations, Computed};
use super::resource::Resources;
use crate::admission::{self, Chain, Configurations, Loopback, Selection, Surroundings};
use crate::authentication::{self, Authenticator, PeerCertificates, Union, UserInfo};
use crate::authorization::configuration::{Configuration, Mode};
use crate::authorization::node::NodeAuthorizer;
use crate::authorization::rbac::{Rbac, bootstrap::cluster_role_rules};
use crate::authorization::{self, Authorization};
use crate::server::body::Body;
use crate::server::service::Caller;
use crate::{ApiServer, Config, Engine};

/// Every line of the file is answered as recorded.
async fn check(file: &str, recorded: &str) {
    check_on(&server().await, file, recorded).await;
}

async fn check_on(server: &ApiServer, file: &str, recorded: &str) {
    let mut wrong = Vec::new();
    let mut lines = 0;
    for (index, line) in recorded.lines().enumerate() {
        let row: Value = json::from_str(line).unwrap_or_else(|error| panic!("{file}:{}: {error}", index + 1));
        let (method, target) = row["ask"].as_str().and_then(|ask| ask.split_once(' ')).unwrap_or_default();
        let watch = match &row["events"] {
            Value::Array(events) if !events.is_empty() => Some((watch(server, target).await, events.len())),
            _ => None,
        };
        let asker = row["as"].as_str().unwrap_or_default();
        let (code, answer, warnings) = ask_as(server, asker, method, target, &row["body"]).await;
        let events = match watch {
            Some((body, count)) => Value::Array(events(body, count).await),
            None if row["events"].is_array() => json!([]),
            None => Value::Null,
        };
        let got = json!({"code": code, "answer": masked(answer), "warnings": warnings, "events": events});
        let recorded = |part: &str, absent: Value| row.get(part).cloned().unwrap_or(absent);
        let warnings = recorded("warnings", json!([]));
        let want = json!({"code": row["code"], "answer": row["answer"], "warnings": warnings, "events": recorded("events", Value::Null)});
        if got != want {
            wrong.push(format!(
                "{file}:{} {method} {target}\n   body {}\n{}",
                index + 1,
                row["body"],
                difference("", &want, &got)
            ));
        }
        lines += 1;
    }
    assert!(wrong.is_empty(), "{} of {lines} answers differ\n\n{}", wrong.len(), wrong.join("\n"));
}

/// What differs, a line each.
fn difference(path: &str, want: &Value, got: &Value) -> String {
    match (want, got) {
        _ if want == got => String::new(),
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(key)));
            keys.map(|key| difference(&format!("{path}.{key}"), &want[key], &got[key])).collect()
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            (0..left.len()).map(|index| difference(&format!("{path}[{index}]"), &left[index], &right[index])).collect()
        }
        _ => format!("   {path}\n      want {want}\n      got  {got}\n"),
    }
}

/// Without what is new every time.
fn masked(mut answer: Value) -> Value {
    if answer["status"] == "Success" {
        let mut short = json!({"status": "Success"});
        if let Some(details) = answer.get("details") {
            short["details"] = details.clone();
        }
        hide_allocations(&mut short);
        return short;
    }
    if answer["kind"] == "Status" {
        let mut short = json!({});
        for key in ["reason", "message"] {
            if let Some(text) = answer[key].as_str().filter(|text| !text.is_empty()) {
                short[key] = plain(text).into();
            }
        }
        if let Some(causes) = answer["details"]["causes"].as_array_mut() {
            for cause in causes.iter_mut() {
                cause["message"] = plain(cause["message"].as_str().unwrap_or_default()).into();
            }
            // Upstream walks maps in any order; the message is made of the causes.
            causes.sort_by_key(|cause| cause["field"].to_string() + &cause["message"].to_string());
            short["causes"] = causes.clone().into();
            short["message"] = Value::Null;
        }
        hide_allocations(&mut short);
        return short;
    }
    hide_allocations(&mut answer);
    strip(&mut answer);
    answer.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten().for_each(strip);
    answer
}

fn strip(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in ["uid", "creationTimestamp", "resourceVersion", "managedFields"] {
            metadata.remove(key);
        }
    }
}

/// Without the values of whole structs, which upstream shows in Go's words, without the difference of two pods.
fn plain(text: &str) -> String {
    const STRUCT: &str = " value: {";
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(STRUCT) {
        let (before, value) = rest.split_at(start + STRUCT.len());
        let end = value.find("}: ").or_else(|| value.rfind('}')).unwrap_or(value.len());
        out.push_str(before);
        rest = &value[end..];
    }
    out.push_str(rest);
    let uid = regex::Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").expect("a constant");
    let mut out = uid.replace_all(&out, "UID").into_owned();
    // Lists of conflicts are in any order; of what differs between two specs there is a whole text.
    if let Some(at) = out.find("\n- ").filter(|_| !out.contains("\n@@")) {
        out.truncate(at);
    }
    out
}

/// Addresses and ports nobody asked for.
fn hide_allocations(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                if matches!(key.as_str(), "lastPhaseTransitionTime" | "extra" | "deletionTimestamp" | "used") {
                    *value = "HIDDEN".into();
                }
                if matches!(key.as_str(), "nodePort" | "healthCheckNodePort")
                    && value.as_i64().is_some_and(|port| port > 30085)
                {
                    *value = "PORT".into();
                }
                hide_allocations(value);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(hide_allocations),
        Value::String(text) if uuid::Uuid::try_parse(text).is_ok() => *value = "UID".into(),
        Value::String(text)
            if text.strip_prefix("10.96.").is_some_and(|rest| {
                !rest.starts_with("0.")
                    && rest.len() < 8
                    && rest.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit())
            }) =>
        {
            *value = "ADDRESS".into();
        }
        _ => {}
    }
}

/// Tokens are asked for here only by those who are refused.
struct NoTokens;

impl Computed for NoTokens {}

struct Nobody;

impl Authenticator for Nobody {
    fn authenticate<'a>(
        &'a self,
        _parts: &'a http::request::Parts,
        _peer: &'a PeerCertificates,
    ) -> futures::future::BoxFuture<'a, Result<Option<UserInfo>, api::status::Status>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// A whole server on a store in memory, with the objects every cluster has and the namespace `golden`.
pub(crate) async fn server() -> ApiServer {
    server_with("10.96.0.0/16", &Selection::of(&["NodeRestriction"], &[])).await
}

/// The same, with another range of service addresses, or with other plugins.
async fn server_with(range: &str, selection: &Selection) -> ApiServer {
    let store = Arc::new(store::embedded::memory(store::Window::default(), crate::transform()).unwrap());
    let objects = Engine::new(store.clone(), Chain::default());
    let rbac = Rbac::new(store.clone());
    let node = Arc::new(NodeAuthorizer::new(objects.clone(), cluster_role_rules("system:node")));
    let surroundings = authorization::Surroundings { objects, node, rbac: rbac.clone() };
    let authorizer = Authorization::new(&Configuration::of([Mode::Node, Mode::Rbac]), surroundings).unwrap();
    let authorizer = Arc::new(authorizer);
    let resources = Resources::builtin(api::scheme::Scheme::builtin());
    let loopback = Loopback::default();
    let surroundings = Surroundings { rbac: Some(rbac), store: &store, resources: &resources, loopback: &loopback };
    let admission = admission::chain(selection, surroundings).unwrap();
    let engine = Engine::of(store, resources, admission, false);
    let mut computed = Computations::default();
    computed.add("", "serviceaccounts", "token", Arc::new(NoTokens));
    authentication::reviews::register(&mut computed, &Arc::new(Union::default()));
    authorization::reviews::register(&mut computed, &authorizer);
    let config = Config {
        settings: Default::default(),
        stopping: Default::default(),
        scheme: api::scheme::Scheme::builtin(),
        authenticator: Arc::new(Nobody),
        authorizer,
        computed,
        advertise_address: "192.0.2.1:6443".to_owned(),
        kubelets: Default::default(),
        proxy_client: None,
        health: Default::default(),
        documents: Box::new(|_| None),
        audit: None,
        limits: Default::default(),
        formats: Default::default(),
        metrics: Default::default(),
    };
    let server = ApiServer::new(config, engine.clone(), CancellationToken::new());
    let wanted = bootstrap::Config {
        service_ranges: vec![range.parse().unwrap()],
        secure_port: 6443,
        client_ca: None,
        request_header: None,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    };
    let client = server.client(UserInfo::new("system:apiserver", &["system:masters"]));
    bootstrap::apply(bootstrap::plan(&wanted, engine.as_ref()), &client).await.unwrap();
    assert!(loopback.set(client).is_ok(), "it is set once");
    for (target, object) in [
        ("/api/v1/namespaces", json!({"metadata": {"name": "golden"}})),
        ("/api/v1/namespaces/golden/serviceaccounts", json!({"metadata": {"name": "default"}})),
    ] {
        let (code, answer, _) = ask(&server, "POST", target, &object).await;
        assert_eq!(code, 201, "{answer}");
    }
    server
}

async fn ask(server: &ApiServer, method: &str, target: &str, body: &Value) -> (u16, Value, Vec<String>) {
    ask_as(server, "", method, target, body).await
}

/// As the administrator, who is `asker` ("USER GROUP...") for once if that is not empty.
async fn ask_as(
    server: &ApiServer,
    asker: &str,
    method: &str,
    target: &str,
    body: &Value,
) -> (u16, Value, Vec<String>) {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let bytes = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let mut request = Request::builder().method(method).uri(target).header("content-type", content_type);
    for (place, name) in asker.split_whitespace().enumerate() {
        request = request.header(if place == 0 { "impersonate-user" } else { "impersonate-group" }, name);
    }
    let request = request.body(Full::new(bytes).map_err(|never| match never {}).boxed()).unwrap();
    let response = server.handle(request, administrator()).await;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let warning = |value: &http::HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        let quoted = text.splitn(3, ' ').nth(2).unwrap_or_default();
        let quoted = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or_default();
        quoted.replace("\\\"", "\"")
    };
    let warnings = parts.headers.get_all("warning").iter().map(warning).collect();
    let answer = json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
    (parts.status.as_u16(), answer, warnings)
}

pub(crate) fn administrator() -> Caller {
    let mut user = UserInfo::new("admin", &["system:masters"]);
    user.extra.insert("authentication.kubernetes.io/credential-id".to_string(), vec!["X509".to_owned()]);
    Caller::InProcess(Arc::new(user))
}

/// Watches the object at a path from now on.
async fn watch(server: &ApiServer, target: &str) -> Body {
    let (target, _) = target.split_once('?').unwrap_or((target, ""));
    let (_, object, _) = ask(server, "GET", target, &Value::Null).await;
    let (collection, name) = target.rsplit_once('/').unwrap();
    let since = object["metadata"]["resourceVersion"].as_str().unwrap_or_else(|| panic!("{target}: {object}"));
    let target = format!("{collection}?watch=1&resourceVersion={since}&fieldSelector=metadata.name%3D{name}");
    let request = Request::builder().uri(target).body(Full::default().map_err(|never| match never {}).boxed()).unwrap();
    server.handle(request, administrator()).await.into_body()
}

/// The first events of a watch.
async fn events(mut body: Body, count: usize) -> Vec<Value> {
    let mut text = Vec::new();
    while text.iter().filter(|byte| **byte == b'\n').count() < count {
        let wait = std::time::Duration::from_secs(5);
        let Ok(Some(Ok(frame))) = tokio::time::timeout(wait, body.frame()).await else { break };
        text.extend_from_slice(&frame.into_data().unwrap());
    }
    let event = |event: Value| json!({"type": event["type"], "object": masked(event["object"].clone())});
    json::Deserializer::from_slice(&text).into_iter().map(|read| event(read.unwrap())).collect()
}

#[tokio::test]
async fn pods_are_answered_as_upstream_does() {
    check("pods", include_str!("../../testdata/answers/pods.jsonl")).await;
}

#[tokio::test]
async fn services_are_answered_as_upstream_does() {
    check("services", include_str!("../../testdata/answers/services.jsonl")).await;
}

#[tokio::test]
async fn workloads_are_answered_as_upstream_does() {
    check("workloads", include_str!("../../testdata/answers/workloads.jsonl")).await;
}

#[tokio::test]
async fn core_objects_are_answered_as_upstream_does() {
    check("core", include_str!("../../testdata/answers/core.jsonl")).await;
}

#[tokio::test]
async fn objects_of_other_groups_are_answered_as_upstream_does() {
    check("groups", include_str!("../../testdata/answers/groups.jsonl")).await;
}

#[tokio::test]
async fn storage_is_answered_as_upstream_does() {
    check("storage", include_str!("../../testdata/answers/storage.jsonl")).await;
}

#[tokio::test]
async fn devices_and_claims_are_answered_as_upstream_does() {
    check("devices", include_str!("../../testdata/answers/devices.jsonl")).await;
}

#[tokio::test]
async fn certificates_of_pods_are_answered_as_upstream_does() {
    check("podcertificates", include_str!("../../testdata/answers/podcertificates.jsonl")).await;
}

#[tokio::test]
async fn networks_and_policies_are_answered_as_upstream_does() {
    check("policies", include_str!("../../testdata/answers/policies.jsonl")).await;
}

#[tokio::test]
async fn details_are_answered_as_upstream_does() {
    check("details", include_str!("../../testdata/answers/details.jsonl")).await;
}

#[tokio::test]
async fn admission_answers_as_upstream_does() {
    check("admission", include_str!("../../testdata/answers/admission.jsonl")).await;
}

#[tokio::test]
async fn quotas_deletes_puts_and_certificates_are_answered_as_upstream_does() {
    check("more", include_str!("../../testdata/answers/more.jsonl")).await;
}

#[tokio::test]
async fn what_is_deleted_is_answered_and_watched_as_upstreams() {
    check("deletes", include_str!("../../testdata/answers/deletes.jsonl")).await;
}

#[tokio::test]
async fn rights_are_as_upstreams() {
    check("rights", include_str!("../../testdata/answers/rights.jsonl")).await;
}

#[tokio::test]
async fn who_needs_more_rights_than_to_the_request_is_refused_as_upstream_does() {
    check("asking", include_str!("../../testdata/answers/asking.jsonl")).await;
}

#[tokio::test]
async fn kinds_of_admission_flow_control_events_and_batch_are_answered_as_upstream_does() {
    check("kinds", include_str!("../../testdata/answers/kinds.jsonl")).await;
}

#[tokio::test]
async fn reviews_are_answered_as_upstream_does() {
    check("reviews", include_str!("../../testdata/answers/reviews.jsonl")).await;
}

#[tokio::test]
async fn jobs_select_and_label_as_upstreams() {
    check("job_labels", include_str!("../../testdata/answers/job_labels.jsonl")).await;
}

/// Upstream stores its phase then.
#[tokio::test]
async fn the_first_update_of_a_claim_is_written_whatever_it_changes() {
    let server = server().await;
    let claims = "/api/v1/namespaces/golden/persistentvolumeclaims";
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let (_, created, _) = ask(&server, "POST", claims, &json!({"metadata": {"name": "c"}, "spec": spec})).await;
    let mut revisions = vec![created["metadata"]["resourceVersion"].clone()];
    for _ in 0..2 {
        let (_, answer, _) = ask(&server, "PATCH", &format!("{claims}/c"), &json!({})).await;
        revisions.push(answer["metadata"]["resourceVersion"].clone());
    }
    assert_ne!(revisions[0], revisions[1]);
    assert_eq!(revisions[1], revisions[2]);
}

#[tokio::test]
async fn what_is_legal_but_unwise_is_warned_of_as_upstream_does() {
    check("warnings", include_str!("../../testdata/answers/warnings.jsonl")).await;
}

#[tokio::test]
async fn generations_count_what_upstreams_do() {
    check("generations", include_str!("../../testdata/answers/generations.jsonl")).await;
}

#[tokio::test]
async fn pod_security_of_older_versions_answers_as_upstreams() {
    check("pod_security_versions", include_str!("../../testdata/answers/pod_security_versions.jsonl")).await;
}

#[tokio::test]
async fn plugins_that_run_by_default_answer_as_upstreams() {
    check("default_plugins", include_str!("../../testdata/answers/default_plugins.jsonl")).await;
}

#[tokio::test]
async fn plugins_that_are_asked_for_answer_as_upstreams() {
    let plugins = [
        "NodeRestriction",
        "AlwaysPullImages",
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "LimitPodHardAntiAffinityTopology",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "OwnerReferencesPermissionEnforcement",
        "PodNodeSelector",
        "PodTolerationRestriction",
    ];
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/admission_configuration.yaml");
    let configurations = Configurations::read(&file).unwrap();
    let server = server_with("10.96.0.0/16", &Selection::new(&plugins, &[]).unwrap().configured(configurations)).await;
    let recorded = include_str!("../../testdata/answers/optional_plugins.jsonl");
    check_on(&server, "optional_plugins", recorded).await;
}

#[tokio::test]
async fn nodes_may_what_upstreams_may() {
    check("nodes", include_str!("../../testdata/answers/nodes.jsonl")).await;
}

const SERVICES: &str = "/api/v1/namespaces/golden/services";

fn node_port_service(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}})
}

#[tokio::test]
async fn services_made_at_once_share_no_address_and_no_port() {
    let server = server().await;
    let bodies: Vec<Value> = (0..200).map(|number| node_port_service(&format!("s{number}"))).collect();
    let answers = futures::future::join_all(bodies.iter().map(|body| ask(&server, "POST", SERVICES, body))).await;
    let (mut addresses, mut ports) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for (code, answer, _) in answers {
        assert_eq!(code, 201, "{answer}");
        assert!(addresses.insert(answer["spec"]["clusterIP"].to_string()), "{answer}");
        assert!(ports.insert(answer["spec"]["ports"][0]["nodePort"].to_string()), "{answer}");
    }
    // One of those who ask for the same gets it.
    let mut wanted = node_port_service("w");
    wanted["metadata"]["name"] = Value::Null;
    wanted["metadata"]["generateName"] = "w".into();
    wanted["spec"]["clusterIP"] = "10.96.0.33".into();
    let answers = futures::future::join_all((0..20).map(|_| ask(&server, "POST", SERVICES, &wanted))).await;
    assert_eq!(answers.iter().filter(|(code, ..)| *code == 201).count(), 1);
    let refusals: Vec<&Value> =
        answers.iter().filter(|(code, ..)| *code != 201).map(|(_, answer, _)| &answer["message"]).collect();
    assert!(
        refusals.iter().all(|why| why.as_str().unwrap_or_default().ends_with("provided IP is already allocated")),
        "{refusals:?}"
    );
}

#[tokio::test]
async fn a_full_range_gives_nothing_and_a_deleted_service_gives_back() {
    // Six addresses, the first of which is the API server's.
    let server = server_with("10.96.0.0/29", &Selection::of(&[], &[])).await;
    for number in 0..5 {
        let (code, answer, _) = ask(&server, "POST", SERVICES, &node_port_service(&format!("s{number}"))).await;
        assert_eq!(code, 201, "{answer}");
    }
    let (code, answer, _) = ask(&server, "POST", SERVICES, &node_port_service("more")).await;
    assert_eq!(code, 500, "{answer}");
    assert!(answer["message"].as_str().unwrap_or_default().ends_with("range is full"), "{answer}");
    let (code, gone, _) = ask(&server, "DELETE", &format!("{SERVICES}/s3"), &Value::Null).await;
    assert_eq!(code, 200, "{gone}");
    let (code, answer, _) = ask(&server, "POST", SERVICES, &node_port_service("more")).await;
    assert_eq!(code, 201, "{answer}");
    let (_, addresses, _) = ask(&server, "GET", "/apis/networking.k8s.io/v1/ipaddresses", &Value::Null).await;
    assert_eq!(addresses["items"].as_array().map(Vec::len), Some(6));
}

#[tokio::test]
async fn pods_made_at_once_do_not_exceed_a_quota() {
    let server = server().await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "7"}}});
    let (code, answer, _) = ask(&server, "POST", "/api/v1/namespaces/golden/resourcequotas", &quota).await;
    assert_eq!(code, 201, "{answer}");
    let pods: Vec<Value> = (0..30)
        .map(|number| json!({"metadata": {"name": format!("p{number}")}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
        .collect();
    let answers =
        futures::future::join_all(pods.iter().map(|pod| ask(&server, "POST", "/api/v1/namespaces/golden/pods", pod)))
            .await;
    let made = answers.iter().filter(|(code, ..)| *code == 201).count();
    assert_eq!(made, 7);
}

#[tokio::test]
async fn a_pod_gets_its_service_accounts_token() {
    let server = server().await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}], "initContainers": [{"name": "i", "image": "i"}]}});
    let (code, pod, _) = ask(&server, "POST", "/api/v1/namespaces/golden/pods", &pod).await;
    assert_eq!(code, 201, "{pod}");
    let volume = &pod["spec"]["volumes"][0];
    let name = volume["name"].as_str().unwrap_or_default();
    assert!(name.starts_with("kube-api-access-") && name.len() == "kube-api-access-xxxxx".len(), "{name}");
    assert_eq!(
        volume["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]})
    );
    let mount = json!([{"name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"], mount);
    assert_eq!(pod["spec"]["initContainers"][0]["volumeMounts"], mount);
}
