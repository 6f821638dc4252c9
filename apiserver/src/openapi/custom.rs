//! Custom resources in the documents: found in the set of what is served, read from their definitions, and not kept.

use std::sync::Arc;

use api::openapi::{CustomKind, v3_custom};
use api::scheme::Scheme;
use json::Value;

use super::descriptions::Texts;
use crate::registry::resource::{Resource, Set};

/// The document whose texts the fields that all kinds have are described with.
const LIKE: &str = "apis/apps/v1";

/// A kind with its schema.
pub(super) struct Published {
    resource: Arc<Resource>,
    schema: Option<Value>,
}

impl Published {
    fn of(resource: &Arc<Resource>) -> Option<Published> {
        let custom = resource.as_custom()?;
        let schema = custom.definition().schema(custom.position());
        Some(Published { resource: Arc::clone(resource), schema })
    }

    fn kind(&self) -> Option<CustomKind<'_>> {
        let custom = self.resource.as_custom()?;
        Some(CustomKind {
            info: &self.resource.info,
            list_kind: &custom.definition().list_kind,
            schema: self.schema.as_ref(),
            selectable: &custom.version().selectable,
        })
    }
}

/// Group and version of a document's path.
fn group_version(document: &str) -> Option<(&str, &str)> {
    document.strip_prefix("apis/")?.split_once('/')
}

/// The paths of the documents of custom resources.
pub(super) fn paths(set: &Set) -> Vec<String> {
    let path = |resource: &Arc<Resource>| format!("apis/{}/{}", resource.info.group, resource.info.version);
    let mut paths: Vec<String> = set.custom().map(path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// What the document of a group-version changes with; None if there is none.
pub(super) fn state(set: &Set, document: &str) -> Option<String> {
    let (group, version) = group_version(document)?;
    state_of(set.custom_in(group).filter(|resource| resource.info.version == version))
}

/// What the document of everything changes with.
pub(super) fn state_of_all(set: &Set) -> String {
    state_of(set.custom()).unwrap_or_default()
}

fn state_of<'a>(resources: impl Iterator<Item = &'a Arc<Resource>>) -> Option<String> {
    let state = |resource: &Arc<Resource>| {
        let definition = resource.as_custom()?.definition();
        let (uid, generation) = &definition.identity;
        Some(format!("{} {} {uid} {generation}", definition.name, resource.info.version))
    };
    let mut states: Vec<String> = resources.filter_map(state).collect();
    states.sort_unstable();
    (!states.is_empty()).then(|| states.join("\n"))
}

/// The v3 document of a group-version of custom resources.
pub(super) fn third(scheme: &Scheme, set: &Set, document: &str) -> Option<Vec<u8>> {
    let (group, version) = group_version(document)?;
    let published = published(set.custom_in(group).filter(|resource| resource.info.version == version));
    let kinds: Vec<CustomKind<'_>> = published.iter().filter_map(Published::kind).collect();
    v3_custom(scheme, &kinds, &Texts::of(Some(LIKE)))
}

/// The v2 document of everything.
pub(super) fn second(scheme: &Scheme, set: &Set) -> Vec<u8> {
    let published = published(set.custom());
    let kinds: Vec<CustomKind<'_>> = published.iter().filter_map(Published::kind).collect();
    api::openapi::v2(scheme, &kinds, &Texts::of(None))
}

fn published<'a>(resources: impl Iterator<Item = &'a Arc<Resource>>) -> Vec<Published> {
    let mut published: Vec<Published> = resources.filter_map(Published::of).collect();
    published.sort_by(|a, b| {
        let key = |of: &Published| {
            (of.resource.info.group.clone(), of.resource.info.version.clone(), of.resource.info.plural.clone())
        };
        key(a).cmp(&key(b))
    });
    published
}

#[cfg(test)]
mod tests {
    use api::openapi::{CustomKind, v3_custom};
    use api::scheme::{ResourceInfo, Scheme};
    use json::{Value, json};

    use super::{LIKE, Texts};

    #[test]
    fn the_fields_that_all_kinds_have_are_described_in_custom_ones() {
        let scheme = Scheme::builtin();
        let like = scheme.all_resources().find(|info| info.plural == "ingressclasses").unwrap();
        let info = &ResourceInfo { group: "example.com".into(), ..like.clone() };
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object"}}});
        let kind = CustomKind { info, list_kind: "IngressClassList", schema: Some(&schema), selectable: &[] };
        let document = v3_custom(scheme, &[kind], &Texts::of(Some(LIKE))).unwrap();
        let document: Value = json::from_slice(&document).unwrap();
        let models = document["components"]["schemas"].as_object().unwrap();
        let own = &models["com.example.v1.IngressClass"];
        let text = |field: &str| own["properties"][field]["description"].as_str().unwrap_or_default();
        assert!(text("apiVersion").starts_with("APIVersion defines"), "{own}");
        assert!(text("kind").starts_with("Kind is a string value"), "{own}");
        assert!(text("metadata").starts_with("Standard object's metadata."), "{own}");
    }
}
