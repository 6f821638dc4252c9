//! Resources inside custom resources (`x-kubernetes-embedded-resource`) are named and have metadata as all are.
//! Upstream: apiextensions-apiserver/pkg/apiserver/schema/objectmeta.Validate.

use api::field::{Error, ErrorList, Path};
use api::meta;
use api::names;
use api::structural::{Node, walk};
use json::{Map, Value};

use crate::registry::metadata;

/// Faults of the embedded resources of an object; the object itself is not one of them.
pub(super) fn validate(object: &Value, node: Option<&Node>) -> ErrorList {
    let mut errors = ErrorList::new();
    if let Some(node) = node {
        walk(object, node, &Path::nil(), &mut |value, node, path| {
            if let (true, Value::Object(fields)) = (node.embedded, value) {
                resource(value, fields, path, &mut errors);
            }
        });
    }
    errors
}

fn resource(object: &Value, fields: &Map, path: &Path, errors: &mut ErrorList) {
    for field in ["apiVersion", "kind"] {
        let place = path.child(field);
        match fields.get(field) {
            None => errors.push(Error::required(&place, "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(Error::invalid(&place, "", "must not be empty"));
            }
            Some(Value::String(text)) if field == "kind" => {
                let faults = names::is_dns1035_label(&text.to_lowercase());
                if !faults.is_empty() {
                    let detail = format!("may have mixed case, but should otherwise match: {}", faults.join(","));
                    errors.push(Error::invalid(&place, text.as_str(), detail));
                }
            }
            Some(Value::String(text)) if text.matches('/').count() > 1 => {
                let detail = format!("unexpected GroupVersion string: {text}");
                errors.push(Error::invalid(&place, text.as_str(), detail));
            }
            Some(Value::String(_)) => {}
            Some(other) => errors.push(Error::invalid(&place, other.clone(), "must be a string")),
        }
    }
    if fields.contains_key("metadata") {
        let mut named = object.clone();
        if meta::name(object).is_empty() {
            // It need not have one.
            meta::set_name(&mut named, "fakename");
        }
        let namespaced = !meta::namespace(object).is_empty();
        let faults = metadata::validate(&named, namespaced, names::name_is_path_segment);
        let at = |error: Error| Error { field: path.child(error.field.clone()).to_string(), ..error };
        errors.extend(faults.into_iter().map(at));
    }
}
