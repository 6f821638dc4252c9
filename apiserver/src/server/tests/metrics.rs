//! `/metrics` and `/metrics/slis`: upstream's names, types and labels, and numbers of what really happened.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use json::json;

use super::Cluster;
use crate::admission::Operation;
use crate::admission::metrics::{Called, Conditions, Evaluated, Metrics, Step};
use crate::authentication::UserInfo;

async fn text(cluster: &Cluster, path: &str) -> String {
    String::from_utf8(cluster.get(path).await.expect(200).bytes.to_vec()).unwrap()
}

/// The value of one series.
#[track_caller]
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
}

/// Name, type and labels of every family.
fn families(text: &str) -> BTreeSet<String> {
    let mut families: BTreeMap<&str, (&str, BTreeSet<&str>)> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            current = name;
            families.insert(name, (kind, BTreeSet::new()));
        } else if let Some((_, rest)) = line.split_once('{') {
            let labels = rest.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name);
            families.entry(current).or_default().1.extend(labels.filter(|name| *name != "le"));
        }
    }
    let row = |(name, (kind, labels)): (&str, (&str, BTreeSet<&str>))| {
        let labels: Vec<&str> = labels.into_iter().collect();
        format!("{name} {kind} {}", labels.join(",")).trim_end().to_owned()
    };
    families.into_iter().map(row).collect()
}

/// Something of everything that is counted.
async fn busy() -> Cluster {
    let cluster = Cluster::new().await;
    cluster.post("/api/v1/namespaces/default/configmaps", json!({"metadata": {"name": "a"}})).await.expect(201);
    cluster.get("/api/v1/namespaces/default/configmaps/a").await.expect(200);
    cluster.get("/api/v1/endpoints").await.expect(200);
    cluster.get("/readyz").await.expect(200);
    let own = json!({"group": "apps", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1});
    let own = json!({"metadata": {"name": "v1.apps"}, "spec": own});
    cluster.post("/apis/apiregistration.k8s.io/v1/apiservices", own).await.expect(201);
    let root = cluster.server.client(UserInfo::new("root", &["system:masters"]));
    root.apiserver_version().await.expect("one of this process");
    // Masters wait for nothing; others might have to.
    cluster.call("GET", "/version", &[("impersonate-user", "joe")], b"").await.expect(403);
    cluster
}

#[tokio::test]
async fn families_are_named_typed_and_labelled_as_upstreams() {
    let cluster = busy().await;
    let mut watch = cluster.watch("/api/v1/configmaps?watch=1").await;
    watch.next().await.expect("what there was");
    let shown = families(&(text(&cluster, "/metrics").await + &text(&cluster, "/metrics/slis").await));
    let recorded: BTreeSet<String> = include_str!("../../../testdata/metrics.txt").lines().map(str::to_owned).collect();
    let strange: Vec<&String> = shown.difference(&recorded).collect();
    assert!(strange.is_empty(), "upstream has no {strange:#?}");
    // Callers in this process are nobody's to authenticate, and a counter without a series is not shown.
    let missing = recorded.difference(&shown).filter(|row| !row.starts_with("authenticat"));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn families_of_admission_are_named_typed_and_labelled_as_upstreams() {
    let metrics = Metrics::default();
    let (took, operation, step) = (Duration::ZERO, Operation::Create, Step::Admit);
    metrics.step(step).observe(operation, false, took);
    metrics.plugin("p", step).observe(operation, false, took);
    metrics.called("w", step, operation, took, Called::Failed { code: 503, ignored: false });
    metrics.called("w", step, operation, took, Called::Failed { code: 503, ignored: true });
    metrics.matched(&Conditions { name: "w", kind: "webhook", step, operation }, took, true, true);
    metrics.validated("p", "b", Evaluated::Value, "deny", took);
    metrics.mutated("p", "b", Evaluated::Value, took);
    let shown = families(&component::metrics::encode([&metrics.registry()]).unwrap());
    let recorded = include_str!("../../../testdata/admission_metrics.txt").lines().map(str::to_owned);
    assert_eq!(shown, recorded.collect());
}

#[tokio::test]
async fn numbers_are_of_what_happened() {
    let cluster = busy().await;
    let shown = text(&cluster, "/metrics").await;
    let get = "component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"configmaps\",scope=\"resource\",subresource=\"\",verb=\"GET\",version=\"v1\"";
    assert_eq!(value(&shown, &format!("apiserver_request_total{{code=\"200\",{get}}}")), 1.0);
    assert_eq!(value(&shown, &format!("apiserver_request_duration_seconds_count{{{get}}}")), 1.0);
    let short = get.replace("dry_run=\"\",", "");
    assert_eq!(value(&shown, &format!("apiserver_request_sli_duration_seconds_count{{{short}}}")), 1.0);
    assert!(value(&shown, &format!("apiserver_response_sizes_sum{{{short}}}")) > 100.0);
    assert_eq!(value(&shown, "apiserver_resource_objects{group=\"\",resource=\"configmaps\"}"), 1.0);
    assert_eq!(value(&shown, "apiserver_resource_objects{group=\"\",resource=\"namespaces\"}"), 2.0);
    assert!(value(&shown, "apiserver_resource_size_estimate_bytes{group=\"\",resource=\"configmaps\"}") > 50.0);
    let created = "{group=\"\",operation=\"create\",resource=\"configmaps\"}";
    assert_eq!(value(&shown, &format!("etcd_requests_total{created}")), 1.0);
    assert_eq!(value(&shown, &format!("etcd_request_duration_seconds_count{created}")), 1.0);
    assert_eq!(value(&shown, "apiserver_storage_size_bytes{storage_cluster_id=\"etcd-0\"}"), 0.0);
    let other = "{decision=\"allowed\",mode=\"user-info\"}";
    assert_eq!(value(&shown, &format!("apiserver_impersonation_attempts_total{other}")), 1.0);
    assert_eq!(value(&shown, &format!("apiserver_impersonation_authorization_attempts_total{other}")), 2.0);
    let asked = "rest_client_requests_total{code=\"200\",host=\"192.0.2.1:6443\",method=\"GET\"}";
    assert_eq!(value(&shown, asked), 1.0);
    assert_eq!(value(&shown, "aggregator_unavailable_apiservice{name=\"v1.apps\"}"), 0.0);
    let slis = text(&cluster, "/metrics/slis").await;
    assert_eq!(value(&slis, "kubernetes_healthcheck{name=\"ping\",type=\"readyz\"}"), 1.0);
    assert_eq!(value(&slis, "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"readyz\"}"), 1.0);
}

#[tokio::test]
async fn a_watch_is_counted_until_its_body_goes() {
    let cluster = busy().await;
    let series = "apiserver_longrunning_requests{component=\"apiserver\",group=\"\",resource=\"configmaps\",scope=\"cluster\",subresource=\"\",verb=\"WATCH\",version=\"v1\"}";
    let mut watch = cluster.watch("/api/v1/configmaps?watch=1").await;
    watch.next().await.expect("what there was");
    let shown = text(&cluster, "/metrics").await;
    assert_eq!(value(&shown, series), 1.0);
    let events = "{group=\"\",resource=\"configmaps\",version=\"v1\"}";
    assert_eq!(value(&shown, &format!("apiserver_watch_events_total{events}")), 1.0);
    assert_eq!(value(&shown, &format!("apiserver_watch_events_sizes_count{events}")), 1.0);
    drop(watch);
    assert_eq!(value(&text(&cluster, "/metrics").await, series), 0.0);
}
