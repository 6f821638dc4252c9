//! CustomResourceDefinitions as upstream stores them: in v1beta1, which v1.37 serves no more.
//!
//! There what all versions have in common stands once, beside them. We store v1, which upstream reads as well.
//! Upstream: apiextensions/v1.Convert_apiextensions_CustomResourceDefinitionSpec_To_v1_CustomResourceDefinitionSpec.

use json::{Map, Value, json};

pub(super) const KIND: &str = "CustomResourceDefinition";
pub(super) const OLDER: &str = "apiextensions.k8s.io/v1beta1";

/// Fields of the spec, and what they are called in each version.
const OF_EACH_VERSION: [(&str, &str); 4] = [
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
];

/// Makes v1 of it, all but its `apiVersion`.
pub(super) fn to_v1(definition: &mut Value) {
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else { return };
    let name = spec.shift_remove("version");
    let versions = spec.entry("versions").or_insert_with(|| json!([]));
    let Some(versions) = versions.as_array_mut() else { return };
    if let (true, Some(name)) = (versions.is_empty(), name) {
        versions.push(json!({"name": name, "served": true, "storage": true}));
    }
    let mut versions = std::mem::take(versions);
    for (common, own) in OF_EACH_VERSION {
        if let Some(value) = spec.shift_remove(common) {
            for version in versions.iter_mut().filter_map(Value::as_object_mut) {
                version.insert(own.to_owned(), value.clone());
            }
        }
    }
    versions.iter_mut().filter_map(Value::as_object_mut).for_each(columns);
    spec.insert("versions", versions.into());
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.shift_remove("preserveUnknownFields");
    }
    if let Some(conversion) = spec.get_mut("conversion").and_then(Value::as_object_mut) {
        webhook(conversion);
    }
}

fn columns(version: &mut Map) {
    let columns = version.get_mut("additionalPrinterColumns").and_then(Value::as_array_mut);
    for column in columns.into_iter().flatten().filter_map(Value::as_object_mut) {
        if let Some(path) = column.shift_remove("JSONPath") {
            column.insert("jsonPath", path);
        }
    }
}

fn webhook(conversion: &mut Map) {
    let (client, versions) =
        (conversion.shift_remove("webhookClientConfig"), conversion.shift_remove("conversionReviewVersions"));
    if client.is_none() && versions.is_none() {
        return;
    }
    let fields = [("clientConfig", client), ("conversionReviewVersions", versions)];
    let webhook: Map = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    conversion.insert("webhook", webhook.into());
}
