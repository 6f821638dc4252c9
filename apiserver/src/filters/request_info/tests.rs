use super::*;

fn parse(method: &str, target: &str) -> RequestInfo {
    let uri: Uri = target.parse().unwrap();
    RequestInfo::parse(&method.parse().unwrap(), &uri, &Query::parse(uri.query().unwrap_or_default())).unwrap()
}

/// verb, namespace, resource, subresource, name
fn check(method: &str, target: &str, expect: [&str; 5]) {
    let info = parse(method, target);
    assert!(info.is_resource_request, "{target}");
    let got = [&info.verb, &info.namespace, &info.resource, &info.subresource, &info.name];
    assert_eq!(got, expect, "{method} {target}");
}

#[test]
fn resource_paths_are_read_as_upstream_reads_them() {
    check("GET", "/api/v1/namespaces", ["list", "", "namespaces", "", ""]);
    check("GET", "/api/v1/namespaces/other", ["get", "other", "namespaces", "", "other"]);
    check("GET", "/api/v1/namespaces/other/status", ["get", "other", "namespaces", "status", "other"]);
    check("PUT", "/api/v1/namespaces/other/finalize", ["update", "other", "namespaces", "finalize", "other"]);
    check("GET", "/api/v1/namespaces/other/pods", ["list", "other", "pods", "", ""]);
    check("GET", "/api/v1/namespaces/other/pods/foo", ["get", "other", "pods", "", "foo"]);
    check("HEAD", "/api/v1/namespaces/other/pods/foo", ["get", "other", "pods", "", "foo"]);
    check("POST", "/api/v1/namespaces/other/pods/foo/exec", ["create", "other", "pods", "exec", "foo"]);
    check("GET", "/api/v1/nodes/n/proxy/logs/x", ["get", "", "nodes", "proxy", "n"]);
    check("DELETE", "/api/v1/namespaces/other/pods", ["deletecollection", "other", "pods", "", ""]);
    check("GET", "/api/v1/watch/namespaces/other/pods", ["watch", "other", "pods", "", ""]);
    check("GET", "/api/v1/watch/pods/foo", ["watch", "", "pods", "", "foo"]);
    check("GET", "/api/v1/pods?watch=1", ["watch", "", "pods", "", ""]);
    check("GET", "/api/v1/pods?watch=0", ["list", "", "pods", "", ""]);
    check("GET", "/api/v1/pods?watch", ["watch", "", "pods", "", ""]);
    check("GET", "/api/v1/pods?fieldSelector=metadata.name%3Dx", ["list", "", "pods", "", "x"]);
    check("GET", "/apis/apps/v1/namespaces/other/deployments/d/scale", ["get", "other", "deployments", "scale", "d"]);
    check("GET", "/api/v1//configmaps", ["get", "", "", "", "configmaps"]);
}

#[test]
fn other_paths_are_no_resources() {
    for path in ["/", "/api", "/api/v1", "/apis/apps/v1", "/version", "/healthz/ping/x", "/foo/bar/baz"] {
        let info = parse("GET", path);
        assert!(!info.is_resource_request, "{path}");
        assert_eq!(info.verb, "get");
    }
}

#[test]
fn a_verb_with_nothing_behind_it_is_an_error() {
    let uri: Uri = "/api/v1/watch".parse().unwrap();
    assert!(RequestInfo::parse(&Method::GET, &uri, &Query::default()).is_err());
}
