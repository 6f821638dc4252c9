use api::openapi::{Descriptions, v3, v3_paths};
use api::scheme::Scheme;
use json::Value;

use super::{ROOTS, Texts};

#[test]
fn nearly_everything_is_explained() {
    let mut fields = 0;
    let mut explained = 0;
    for (path, _) in ROOTS {
        let document = v3(Scheme::builtin(), path, &Texts::of(Some(path))).unwrap();
        let document: Value = json::from_slice(&document).unwrap();
        for model in document["components"]["schemas"].as_object().unwrap().values() {
            for field in model["properties"].as_object().into_iter().flatten().map(|(_, field)| field) {
                fields += 1;
                explained += usize::from(field["description"].is_string());
            }
        }
    }
    // The lists of each kind are what is missing.
    assert!(explained * 100 > fields * 90, "{explained} of {fields}");
}

#[test]
fn texts_are_those_of_the_field() {
    let texts = Texts::of(Some("apis/apps/v1"));
    let text = texts.field("io.k8s.api.core.v1.Container", "image").unwrap();
    assert!(text.to_lowercase().contains("image"), "{text}");
    assert!(texts.model("io.k8s.api.apps.v1.Deployment").is_some());
    assert!(texts.model("io.k8s.api.batch.v1.Job").is_none(), "gathered for one document only");
}

#[test]
fn events_and_their_objects_have_a_text_each() {
    let document = v3(Scheme::builtin(), "api/v1", &Texts::of(Some("api/v1"))).unwrap();
    let document: Value = json::from_slice(&document).unwrap();
    let event = &document["components"]["schemas"][super::WATCH_EVENT];
    assert_eq!(event["description"], "Event represents a single event to a watched resource.");
    let object = &event["properties"]["object"];
    assert!(object["description"].as_str().is_some_and(|text| text.starts_with("Object is:")), "{object}");
    // What is described beside a reference wraps it.
    assert_eq!(object["allOf"][0]["$ref"], "#/components/schemas/io.k8s.apimachinery.pkg.runtime.RawExtension");
}

#[test]
fn every_root_is_a_document() {
    let paths = v3_paths(Scheme::builtin());
    assert!(ROOTS.iter().all(|(path, _)| paths.iter().any(|known| known == path)));
    let served = Scheme::builtin().group_versions().len();
    let rooted: std::collections::BTreeSet<&str> = ROOTS.iter().map(|(path, _)| *path).collect();
    assert_eq!(rooted.len(), served);
}
