use jiff::Timestamp;
use json::{Value, json};

use super::{apply_at, image};
use crate::decode::{FieldValidation, Syntax, Target, decode, normalize};
use crate::scheme::Scheme;

/// Objects and what a kube-apiserver v1.37.0 made of them on a dry-run create (`hack/schemagen --record`).
const RECORDED: &str = include_str!("../../testdata/defaults.jsonl");

/// What strategies, admission and allocators add or take away: not the work of this module.
const SET_ELSEWHERE: &[(&str, &[&str])] = &[
    ("/v1/nodes", &["/spec/taints"]),
    ("/v1/persistentvolumeclaims", &["/metadata/finalizers"]),
    ("/v1/persistentvolumes", &["/metadata/finalizers", "/status/lastPhaseTransitionTime"]),
    ("/v1/pods", &["/spec/tolerations", "/spec/preemptionPolicy", "/spec/priority", "/status"]),
    (
        "/v1/pods pod1",
        &["/spec/containers/0/volumeMounts", "/spec/volumes", "/spec/serviceAccount", "/spec/serviceAccountName"],
    ),
    ("/v1/pods p2", &["/spec/resources/requests"]),
    (
        "/v1/services",
        &["/spec/clusterIP", "/spec/clusterIPs", "/spec/ipFamilies", "/spec/ipFamilyPolicy", "/spec/ports/0/nodePort"],
    ),
    ("/v1/namespaces", &["/spec/finalizers"]),
    ("apiregistration.k8s.io/v1/apiservices", &["/status"]),
    ("apps/v1/daemonsets", &["/metadata/annotations"]),
    ("batch/v1/jobs", &["/metadata/labels", "/spec/template/metadata/labels", "/spec/selector"]),
    ("certificates.k8s.io/v1/certificatesigningrequests", &["/spec/extra", "/spec/groups", "/spec/username"]),
    ("resource.k8s.io/v1/devicetaintrules", &["/spec/taint/timeAdded"]),
    ("storage.k8s.io/v1/volumeattributesclasses", &["/metadata/finalizers"]),
    ("authentication.k8s.io/v1/tokenreviews", &["/status"]),
    ("authorization.k8s.io/v1/selfsubjectaccessreviews", &["/status"]),
];

fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(members) = value.pointer_mut(parent).and_then(Value::as_object_mut) {
        members.shift_remove(key);
    }
}

#[test]
fn objects_get_the_defaults_upstream_gives_them() {
    let mut wrong = Vec::new();
    for line in RECORDED.lines() {
        let case: Value = json::from_str(line).unwrap();
        let resource = case["resource"].as_str().unwrap();
        let [group, version, plural] = resource.split('/').collect::<Vec<_>>()[..] else { panic!("{resource}") };
        let info = Scheme::builtin().resource(group, version, plural).unwrap();
        let schema = Scheme::builtin().kind(group, version, &info.kind).unwrap();
        let target = Target { group, version, kind: &info.kind, schema };
        let body = case["body"].to_string();
        let mut object = decode(body.as_bytes(), Syntax::Json, target, FieldValidation::Ignore).unwrap().object;
        apply_at(&mut object, schema, Timestamp::UNIX_EPOCH);
        let mut once = object.clone();
        apply_at(&mut once, schema, Timestamp::UNIX_EPOCH);
        assert_eq!(once, object, "defaulting twice: {resource}");
        assert_eq!(
            normalize(&object, target, FieldValidation::Strict).unwrap().object,
            object,
            "normal form: {resource}"
        );

        let named = format!("{resource} {}", case["body"]["metadata"]["name"].as_str().unwrap_or_default());
        let mut expected = case["answer"].clone();
        for side in [&mut object, &mut expected] {
            for (which, pointers) in SET_ELSEWHERE {
                if *which == resource || *which == named {
                    pointers.iter().for_each(|pointer| remove(side, pointer));
                }
            }
        }
        // Byte for byte: the order of fields is Go's, too.
        let (ours, theirs) = (object.to_string(), expected.to_string());
        if ours != theirs {
            wrong.push(format!("{resource} {}\n ours {object}\n want {expected}", case["body"]["metadata"]["name"]));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn latest_is_told_as_the_reference_grammar_tells_it() {
    let digest = format!("a@sha256:{}", "0".repeat(64));
    for (reference, latest) in [
        ("nginx", true),
        ("nginx:latest", true),
        ("nginx:1", false),
        ("localhost:5000/nginx", true),
        ("localhost:5000/nginx:latest", true),
        ("gcr.io/a/b_c/d--e", true),
        ("", false),
        ("UPPER", false),
        ("a//b", false),
        ("a:b:c", false),
        (&digest, false),
    ] {
        assert_eq!(image::is_latest(reference), latest, "{reference:?}");
    }
}

#[test]
fn every_rule_belongs_to_a_type() {
    for (model, _) in super::rules::RULES {
        let model = if model.starts_with("io.") { (*model).to_owned() } else { format!("io.k8s.api.{model}") };
        assert!(Scheme::builtin().type_named(&model).is_some(), "{model}");
    }
}

#[test]
fn a_taint_without_a_time_gets_the_present() {
    let schema = Scheme::builtin().kind("resource.k8s.io", "v1", "DeviceTaintRule").unwrap();
    let mut object = json!({ "spec": { "taint": { "key": "a", "effect": "NoExecute" } } });
    apply_at(&mut object, schema, Timestamp::UNIX_EPOCH);
    assert_eq!(object["spec"]["taint"]["timeAdded"], "1970-01-01T00:00:00Z");
}
