//! `/flagz`, `/statusz`, `/debug/*` and the checks, as a client sees them.

use super::Cluster;
use crate::server::settings::Settings;

async fn text(cluster: &Cluster, method: &str, path: &str, body: &[u8]) -> (u16, String) {
    let answer = cluster.call(method, path, &[], body).await;
    (answer.code, String::from_utf8(answer.bytes.to_vec()).unwrap())
}

#[tokio::test]
async fn flags_are_shown_as_text_and_as_an_object() {
    let flags = vec![("goaway-chance".to_owned(), "0".to_owned())];
    let cluster = Cluster::under(Settings { flags, ..Settings::default() }).await;
    assert!(text(&cluster, "GET", "/flagz", b"").await.1.ends_with("\ngoaway-chance:0\n"));
    let object = [("accept", "application/json;v=v1beta1;g=config.k8s.io;as=Flagz")];
    let answer = cluster.call("GET", "/flagz", &object, b"").await.expect(200);
    assert_eq!(answer.headers["content-type"], "application/json;g=config.k8s.io;v=v1beta1;as=Flagz");
    assert!(!answer.headers.contains_key("warning"));
    assert_eq!(answer.json()["apiVersion"], "config.k8s.io/v1beta1");
    assert_eq!(answer.json()["flags"]["goaway-chance"], "0");
    let old = [("accept", "application/yaml;v=v1alpha1;g=config.k8s.io;as=Statusz")];
    let answer = cluster.call("GET", "/statusz", &old, b"").await.expect(200);
    let deprecated = "299 - \"This version of the statusz endpoint is deprecated. Please use a newer version.\"";
    assert_eq!(answer.headers["warning"], deprecated);
    let refused = cluster.call("GET", "/flagz", &[("accept", "application/json")], b"").await.expect(406);
    let accepted = "only the following media types are accepted: application/json, application/yaml, text/plain";
    assert_eq!(refused.message(), accepted);
}

#[tokio::test]
async fn debugging_is_there_with_profiling_and_dumps_always() {
    let cluster = Cluster::new().await;
    assert_eq!(text(&cluster, "GET", "/debug/pprof/heap", b"").await, (404, "Unknown profile\n".to_owned()));
    assert!(text(&cluster, "GET", "/debug/pprof/", b"").await.1.contains("/debug/pprof/"));
    assert_eq!(text(&cluster, "GET", "/debug/flags/v", b"").await, (406, "unsupported http method\n".to_owned()));
    let set = "successfully set klog.logging.verbosity to 2\n".to_owned();
    assert_eq!(text(&cluster, "PUT", "/debug/flags/v", b"2").await, (200, set));
    let without = Cluster::under(Settings { profiling: false, ..Settings::default() }).await;
    let missing = (404, "404 page not found\n".to_owned());
    assert_eq!(text(&without, "GET", "/debug/pprof/", b"").await, missing);
    assert_eq!(text(&without, "PUT", "/debug/flags/v", b"2").await, missing);
    let (code, levels) = text(&without, "GET", "/debug/api_priority_and_fairness/dump_priority_levels", b"").await;
    assert!(
        code == 200 && levels.contains("\nexempt,            0,            false,  false,       0,               1, "),
        "{levels}"
    );
    let (_, requests) =
        text(&without, "GET", "/debug/api_priority_and_fairness/dump_requests?includeRequestDetails=1", b"").await;
    assert!(requests.starts_with("PriorityLevelName, FlowSchemaName, QueueIndex, "), "{requests}");
    assert!(requests.trim_end().ends_with("APIVersion, Resource, SubResource"), "nobody waits: {requests}");
}

#[tokio::test]
async fn the_root_names_what_is_there() {
    let cluster = Cluster::new().await;
    let shown = cluster.get("/").await.expect(200).json();
    let paths: Vec<&str> = shown["paths"].as_array().unwrap().iter().filter_map(|path| path.as_str()).collect();
    for path in ["/flagz", "/statusz", "/livez/ping", "/readyz/shutdown", "/metrics/slis"] {
        assert!(paths.contains(&path), "{path}");
    }
    assert!(!paths.contains(&"/livez/shutdown") && !paths.contains(&"/openid/v1/jwks"));
}
