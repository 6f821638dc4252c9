use json::json;

use super::policy::{Level, Policy};
use super::*;
use crate::registry::testing::Fixture;

const POLICY: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: [system:apiserver]}
- {level: None, nonResourceURLs: ['/readyz*']}
- {level: RequestResponse, namespaces: [wl], resources: [{group: '', resources: [configmaps, pods/log]}]}
- {level: Request, resources: [{group: apps, resources: ['*/scale'], resourceNames: [web]}], omitStages: [ResponseStarted]}
- {level: Metadata, userGroups: [devs], verbs: [get], omitManagedFields: true}
";

/// Events go to this file, at once.
fn audit(policy: &str, path: &std::path::Path) -> Arc<Audit> {
    let (format, rotation) = (Format::default(), Rotation::default());
    let log = LogConfig { path: path.to_path_buf(), format, rotation, mode: Mode::Blocking, max_event_size: None };
    let policy = PolicyFile { path: "policy.yaml".into(), text: policy.to_owned() };
    let config = Config { policy, log: Some(log), webhook: None };
    let objects: Arc<dyn Objects> = Arc::new(Fixture::new([]));
    Audit::new(&config, &objects).expect("a policy and a file")
}

fn about(verb: &str, target: &str) -> Attributes {
    let mut parts = target.split(' ');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (namespace, api_group, resource, subresource, name) = (next(), next(), next(), next(), next());
    Attributes {
        user: UserInfo::new("jane", &["devs"]),
        verb: verb.to_owned(),
        namespace,
        api_group: if api_group == "-" { String::new() } else { api_group },
        resource,
        subresource: if subresource == "-" { String::new() } else { subresource },
        name,
        is_resource_request: true,
        ..Attributes::default()
    }
}

#[test]
fn the_first_rule_about_a_request_decides() {
    let policy = Policy::parse(POLICY).unwrap();
    let level = |request: &Attributes| policy.decide(request).level;
    assert_eq!(level(&about("list", "wl - configmaps - -")), Level::RequestResponse);
    assert_eq!(level(&about("get", "wl - pods log p")), Level::RequestResponse);
    assert_eq!(level(&about("get", "wl - pods - p")), Level::Metadata, "pods are not pods/log");
    assert_eq!(level(&about("update", "x apps deployments scale web")), Level::Request);
    assert_eq!(level(&about("update", "x apps deployments scale other")), Level::None);
    let path = |path: &str| Attributes { path: path.to_owned(), is_resource_request: false, ..about("get", "") };
    assert_eq!(level(&path("/readyz/etcd")), Level::None);
    assert_eq!(level(&path("/version")), Level::Metadata);
    let decision = policy.decide(&about("update", "x apps deployments scale web"));
    assert_eq!(decision.omit_stages, [Stage::ResponseStarted, Stage::RequestReceived]);
    assert!(policy.decide(&path("/version")).omit_managed_fields);
}

#[test]
fn a_policy_that_says_nothing_clear_is_refused() {
    let refusal = |rules: &str| {
        Policy::parse(&format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{rules}]\n")).unwrap_err()
    };
    assert_eq!(refusal(""), "loaded illegal policy with 0 rules");
    assert!(refusal("{level: None, nonResourceURLs: [x]}").contains("must begin with a '/' character"));
    assert!(refusal("{level: None, nonResourceURLs: ['/*/x']}").contains("must be the final character"));
    assert!(refusal("{level: None, nonResourceURLs: [/x], namespaces: [a]}").contains("both regular resources"));
    assert!(refusal("{level: None, omitStages: [Nope]}").contains("allowed stages are"));
}

/// What upstream v1.37 wrote for the same request, times and ids taken out.
const RECORDED: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"id","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/wl/configmaps/one","verb":"get","user":{"username":"admin","groups":["system:masters","system:authenticated"]},"impersonatedUser":{"username":"jane","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"userAgent":"kubectl/v1.37.0 (linux/amd64) kubernetes/unknown","objectRef":{"resource":"configmaps","namespace":"wl","name":"one","apiVersion":"v1"},"responseStatus":{"metadata":{},"status":"Failure","message":"configmaps \"one\" not found","reason":"NotFound","details":{"name":"one","kind":"configmaps"},"code":404},"responseObject":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"configmaps \"one\" not found","reason":"NotFound","details":{"name":"one","kind":"configmaps"},"code":404},"requestReceivedTimestamp":"T","stageTimestamp":"T","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":""}}"#;

#[tokio::test]
async fn an_event_is_written_as_upstream_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let audit = audit(POLICY, &path);
    let request = http::Request::builder()
        .uri("/api/v1/namespaces/wl/configmaps/one")
        .header("user-agent", "kubectl/v1.37.0 (linux/amd64) kubernetes/unknown");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let attributes = Attributes {
        user: UserInfo::new("admin", &["system:masters"]),
        api_version: "v1".to_owned(),
        ..about("get", "wl - configmaps - one")
    };
    let peer = "127.0.0.1:5000".parse().ok();
    let record = audit.begin(&HeaderValue::from_static("id"), &attributes, &parts, peer).unwrap();
    record.impersonated(&UserInfo::new("jane", &[]));
    record.annotate("authorization.k8s.io/decision", "allow");
    record.annotate("authorization.k8s.io/reason", "");
    let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "configmaps \"one\" not found", "reason": "NotFound",
        "details": {"name": "one", "kind": "configmaps"}, "code": 404});
    let mut response = Response::new(Body::from(status.to_string().into_bytes()));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    record.answered(response, false);

    let written = std::fs::read_to_string(&path).unwrap();
    let times = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z").unwrap();
    assert_eq!(times.replace_all(&written, "T"), format!("{RECORDED}\n"), "RequestReceived is left out by the policy");
}

#[tokio::test]
async fn a_stream_is_complete_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let audit = audit("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n", &path);
    let (parts, ()) = http::Request::builder().uri("/x").body(()).unwrap().into_parts();
    let record = audit.begin(&HeaderValue::from_static("id"), &about("watch", "wl - pods"), &parts, None).unwrap();
    let body = Body::stream(futures::stream::pending());
    let response = record.answered(Response::new(body), true);
    let stages = || {
        let text = std::fs::read_to_string(&path).unwrap();
        text.lines().map(|line| json::from_str::<Value>(line).unwrap()["stage"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(stages(), ["RequestReceived", "ResponseStarted"]);
    drop(response);
    assert_eq!(stages(), ["RequestReceived", "ResponseStarted", "ResponseComplete"]);
}
