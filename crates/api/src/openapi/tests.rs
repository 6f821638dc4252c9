use std::borrow::Cow;
use std::collections::BTreeMap;

use json::{Map, Value, json};

use super::{Descriptions, NoDescriptions, v2, v3, v3_paths};
use crate::scheme::Scheme;

/// One document of a kube-apiserver v1.37.0 and the hashes of all, without texts (`hack/schemagen --record`).
const SAMPLE: &str = include_str!("../../testdata/openapi-scheduling.json");
const HASHES: &str = include_str!("../../testdata/openapi.json");
/// The same of the parts of its v2 document.
const V2: [(&str, &str); 3] =
    [("definitions", "579e903ce3b9bfba"), ("parameters", "72ada5642372ab1c"), ("paths", "8d8dd985ee2a6fb7")];

fn document(path: &str) -> Value {
    json::from_slice(&v3(Scheme::builtin(), path, &NoDescriptions).unwrap()).unwrap()
}

/// Sorted, without descriptions (but with properties of that name), each reference wrapped alike.
fn canonical(value: &Value, named: bool) -> Value {
    match value {
        Value::Object(members) if members.len() == 1 && members.contains_key("$ref") => json!({ "allOf": [value] }),
        Value::Object(members) => {
            let sorted: BTreeMap<&json::Text, Value> = members
                .iter()
                .filter(|(key, value)| named || !value.is_string() || *key != "description")
                .map(|(key, value)| match key.as_str() {
                    "allOf" if !named => (key, value.clone()),
                    _ => (key, canonical(value, !named && (key == "properties" || key == "schemas"))),
                })
                .collect();
            Value::Object(sorted.into_iter().map(|(key, value)| (key.clone(), value)).collect::<Map>())
        }
        Value::Array(items) => items.iter().map(|item| canonical(item, false)).collect(),
        other => other.clone(),
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> String {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("{hash:016x}")
}

#[test]
fn a_document_is_upstreams_but_for_the_texts() {
    let ours = json::to_string_pretty(&canonical(&document("apis/scheduling.k8s.io/v1"), false)).unwrap();
    let theirs: Value = json::from_str(SAMPLE).unwrap();
    assert_eq!(ours, json::to_string_pretty(&theirs).unwrap());
}

#[test]
fn every_document_is_upstreams_but_for_the_texts() {
    let hashes: BTreeMap<String, String> = json::from_str(HASHES).unwrap();
    let paths = v3_paths(Scheme::builtin());
    assert_eq!(paths, hashes.keys().cloned().collect::<Vec<_>>());
    let differ: Vec<String> = paths
        .into_iter()
        .filter(|path| hash(canonical(&document(path), false).to_string().as_bytes()) != hashes[path])
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn the_v2_document_is_upstreams_but_for_the_texts() {
    let document: Value = json::from_slice(&v2(Scheme::builtin(), &[], &NoDescriptions)).unwrap();
    for (part, upstreams) in V2 {
        assert_eq!(hash(canonical(&document[part], false).to_string().as_bytes()), upstreams, "{part}");
    }
}

#[test]
fn the_v2_document_defines_all_it_refers_to() {
    let document: Value = json::from_slice(&v2(Scheme::builtin(), &[], &NoDescriptions)).unwrap();
    let text = document.to_string();
    let definitions = document["definitions"].as_object().unwrap();
    let referred = text.split("#/definitions/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let missing: Vec<&str> = referred.filter(|model| !definitions.contains_key(model)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"].is_object());
    assert_eq!(definitions.len(), 624);
}

#[test]
fn texts_come_from_outside() {
    struct Texts;
    impl Descriptions for Texts {
        fn model(&self, model: &str) -> Option<Cow<'_, str>> {
            (model == "io.k8s.api.scheduling.v1.PriorityClass").then_some(Cow::Borrowed("a class"))
        }
        fn field(&self, _model: &str, field: &str) -> Option<Cow<'_, str>> {
            (field == "value").then_some(Cow::Borrowed("a value"))
        }
    }
    let bytes = v3(Scheme::builtin(), "apis/scheduling.k8s.io/v1", &Texts).unwrap();
    let document: Value = json::from_slice(&bytes).unwrap();
    let model = &document["components"]["schemas"]["io.k8s.api.scheduling.v1.PriorityClass"];
    assert_eq!(
        (&model["description"], &model["properties"]["value"]["description"]),
        (&json!("a class"), &json!("a value"))
    );
}

#[test]
fn unknown_documents_are_none() {
    for path in ["", "apis/none", "api/v2", "apis/apps/v2", "apis//v1"] {
        assert!(v3(Scheme::builtin(), path, &NoDescriptions).is_none(), "{path}");
    }
}
