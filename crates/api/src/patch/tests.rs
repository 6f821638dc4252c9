//! What a running kube-apiserver v1.37 answered to patches of a custom resource that takes anything (testdata/patches.json).

use super::*;
use ::json::{Value, json};

#[test]
fn patches_are_applied_and_refused_as_recorded() {
    let golden: Value = ::json::from_str(include_str!("../../testdata/patches.json")).expect("golden is JSON");
    let document = json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "t"}, "spec": golden["document"]});
    for row in golden["rows"].as_array().expect("rows") {
        let strict = row["strict"].as_bool().expect("a flag");
        let patch = row["patch"].clone();
        let mut unknown_fields = Vec::new();
        let result = match row["type"].as_str().expect("a type") {
            "json-patch+json" => json::Patch::decode(patch, strict).and_then(|patch| {
                unknown_fields.clone_from(&patch.unknown_fields);
                patch.apply(document.clone())
            }),
            "merge-patch+json" => merge::apply(document.clone(), patch, strict),
            _ => continue,
        };
        let message = row["message"].as_str().unwrap_or_default();
        match (row["code"].as_u64().expect("a code"), result) {
            (200, result) => {
                let spec = result.as_ref().map(|object| object.get("spec").cloned().unwrap_or_default());
                assert_eq!(spec, Ok(row["spec"].clone()), "{row}");
            }
            // Refused later: when the result is decoded, or for fields no operation has.
            (422, Ok(_)) if message.contains("patch: Invalid value") => {
                let told = message.contains("unknown field");
                assert_eq!(!unknown_fields.is_empty(), told, "{row}");
                assert!(
                    unknown_fields
                        .iter()
                        .all(|text| message.contains(&text.replace('"', "\\\"")) || message.contains(text))
                );
            }
            (code, Err(error)) => {
                let status = Status::from(error);
                let answer = (u64::from(status.code), status.message.as_str(), status.reason.as_str());
                assert_eq!(answer, (code, message, row["reason"].as_str().unwrap_or_default()), "{row}");
            }
            (code, Ok(result)) => panic!("{code} for {row}, but {result}"),
        }
    }
}
