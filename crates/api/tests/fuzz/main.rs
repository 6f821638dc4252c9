//! A fuzz target for each decoder of this crate: whatever the bytes are, it answers without a panic, and what it takes
//! for good it takes for the same again. See [`mutate`] for where the bytes come from.

mod mutate;

use api::decode::{self, FieldValidation, Syntax, Target};
use api::protobuf;
use api::quantity::Quantity;
use api::selector::{field, label};
use api::table::jsonpath::JsonPath;
use api::{cbor, duration, meta, patch};
use json::{Value, json};

use mutate::{Mutator, rounds};

/// Objects with something of everything: lists, maps, unions, quantities, times, embedded documents, schemas.
fn objects() -> Vec<(Target<'static>, Value)> {
    let of = |group, version, kind, object: Value| {
        (Target::builtin(group, version, kind).expect("the kind is built in"), object)
    };
    vec![
        of(
            "",
            "v1",
            "Pod",
            json!({
                "kind": "Pod", "apiVersion": "v1",
                "metadata": {
                    "name": "web-0", "namespace": "default", "creationTimestamp": "2026-01-02T03:04:05Z",
                    "labels": {"app": "web"}, "annotations": {"a/b": "größer"},
                    "managedFields": [{"manager": "kubectl", "operation": "Apply", "apiVersion": "v1",
                        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}}],
                },
                "spec": {
                    "volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 420}}],
                    "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                        "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}},
                        "readinessProbe": {"httpGet": {"port": "http", "path": "/"}, "periodSeconds": 10}}],
                    "securityContext": {"supplementalGroups": [1, 2, -3]},
                },
            }),
        ),
        of(
            "",
            "v1",
            "Secret",
            json!({
                "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"a": "AAEC", "b": ""}, "type": "Opaque",
            }),
        ),
        of(
            "apps",
            "v1",
            "ControllerRevision",
            json!({
                "kind": "ControllerRevision", "apiVersion": "apps/v1", "metadata": {"name": "r"},
                "data": {"a": [1, 2.5, null, {"b": true}]}, "revision": 7,
            }),
        ),
        of(
            "coordination.k8s.io",
            "v1",
            "Lease",
            json!({
                "kind": "Lease", "apiVersion": "coordination.k8s.io/v1", "metadata": {"name": "l"},
                "spec": {"holderIdentity": "me", "renewTime": "2026-01-02T03:04:05.000006Z", "leaseTransitions": 1},
            }),
        ),
        of(
            "apiextensions.k8s.io",
            "v1",
            "CustomResourceDefinition",
            json!({
                "kind": "CustomResourceDefinition", "apiVersion": "apiextensions.k8s.io/v1", "metadata": {"name": "foos.x.dev"},
                "spec": {"group": "x.dev", "scope": "Namespaced", "names": {"plural": "foos", "kind": "Foo"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                        "type": "object", "properties": {"a": {"type": "number", "maximum": 1.5, "default": {"b": [1]}},
                            "c": {"items": {"type": "string"}, "additionalProperties": true, "enum": [1, null]}}}}}]},
            }),
        ),
    ]
}

/// What a decoder took for good is good, and the same, the second time.
fn is_stable(decoded: Result<decode::Decoded, decode::Error>, target: Target<'_>) {
    let Ok(decoded) = decoded else { return };
    let again = decode::normalize(&decoded.object, target, FieldValidation::Ignore).expect("it was good");
    assert_eq!(again.object, decoded.object);
    let text = json::to_vec(&decoded.object).expect("a value has a text");
    let read = decode::decode(&text, Syntax::Json, target, FieldValidation::Ignore).expect("its text is good, too");
    assert_eq!(read.object, decoded.object);
}

/// Runs a target for each kind on inputs made of that kind's object.
fn for_each_kind(write: impl Fn(&Value, Target<'_>) -> Vec<u8>, target: impl Fn(&[u8], Target<'_>)) {
    let objects = objects();
    let corpus: Vec<Vec<u8>> = objects.iter().map(|(kind, object)| write(object, *kind)).collect();
    let mut mutator = Mutator::new(corpus);
    for round in 0..rounds() {
        // Mostly it is another kind's object: that is refused, and must be without a panic.
        target(&mutator.input(), objects[round % objects.len()].0);
    }
}

#[test]
fn json() {
    let read = |bytes: &[u8], kind: Target<'_>| {
        for validation in [FieldValidation::Ignore, FieldValidation::Strict] {
            is_stable(decode::decode(bytes, Syntax::Json, kind, validation), kind);
        }
        if let Ok(decoded) = decode::decode_untyped(bytes, Syntax::Json, FieldValidation::Warn) {
            let text = decoded.object.to_string();
            let again = decode::decode_untyped(text.as_bytes(), Syntax::Json, FieldValidation::Strict);
            assert_eq!(again.map(|again| again.object), Ok(decoded.object));
        }
    };
    for_each_kind(|object, _| object.to_string().into_bytes(), read);
}

#[test]
fn yaml() {
    let write = |object: &Value, _: Target<'_>| {
        let mut text = String::from("# a comment\n---\nanchor: &a [x, *a, 'y', \"z\\n\", 0x1f, 1e3, ~, yes]\n");
        for (key, value) in object.as_object().into_iter().flatten() {
            text.push_str(&format!("{key}: {value}\nblock: |-\n  {key}\nfolded: >\n  {key}\n? {key}x\n: !!str 1\n"));
        }
        text.into_bytes()
    };
    for_each_kind(write, |bytes, kind| {
        is_stable(decode::decode(bytes, Syntax::Yaml, kind, FieldValidation::Warn), kind)
    });
}

#[test]
fn protobuf_bodies() {
    let write = |object: &Value, kind: Target<'_>| protobuf::encode(object, kind.schema).expect("it is of the kind");
    for_each_kind(write, |bytes, kind| {
        let decoded = decode::decode_protobuf(bytes, kind, FieldValidation::Strict);
        if let Ok(decoded) = &decoded {
            let written = protobuf::encode(&decoded.object, kind.schema).expect("what was read can be written");
            let again = decode::decode_protobuf(&written, kind, FieldValidation::Strict).expect("and read again");
            assert_eq!(again.object, decoded.object);
        }
        is_stable(decoded, kind);
    });
}

#[test]
fn cbor_bodies() {
    for_each_kind(
        |object, _| cbor::encode(object),
        |bytes, kind| {
            if let Ok(value) = cbor::decode(bytes) {
                assert_eq!(cbor::decode(&cbor::encode(&value)), Ok(value));
            }
            is_stable(decode::decode_cbor(bytes, kind, FieldValidation::Ignore), kind);
        },
    );
}

#[test]
fn patches() {
    let (pod, document) = objects().swap_remove(0);
    let corpus = [
        json!([{"op": "test", "path": "/metadata/name", "value": "web-0"}, {"op": "add", "path": "/spec/x~1y", "value": [1]},
            {"op": "move", "from": "/spec/volumes/0", "path": "/spec/volumes/-"}, {"op": "remove", "path": "/metadata/labels"},
            {"op": "copy", "from": "/spec", "path": "/status"}, {"op": "replace", "path": "/spec/containers/0/name", "value": 1}]),
        json!({"metadata": {"labels": null, "annotations": {"x": "y"}}, "spec": {"containers": [{"name": "c", "image": null}]}}),
        json!({"spec": {"$retainKeys": ["containers"], "$setElementOrder/containers": [{"name": "d"}, {"name": "c"}],
            "containers": [{"name": "d", "image": "e"}, {"$patch": "delete", "name": "c"}],
            "$deleteFromPrimitiveList/finalizers": ["a"], "volumes": [{"$patch": "replace"}]}}),
    ];
    let mut mutator = Mutator::new(corpus.map(|patch| patch.to_string().into_bytes()));
    for _ in 0..rounds() {
        let Ok(decoded) = decode::decode_untyped(&mutator.input(), Syntax::Json, FieldValidation::Warn) else {
            continue;
        };
        let sent = decoded.object;
        if let Ok(patch) = patch::json::Patch::decode(sent.clone(), true) {
            let _ = patch.apply(document.clone());
        }
        for strict in [true, false] {
            let _ = patch::merge::apply(document.clone(), sent.clone(), strict);
        }
        if let Ok(patched) = patch::strategic::apply(document.clone(), sent, pod.schema) {
            let _ = decode::normalize(&patched, pod, FieldValidation::Warn);
        }
    }
}

#[test]
fn selectors() {
    let corpus =
        ["a=b", "x/y in (a, b),!c,d notin (),e!=f,g>1,h<2", "metadata.name=a,spec.nodeName!=b\\,c", "k", " , "];
    let mut mutator = Mutator::new(corpus.map(|text| text.as_bytes().to_vec()));
    for _ in 0..rounds() {
        let text = String::from_utf8_lossy(&mutator.input()).into_owned();
        if let Ok(selector) = label::Selector::parse(&text) {
            let again = label::Selector::parse(&selector.to_string()).map(|again| again.to_string());
            assert_eq!(again.as_deref().ok(), Some(selector.to_string().as_str()), "{text:?}");
        }
        if let Ok(selector) = field::Selector::parse(&text) {
            let again = field::Selector::parse(&selector.to_string()).map(|again| again.to_string());
            assert_eq!(again.as_deref().ok(), Some(selector.to_string().as_str()), "{text:?}");
        }
    }
}

#[test]
fn quantities_durations_times_and_paths() {
    let corpus = [
        "1.5Gi",
        "-12e3",
        "0.000000001",
        "+5",
        "100m",
        "1h2m3.5s",
        "2026-01-02T03:04:05.000006+01:00",
        "{.a.b[?(@.c==\"d\")].e}",
        ".spec.x[0:2].y",
    ];
    let mut mutator = Mutator::new(corpus.map(|text| text.as_bytes().to_vec()));
    let document = json!({"a": {"b": [{"c": "d", "e": 1}]}, "spec": {"x": [{"y": 1}]}});
    for _ in 0..rounds() {
        let text = String::from_utf8_lossy(&mutator.input()).into_owned();
        if let Ok(quantity) = Quantity::parse(&text) {
            let again = Quantity::parse(&quantity.to_string()).expect("a quantity's text is one");
            assert_eq!(again, quantity, "{text:?}");
        }
        if let Ok(nanoseconds) = duration::parse(&text) {
            assert_eq!(duration::parse(&duration::format(nanoseconds)), Ok(nanoseconds), "{text:?}");
        }
        let _ = meta::time::parse(&text).map(meta::time::format_micro);
        let _ = JsonPath::parse(&text).map(|path| path.find(&document).is_ok());
    }
}
