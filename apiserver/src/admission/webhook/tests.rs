//! Rules as a table, answers as upstream reads them, refusals in its words.

use json::{Value, json};

use super::call::denied;
use super::review::{Answer, Unacceptable};
use super::rules::{Rule, Subject};

fn rule(operations: &[&str], groups: &[&str], versions: &[&str], resources: &[&str], scope: &str) -> Rule {
    Rule::read(&json!({
        "operations": operations, "apiGroups": groups, "apiVersions": versions, "resources": resources, "scope": scope,
    }))
}

/// `GROUP/VERSION/RESOURCE[/SUBRESOURCE]` in a namespace or none.
fn subject<'a>(operation: &'a str, path: &'a str, namespace: &'a str) -> Subject<'a> {
    let parts: Vec<&str> = path.split('/').collect();
    let subresource = parts.get(3).copied().unwrap_or_default();
    Subject { operation, group: parts[0], version: parts[1], resource: parts[2], subresource, namespace, name: "" }
}

#[test]
fn a_rule_matches_what_all_its_parts_match() {
    let any = ["*"].as_slice();
    #[rustfmt::skip]
    let table: &[(Rule, Subject<'_>, bool)] = &[
        (rule(&["CREATE"], &[""], &["v1"], &["pods"], "*"), subject("CREATE", "/v1/pods", "n"), true),
        (rule(&["CREATE"], &[""], &["v1"], &["pods"], "*"), subject("UPDATE", "/v1/pods", "n"), false),
        (rule(&["CREATE", "UPDATE"], &[""], &["v1"], &["pods"], "*"), subject("UPDATE", "/v1/pods", "n"), true),
        (rule(any, &["apps"], any, &["deployments"], "*"), subject("DELETE", "apps/v1/deployments", "n"), true),
        (rule(any, &["apps"], any, &["deployments"], "*"), subject("DELETE", "/v1/deployments", "n"), false),
        (rule(any, any, &["v1beta1"], any, "*"), subject("CREATE", "apps/v1/deployments", "n"), false),
        // Subresources are named, or meant by a star behind the slash only.
        (rule(any, any, any, any, "*"), subject("UPDATE", "/v1/pods/status", "n"), false),
        (rule(any, any, any, &["*/*"], "*"), subject("UPDATE", "/v1/pods/status", "n"), true),
        (rule(any, any, any, &["*/*"], "*"), subject("UPDATE", "/v1/pods", "n"), true),
        (rule(any, any, any, &["pods/*"], "*"), subject("CONNECT", "/v1/pods/exec", "n"), true),
        (rule(any, any, any, &["pods/*"], "*"), subject("CREATE", "/v1/pods", "n"), true),
        (rule(any, any, any, &["pods/exec"], "*"), subject("CONNECT", "/v1/pods/attach", "n"), false),
        (rule(any, any, any, &["*/scale"], "*"), subject("UPDATE", "apps/v1/deployments/scale", "n"), true),
        // A namespace is of the cluster, though its namespace is itself.
        (rule(any, any, any, any, "Namespaced"), subject("CREATE", "/v1/pods", "n"), true),
        (rule(any, any, any, any, "Namespaced"), subject("CREATE", "/v1/nodes", ""), false),
        (rule(any, any, any, any, "Namespaced"), subject("CREATE", "/v1/namespaces", "n"), false),
        (rule(any, any, any, any, "Cluster"), subject("CREATE", "/v1/namespaces", "n"), true),
        (rule(any, any, any, any, "Cluster"), subject("CREATE", "/v1/pods", "n"), false),
        (rule(any, any, any, any, "Cluster"), subject("CREATE", "/v1/nodes", ""), true),
        (rule(any, any, any, any, "Elsewhere"), subject("CREATE", "/v1/nodes", ""), false),
    ];
    for (rule, subject, expected) in table {
        assert_eq!(rule.matches(*subject), *expected, "{rule:?} {subject:?}");
    }
}

#[test]
fn a_refusal_is_told_in_upstreams_words() {
    let text = |result: Value| {
        let status = denied("x.example.com", Some(&result));
        (status.code, status.reason.as_str().to_owned(), status.message)
    };
    let message = |rest: &str| format!("admission webhook \"x.example.com\" denied the request{rest}");
    assert_eq!(denied("x.example.com", None).message, message(" without explanation"));
    assert_eq!(denied("x.example.com", None).code, 400);
    assert_eq!(text(json!({"message": "no way"})), (400, String::new(), message(": no way")));
    assert_eq!(text(json!({"reason": "Forbidden"})), (400, "Forbidden".to_owned(), message(": Forbidden")));
    assert_eq!(text(json!({"code": 200, "status": "Success"})), (400, String::new(), message(" without explanation")));
    assert_eq!(
        text(json!({"code": 418, "reason": "Teapot", "message": "tea"})),
        (418, "Teapot".to_owned(), message(": tea"))
    );
}

fn review(version: &str, response: &Value) -> Vec<u8> {
    let api_version = format!("admission.k8s.io/{version}");
    json!({"kind": "AdmissionReview", "apiVersion": api_version, "response": response}).to_string().into_bytes()
}

fn fault(bytes: &[u8], version: &str, is_mutating: bool) -> String {
    match Answer::read(bytes, "u", version, is_mutating) {
        Ok(answer) => format!("accepted: {answer:?}"),
        Err(Unacceptable::Malformed(why)) => format!("malformed: {why}"),
        Err(Unacceptable::Invalid(why)) => format!("invalid: {why}"),
    }
}

#[test]
fn an_answer_is_held_to_the_question() {
    // What upstream says to the same answers (asked of kube-apiserver v1.37.0).
    #[rustfmt::skip]
    let table: &[(Value, bool, &str)] = &[
        (Value::Null, false, "invalid: webhook response was absent"),
        (json!({"uid": "x", "allowed": true}), false, "invalid: expected response.uid=\"u\", got \"x\""),
        (json!({"uid": "u", "allowed": "yes"}), false,
         "malformed: json: cannot unmarshal string into Go struct field AdmissionResponse.response.allowed of type bool"),
        (json!({"uid": "u", "allowed": true, "patch": "W10="}), false, "invalid: validating webhook may not return response.patch"),
        (json!({"uid": "u", "allowed": true, "patchType": "JSONPatch"}), false,
         "invalid: validating webhook may not return response.patchType"),
        (json!({"uid": "u", "allowed": true, "patch": "W10="}), true,
         "invalid: webhook returned response.patch but not response.patchType"),
        (json!({"uid": "u", "allowed": true, "patchType": "JSONPatch"}), true,
         "invalid: webhook returned response.patchType but not response.patch"),
        (json!({"uid": "u", "allowed": true, "patch": "W10=", "patchType": ""}), true,
         "invalid: webhook returned invalid response.patchType of \"\""),
        (json!({"uid": "u", "allowed": true, "patch": "%%%", "patchType": "JSONPatch"}), true,
         "malformed: illegal base64 data at input byte 0"),
    ];
    for (response, is_mutating, expected) in table {
        assert_eq!(fault(&review("v1", response), "v1", *is_mutating), *expected);
    }
}

#[test]
fn an_answer_of_another_kind_is_refused() {
    let yes = json!({"uid": "u", "allowed": true});
    assert_eq!(
        fault(&review("v1beta1", &yes), "v1", false),
        "malformed: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion"
    );
    let other = json!({"kind": "Other", "apiVersion": "admission.k8s.io/v1", "response": yes}).to_string();
    assert_eq!(
        fault(other.as_bytes(), "v1", false),
        "malformed: no kind \"Other\" is registered for version \"admission.k8s.io/v1\" in scheme \"pkg/runtime/scheme.go:111\""
    );
    let unnamed = json!({"response": yes}).to_string();
    assert_eq!(
        fault(unnamed.as_bytes(), "v1", false),
        "invalid: expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got /, Kind="
    );
    assert!(fault(unnamed.as_bytes(), "v1beta1", false).starts_with("accepted"));
    assert!(fault(b"garbage", "v1", false).starts_with("malformed: couldn't get version/kind; json parse error: "));
    assert!(fault(b"[]", "v1", false).contains("cannot unmarshal array into Go value of type struct"));
}

#[test]
fn v1beta1_takes_the_type_of_a_patch_for_granted() {
    let response = json!({"uid": "other", "allowed": true, "patch": "W10="});
    let answer = Answer::read(&review("v1beta1", &response), "u", "v1beta1", true).unwrap();
    assert_eq!((answer.patch.as_slice(), answer.patch_type.as_str()), (b"[]".as_slice(), "JSONPatch"));
}
