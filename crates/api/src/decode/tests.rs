use json::{Value, json};

use super::{FieldValidation, Syntax, Target, decode, decode_untyped, normalize};

/// Bodies and what a kube-apiserver v1.37.0 answered to them (`hack/upstream`), one object a line.
const RECORDED: &str = include_str!("../../testdata/decode.jsonl");

fn target(kind: &str) -> Target<'static> {
    match kind {
        "deployments" => Target::builtin("apps", "v1", "Deployment"),
        "secrets" => Target::builtin("", "v1", "Secret"),
        "leases" => Target::builtin("coordination.k8s.io", "v1", "Lease"),
        "customresourcedefinitions" => Target::builtin("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        _ => None,
    }
    .unwrap()
}

#[test]
fn bad_bodies_get_upstreams_answers() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case: Value = json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        let body: Vec<u8> = match case["repeat"].as_u64() {
            Some(times) => text("body").replace("OPEN", &text("open").repeat(times as usize)).into_bytes(),
            None => text("body")
                .chars()
                .flat_map(|c| if c as u32 > 0xf0 { vec![c as u8] } else { c.to_string().into_bytes() })
                .collect(),
        };
        let syntax = if text("type").ends_with("yaml") { Syntax::Yaml } else { Syntax::Json };
        let validation = FieldValidation::from_parameter(text("validation")).unwrap();
        let found = match decode(&body, syntax, target(text("resource")), validation) {
            Ok(decoded) => json!({ "warnings": decoded.warnings }),
            Err(error) => json!({ "message": error.to_string() }),
        };
        let expected = if case["status"] == 400 {
            json!({ "message": text("message") })
        } else {
            json!({ "warnings": case["warnings"] })
        };
        // The words for broken YAML are our parser's; the kind of answer is upstream's.
        let same_kind = |text: &str| {
            text.ends_with("yaml: ") && found["message"].as_str().is_some_and(|found| found.starts_with(text))
        };
        if found != expected && !same_kind(text("message")) {
            wrong.push(format!("{line}\n   got {found}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn check(kind: &str, body: Value, expected: Value) {
    let decoded = decode(body.to_string().as_bytes(), Syntax::Json, target(kind), FieldValidation::Strict).unwrap();
    assert_eq!(json::to_string_pretty(&decoded.object).unwrap(), json::to_string_pretty(&expected).unwrap());
    // What was normal stays so.
    let again = normalize(&decoded.object, target(kind), FieldValidation::Strict).unwrap();
    assert_eq!(again.object, decoded.object);
}

#[test]
fn empty_fields_are_written_as_go_writes_them() {
    check(
        "deployments",
        json!({ "apiVersion": "apps/v1", "metadata": { "name": "a", "labels": {}, "creationTimestamp": null, "finalizers": [] },
            "spec": { "paused": false, "replicas": 0, "template": { "spec": { "containers": [] } } } }),
        json!({ "kind": "Deployment", "apiVersion": "apps/v1", "metadata": { "name": "a" },
            "spec": { "replicas": 0, "selector": null, "template": { "metadata": {}, "spec": { "containers": null } }, "strategy": {} },
            "status": {} }),
    );
}

#[test]
fn values_come_out_canonical_and_in_gos_order() {
    check(
        "deployments",
        json!({ "metadata": { "annotations": { "b": "1", "a": "2" }, "name": "a", "creationTimestamp": "2026-01-02T05:04:05.9+02:00" },
            "spec": { "template": { "spec": { "containers": [
                { "resources": { "limits": { "memory": "1024Mi", "cpu": 0.5 } }, "name": "c" } ] } } } }),
        json!({ "kind": "Deployment", "apiVersion": "apps/v1",
            "metadata": { "name": "a", "creationTimestamp": "2026-01-02T03:04:05Z", "annotations": { "a": "2", "b": "1" } },
            "spec": { "selector": null, "template": { "metadata": {}, "spec": { "containers": [
                { "name": "c", "resources": { "limits": { "cpu": "500m", "memory": "1Gi" } } } ] } }, "strategy": {} },
            "status": {} }),
    );
}

#[test]
fn unset_statuses_are_written_as_go_writes_them() {
    for (group, version, kind, expected) in [
        ("apps", "v1", "Deployment", json!({})),
        ("networking.k8s.io", "v1", "Ingress", json!({ "loadBalancer": {} })),
        (
            "policy",
            "v1",
            "PodDisruptionBudget",
            json!({ "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0 }),
        ),
        ("storage.k8s.io", "v1", "VolumeAttachment", json!({ "attached": false })),
    ] {
        let schema = crate::scheme::Scheme::builtin().kind(group, version, kind).unwrap();
        assert_eq!(super::unset(schema, "status"), Some(expected), "{kind}");
    }
    assert_eq!(super::unset(target("secrets").schema, "data"), None);
}

#[test]
fn strings_are_unquoted_as_go_does() {
    let body = b"{\"metadata\":{\"name\":\"\\ud83d\\ude00\\ud83dx\\u00e9\",\"uid\":\"a\xffb\"}}";
    let decoded = decode(body, Syntax::Json, target("secrets"), FieldValidation::Strict).unwrap();
    assert_eq!(decoded.object["metadata"], json!({ "name": "\u{1f600}\u{fffd}x\u{e9}", "uid": "a\u{fffd}b" }));
}

#[test]
fn yaml_is_read_as_yaml_1_1() {
    let yaml = "a: yes\nb: 0777\nc: 0x1F\nd: 1_000\ne: 1.50\nf: 2020-01-01\ng: '5'\nh: ~\ni: !!str 5\n5: x\nj: 1e3\nk: |\n  l\nbase: &b {x: 1, z: 2}\nl: {<<: *b, z: 3}\n---\nnext: 1\n";
    let decoded = decode_untyped(yaml.as_bytes(), Syntax::Yaml, FieldValidation::Strict).unwrap();
    assert_eq!(
        decoded.object,
        json!({ "5": "x", "a": true, "b": 511, "base": { "x": 1, "z": 2 }, "c": 31, "d": 1000, "e": 1.5, "f": "2020-01-01",
            "g": "5", "h": null, "i": "5", "j": 1000, "k": "l\n", "l": { "x": 1, "z": 3 } })
    );
}

#[test]
fn untyped_duplicates_are_found_at_their_path() {
    let decoded = decode_untyped(br#"{"a":[{"b":1,"b":2}],"a":3}"#, Syntax::Json, FieldValidation::Warn).unwrap();
    assert_eq!(decoded.warnings, [r#"duplicate field "a[0].b""#, r#"duplicate field "a""#]);
    assert_eq!(decoded.object, json!({ "a": 3 }));
    let error = decode_untyped(br#"{"a":1,"a":3}"#, Syntax::Json, FieldValidation::Strict).unwrap_err();
    assert_eq!(error, r#"strict decoding error: duplicate field "a""#);
}

#[test]
fn what_the_scanner_refuses_the_parser_refuses_too() {
    let pieces =
        ["{", "}", "[", "]", ",", ":", "\"a\"", "1", "-", "0", ".5", "e1", "true", "nul", "\\", " ", "\"\\u12\""];
    let mut seed = 7u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..7 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let ours = super::json::parse(&text).is_ok();
        assert_eq!(ours, json::from_str::<Value>(&text).is_ok(), "{text}");
        if ours {
            assert_eq!(super::json::syntax_error(text.as_bytes()), "unexpected end of JSON input", "{text}");
        }
    }
}

mod never_panics {
    use proptest::prelude::*;

    use super::super::{FieldValidation, Syntax, decode, decode_untyped, normalize};
    use super::target;
    use crate::default;

    /// Text that looks like an object now and then.
    fn bodies() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(":"),
            Just(","),
            Just("\n"),
            Just("  "),
            Just("- "),
            Just("&a "),
            Just("*a"),
            Just("<<"),
            Just("\"spec\""),
            Just("spec"),
            Just("\"template\""),
            Just("metadata"),
            Just("\"labels\""),
            Just("containers"),
            Just("\"limits\""),
            Just("\"1Gi\""),
            Just("1e9"),
            Just("-0"),
            Just("null"),
            Just("true"),
            Just("\"\\ud800\""),
            Just("\"2026-01-01T00:00:00Z\""),
            Just("creationTimestamp"),
            Just("é"),
            Just("\t"),
            Just("!!binary "),
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_the_body(body in bodies(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            for body in [body.as_bytes(), &bytes] {
                for syntax in [Syntax::Json, Syntax::Yaml] {
                    let _ = decode_untyped(body, syntax, FieldValidation::Strict);
                    for kind in ["deployments", "customresourcedefinitions"] {
                        let target = target(kind);
                        if let Ok(decoded) = decode(body, syntax, target, FieldValidation::Warn) {
                            let mut object = decoded.object;
                            default::apply(&mut object, target.schema);
                            let again = normalize(&object, target, FieldValidation::Strict).unwrap().object;
                            prop_assert_eq!(again, object);
                        }
                    }
                }
            }
        }

        #[test]
        fn whatever_the_values(value in "[-+0-9.eEinumkKMGTPTZ:, ]{0,24}") {
            for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "name"] {
                let body = format!("{{\"metadata\":{{\"{field}\":\"{value}\"}}}}");
                let _ = decode(body.as_bytes(), Syntax::Json, target("secrets"), FieldValidation::Strict);
            }
            let body = format!("{{\"spec\":{{\"renewTime\":\"{value}\",\"leaseDurationSeconds\":{value}}}}}");
            let _ = decode(body.as_bytes(), Syntax::Json, target("leases"), FieldValidation::Strict);
        }
    }
}
