//! Bad input: each row is what kube-apiserver v1.37.0 answered to the same request.

use super::Cluster;

const NS: &str = "/api/v1/namespaces/default";

struct Row {
    method: &'static str,
    target: String,
    media_type: &'static str,
    body: Vec<u8>,
    code: u16,
    reason: &'static str,
    message: &'static str,
}

fn get(target: &str, code: u16, reason: &'static str, message: &'static str) -> Row {
    Row { method: "GET", target: target.to_string(), media_type: "", body: Vec::new(), code, reason, message }
}

fn send(
    method: &'static str,
    target: &str,
    body: impl Into<Vec<u8>>,
    code: u16,
    reason: &'static str,
    message: &'static str,
) -> Row {
    let media_type = match method {
        "PATCH" => "application/merge-patch+json",
        _ => "application/json",
    };
    Row { method, target: target.to_string(), media_type, body: body.into(), code, reason, message }
}

async fn check(rows: Vec<Row>) {
    let cluster = Cluster::new().await;
    cluster.config_map("a", "x").await;
    let before = cluster.server.engine().store.revision();
    for row in rows {
        let headers = [("content-type", row.media_type)];
        let headers = if row.media_type.is_empty() { &headers[..0] } else { &headers[..] };
        let answer = cluster.call(row.method, &row.target, headers, &row.body).await;
        let shown = format!("{} {}", row.method, row.target);
        assert_eq!(answer.code, row.code, "{shown}: {}", String::from_utf8_lossy(&answer.bytes));
        assert_eq!(answer.json()["reason"].as_str().unwrap_or_default(), row.reason, "{shown}");
        assert_eq!(answer.message(), row.message, "{shown}");
    }
    assert_eq!(cluster.server.engine().store.revision(), before, "nothing was changed");
}

#[tokio::test]
async fn bad_parameters_are_named() {
    let maps = |query: &str| format!("{NS}/configmaps?{query}");
    check(vec![
        get(&maps("limit=abc"), 400, "BadRequest", "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        get(&maps("timeoutSeconds=abc"), 400, "BadRequest", "strconv.ParseInt: parsing \"abc\": invalid syntax"),
        get(&maps("labelSelector=a%3Db,%3Dc"), 400, "BadRequest", "found '=', expected: identifier after ','"),
        get(&maps("labelSelector=a%20in%20x"), 400, "BadRequest", "unable to parse requirement: found 'x' expected: '('"),
        get(&maps("fieldSelector=foo"), 400, "BadRequest", "invalid selector: 'foo'; can't understand 'foo'"),
        get(
            &maps("fieldSelector=spec.x%3D1"), 400, "BadRequest",
            "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
        get(
            &maps("resourceVersion=abc"), 400, "BadRequest",
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        get(
            &maps("watch=1&resourceVersion=abc"), 500, "",
            "resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
        ),
        get(
            &maps("resourceVersionMatch=Exact"), 422, "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        get(
            &maps("resourceVersion=0&resourceVersionMatch=Exact"), 422, "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        get(
            &maps("sendInitialEvents=true"), 422, "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
        get(
            &maps("watch=1&sendInitialEvents=true"), 422, "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        get(
            &maps("continue=foo"), 400, "BadRequest",
            "invalid continue token: continue key is not valid: invalid character '~' looking for beginning of value",
        ),
        get(
            &maps("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi94In0"), 400, "BadRequest",
            "invalid continue token: continue key is not valid: ../x",
        ),
        get(
            &maps("continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0&resourceVersion=5"), 400, "BadRequest",
            "specifying resource version is not allowed when using continue",
        ),
        get(
            &maps("timeout=abc"), 400, "BadRequest",
            "invalid timeout specified in the request URL - time: invalid duration \"abc\"",
        ),
        send(
            "POST", &maps("dryRun=foo"), r#"{"metadata":{"name":"z"}}"#, 422, "Invalid",
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"foo\"]: supported values: \"All\"",
        ),
        send(
            "POST", &maps("fieldValidation=foo"), r#"{"metadata":{"name":"z"}}"#, 422, "Invalid",
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldValidation: Unsupported value: \"foo\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        send(
            "POST", &maps(&format!("fieldManager={}", "a".repeat(129))), r#"{"metadata":{"name":"z"}}"#, 422, "Invalid",
            "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes",
        ),
    ])
    .await;
}

#[tokio::test]
async fn path_tricks_lead_nowhere() {
    let none = "the server could not find the requested resource";
    let method = "the server does not allow this method on the requested resource";
    check(vec![
        get(&format!("{NS}/configmaps/.."), 400, "BadRequest", "Name parameter invalid: \"..\": may not be '..'"),
        get(&format!("{NS}/configmaps/..%2fx"), 404, "NotFound", none),
        get(&format!("{NS}/configmaps/a%2fb"), 404, "NotFound", none),
        get("/api/v1//configmaps", 404, "NotFound", none),
        get(&format!("{NS}/configmaps//x"), 404, "NotFound", none),
        get("/api/v1/foo", 404, "NotFound", none),
        get("/api/v2/pods", 404, "NotFound", none),
        get(&format!("{NS}/pods/x/foo"), 404, "NotFound", none),
        get(&format!("{NS}/pods/x/status/y"), 404, "NotFound", none),
        get(&format!("{NS}/nodes"), 404, "NotFound", none),
        get("/api/v1/pods/x", 404, "NotFound", none),
        send("POST", "/api/v1/pods", "{}", 405, "MethodNotAllowed", method),
        send("PUT", &format!("{NS}/pods"), "{}", 405, "MethodNotAllowed", method),
        send("POST", &format!("{NS}/pods/x"), "{}", 405, "MethodNotAllowed", method),
        send("POST", &format!("{NS}/pods/x/log"), "{}", 405, "MethodNotAllowed", method),
        send("OPTIONS", &format!("{NS}/pods"), "", 405, "MethodNotAllowed", method),
        send("FOO", &format!("{NS}/pods"), "", 405, "MethodNotAllowed", method),
    ])
    .await;
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_reason() {
    let maps = format!("{NS}/configmaps");
    let deep = format!("{{\"metadata\":{{\"name\":\"z\"}},\"data\":{}{}}}", "[".repeat(5000), "]".repeat(5000));
    let cluster = Cluster::new().await;
    let answer = cluster.call("POST", &maps, &[("content-type", "application/json")], deep.as_bytes()).await;
    assert_eq!((answer.code, answer.json()["reason"].as_str()), (400, Some("BadRequest")));
    let large = format!("{{\"metadata\":{{\"name\":\"z\"}},\"data\":{{\"k\":\"{}\"}}}}", "v".repeat(4 << 20));
    let answer = cluster.call("POST", &maps, &[("content-type", "application/json")], large.as_bytes()).await;
    assert_eq!((answer.code, answer.message().as_str()), (413, "Request entity too large: limit is 3145728"));
    let text = cluster.call("POST", &maps, &[("content-type", "text/plain")], b"{}").await;
    let expect = "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf";
    assert_eq!((text.code, text.message().as_str()), (415, expect));
    let text = cluster.call("PATCH", &format!("{maps}/a"), &[("content-type", "application/json")], b"{}").await;
    assert_eq!((text.code, text.message().as_str()), (415, "415: Unsupported Media Type"));
    for body in [&b"k8s\0\xff\xff\xff"[..], b"", b"k8s\0\x0a\x02\x0a\x7f"] {
        let answer =
            cluster.call("POST", &maps, &[("content-type", "application/vnd.kubernetes.protobuf")], body).await;
        assert_eq!(answer.code, 400, "{body:?}");
    }
    check(vec![
        send(
            "POST", &maps, "{", 400, "BadRequest",
            "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)",
        ),
        send(
            "POST", &maps, r#"{"metadata":{"name":"z"},"data":{"a":1}}"#, 400, "BadRequest",
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
        send(
            "POST", &maps, r#"{"metadata":{}}"#, 422, "Invalid",
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
        ),
        send(
            "POST", &maps, r#"{"metadata":{"name":"z","namespace":"other"}}"#, 400, "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
        ),
        send(
            "POST", &maps, r#"{"metadata":{"name":"z","resourceVersion":"5"}}"#, 500, "",
            "resourceVersion should not be set on objects to be created",
        ),
        send("PUT", &format!("{maps}/a"), r#"{"metadata":{"name":"b"}}"#, 400, "BadRequest", "the name of the object (b) does not match the name on the URL (a)"),
        send(
            "PUT", &format!("{maps}/a"), r#"{"metadata":{"name":"a","resourceVersion":"1"}}"#, 409, "Conflict",
            "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
        ),
        send("PATCH", &format!("{maps}/a"), "{", 400, "BadRequest", "invalid JSON patch"),
        send("PATCH", &format!("{maps}/a"), r#"{"metadata":{"name":"q"}}"#, 400, "BadRequest", "the name of the object (q) does not match the name on the URL (a)"),
        send("PATCH", &format!("{maps}/nope"), "{}", 404, "NotFound", "configmaps \"nope\" not found"),
        send(
            "DELETE", &format!("{maps}/a"), r#"{"propagationPolicy":"x"}"#, 422, "Invalid",
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"x\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
        ),
        send(
            "DELETE", &format!("{maps}/a"), r#"{"orphanDependents":true,"propagationPolicy":"Orphan"}"#, 422, "Invalid",
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
        ),
    ])
    .await;
}

#[tokio::test]
async fn unknown_fields_warn_are_ignored_or_refused() {
    let cluster = Cluster::new().await;
    let body = |name: &str| json::json!({"metadata": {"name": name}, "foo": 1});
    let maps = format!("{NS}/configmaps");
    let warned = cluster.post(&maps, body("w")).await.expect(201);
    assert_eq!(warned.headers["warning"], "299 - \"unknown field \\\"foo\\\"\"");
    let ignored = cluster.post(&format!("{maps}?fieldValidation=Ignore"), body("i")).await.expect(201);
    assert!(!ignored.headers.contains_key("warning"));
    let refused = cluster.post(&format!("{maps}?fieldValidation=Strict"), body("s")).await.expect(400);
    assert!(refused.message().contains("strict decoding error: unknown field \"foo\""), "{}", refused.message());
}

#[tokio::test]
async fn a_path_that_begins_with_two_slashes_leads_nowhere() {
    let cluster = Cluster::new().await;
    for target in ["//api/v1/pods", "//version", "//"] {
        assert_eq!(cluster.get(target).await.expect(404).bytes, "404 page not found\n", "{target}");
    }
}

#[tokio::test]
async fn a_path_that_cannot_be_unescaped_is_no_request() {
    let cluster = Cluster::new().await;
    for target in ["/api/v1/namespaces/%zz", "/version%", "/%4", "/%%20"] {
        let answer = cluster.get(target).await.expect(400);
        assert_eq!(
            (&answer.bytes[..], &answer.headers["connection"]),
            (&b"400 Bad Request"[..], &"close".parse().unwrap())
        );
    }
    cluster.get("/version?a=%zz").await.expect(200);
    cluster.get("/%76ersion").await.expect(200);
}
